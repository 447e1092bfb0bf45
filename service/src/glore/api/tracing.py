"""The span of a request: pure ASGI middleware, which is there only where there are traces."""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glore.api.record import record_of, route_of
from glore.telemetry import conventions as names
from glore.telemetry.spans import Tracing, end_request, trace_id_of

_ENDED_BEFORE: Final = 499  # any response was begun


class TraceMiddleware:
    """A span for every POST; the request's log line has the id of its trace.

    Needs RequestMiddleware around it. `routes` are those of the app.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._tracing = tracing
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on within its span."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        record, route = record_of(scope), route_of(scope, self._routes)
        about = {
            names.HTTP_METHOD: scope["method"],
            names.HTTP_ROUTE: route,
            names.URL_PATH: scope["path"],
            names.URL_SCHEME: scope["scheme"],
            names.REQUEST_ID: record.request_id,
        }
        with self._tracing.request(f"POST {route}", Headers(scope=scope), about) as span:
            record.fields["trace_id"] = trace_id_of(span)
            await self._app(scope, receive, answer)
            problem = record.fields.get("problem")
            slug = None if problem is None else str(problem).rpartition("/")[2]
            end_request(span, record.status or status or _ENDED_BEFORE, slug)
