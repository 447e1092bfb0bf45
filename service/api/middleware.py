"""Pure ASGI middleware: the request's id, its log line and metrics, the bounds on its body."""

import asyncio
import logging
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import MappingProxyType
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import internal_error, problem_response
from service.api.record import path_of, record_of, route_of, start_record
from service.errors import BodyTooLargeError, BodyTooLateError, ProblemError
from service.telemetry.logs import LOGGER
from service.telemetry.metrics import Metrics

REQUEST_ID_HEADER: Final = "X-Request-ID"
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})
_MAX_LOGGED_PATH: Final = 200

_log = logging.getLogger(f"{LOGGER}.access")


class RequestIdMiddleware:
    """Takes the client's X-Request-ID when it is sane, else makes one; puts it on the response.

    Sane: 1 to 128 letters, digits, dots, colons, hyphens or underscores.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the record of an HTTP request and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        start_record(scope, request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


class ObserveMiddleware:
    """One log line and one count per request; a bug becomes a 500 problem.

    Probes and scrapes are logged at debug level. `routes` are those of the app, which name the
    paths of requests that never come to it. Needs RequestIdMiddleware around it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an HTTP request on and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = time.perf_counter()
        try:
            await self._app(scope, receive, send_noting_status)
        except Exception:
            request_id = record_of(scope).request_id
            _log.exception("unhandled error", extra={"fields": {"request_id": request_id}})
            if status is not None:
                raise  # too late for a response: the server cuts the connection
            await internal_error(scope)(scope, receive, send_noting_status)
        finally:
            self._note(scope, status, time.perf_counter() - start)

    def _note(self, scope: Scope, status: int | None, seconds: float) -> None:
        record = record_of(scope)
        route = route_of(scope, self._routes)
        begun = status if status is not None else 499  # ended before any response was begun
        final = record.status or begun
        self._metrics.request_answered(route, record.strategy, final, seconds)
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


class PlacesMiddleware:
    """Takes the requests of one path only while there is a place for them.

    `place` is a place for as long as it is entered, or raises a ProblemError, which is then the
    answer. That is before the body is read: those refused cost no memory. Needs
    RequestIdMiddleware around it.
    """

    def __init__(
        self, app: ASGIApp, path: str, place: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._app = app
        self._path = path
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what has a place, or needs none."""
        with ExitStack() as stack:
            if scope["type"] == "http" and path_of(scope) == self._path:
                try:
                    stack.enter_context(self._place())
                except ProblemError as error:
                    await problem_response(error, scope)(scope, receive, send)
                    return
            await self._app(scope, receive, send)


class BodyLimitMiddleware:
    """Refuses bodies of more than `limit` bytes with 413, announced or not.

    `others` are the limits of the paths that have their own. A body that is not whole `patience`
    seconds after its request began is not waited for any longer: 408.

    The body is read here, before the app runs, so the app sees it as one message. Needs
    RequestIdMiddleware around it.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        patience: float,
        others: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._limit = limit
        self._patience = patience
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body of an HTTP request and pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        limit = self._others.get(path_of(scope), self._limit)
        try:
            body = await self._body(receive, announced, limit)
        except ProblemError as error:
            await problem_response(error, scope)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _body(self, receive: Receive, announced: str, limit: int) -> list[Message]:
        """The messages of the body. Raises BodyTooLargeError, BodyTooLateError."""
        body = None
        if self._may_fit(announced, limit):
            try:
                async with asyncio.timeout(self._patience):
                    body = await self._read(receive, limit)
            except TimeoutError:
                message = f"The body was not there within {self._patience:g} s."
                raise BodyTooLateError(message) from None
        if body is None:
            message = f"A request's body may have {limit} bytes at most."
            raise BodyTooLargeError(message)
        return body

    @staticmethod
    def _may_fit(announced: str, limit: int) -> bool:
        digits = announced.lstrip("0") or "0"
        return len(digits) <= len(str(limit)) and (not digits.isdecimal() or int(digits) <= limit)

    @staticmethod
    async def _read(receive: Receive, limit: int) -> list[Message] | None:
        """The messages of a body within the limit, joined into one; None for a larger one."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return [message]  # gone before the body was there
            body += message.get("body", b"")
            if len(body) > limit:
                return None
            if not message.get("more_body", False):
                return [{"type": "http.request", "body": bytes(body), "more_body": False}]


def _replay(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that gives these messages first."""
    left = deque(messages)

    async def replay() -> Message:
        return left.popleft() if left else await receive()

    return replay
