"""Pure ASGI middleware around every request: its id, its log line and its metrics."""

import logging
import re
import time
import uuid
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glore.api.draining import Drain
from glore.api.problems import internal_error
from glore.api.record import record_of, route_of, start_record
from glore.telemetry.labels import NO_STRATEGY
from glore.telemetry.logs import LOGGER
from glore.telemetry.metrics import Metrics
from glore.telemetry.overhead import TimeAway, collecting

REQUEST_ID_HEADER: Final = "X-Request-ID"
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_QUIET: Final = frozenset(
    {"/livez", "/readyz", "/health", "/metrics", "/page/{name}", "/docs/{name}"}
)
_MAX_LOGGED_PATH: Final = 200

_log = logging.getLogger(f"{LOGGER}.access")


class RequestMiddleware:
    """What every HTTP request has: an id, one log line, one count, and an answer.

    The id is the client's `X-Request-ID` when that has 1 to 128 letters, digits, dots, colons,
    hyphens or underscores, else a new one. The response has it too. A bug becomes a 500 problem.
    Probes, scrapes and files of pages are logged at debug level.

    `Server` names the gateway's version. HEAD is answered as GET, without the content (RFC 9110,
    section 9.3.2). Once the gateway is about to stop, responses close their connections: clients
    go on over new ones, and so to other gateways. Cookies are dropped: nothing here uses them, and
    FastAPI would read them in a time that is quadratic in their length.

    `routes` are those of the app, which name the paths of requests that never come to it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        routes: Sequence[BaseRoute],
        drain: Drain,
        version: str,
    ) -> None:
        self._app = app
        self._server = f"glore/{version}"
        self._metrics = metrics
        self._routes = routes
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an HTTP request on and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"cookie"]
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        start_record(scope, request_id)
        status: int | None = None

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                headers["Server"] = self._server
                if self._drain.begun:
                    headers["Connection"] = "close"
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        start = time.perf_counter()
        with collecting() as away:
            try:
                inner = {**scope, "method": "GET"} if is_head else scope
                await self._app(inner, receive, answer)
            except Exception:
                _log.exception("unhandled error", extra={"fields": {"request_id": request_id}})
                if status is not None:
                    raise  # too late for a response: the server cuts the connection
                await internal_error(scope)(scope, receive, answer)
            finally:
                self._note(scope, status, time.perf_counter() - start, away)

    def _note(self, scope: Scope, status: int | None, seconds: float, away: TimeAway) -> None:
        record = record_of(scope)
        route = route_of(scope, self._routes)
        begun = status if status is not None else 499  # ended before any response was begun
        final = record.status or begun
        problem = record.fields.get("problem")
        self._metrics.request_answered(
            route,
            record.strategy,
            final,
            seconds,
            own_seconds=None if record.strategy == NO_STRATEGY else seconds - away.seconds,
            problem=None if problem is None else str(problem).rpartition("/")[2],
        )
        fields = {
            "request_id": record.request_id,
            "method": scope["method"],
            "path": scope["path"][:_MAX_LOGGED_PATH],
            "status": final,
            "seconds": round(seconds, 4),
            **record.fields,
        }
        level = logging.DEBUG if route in _QUIET else logging.INFO
        _log.log(level, "request", extra={"fields": fields})
