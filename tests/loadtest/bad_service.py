"""A small service with the gateway's stream that behaves as badly as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

METRICS = "process_resident_memory_bytes {}\nprocess_open_fds 20\nglore_asyncio_tasks 9\n"


@dataclass(slots=True)
class BadService:
    """Answers every question at once, but for what is set. `POST /break` breaks it, for ever."""

    url: str = ""
    room: int = 1000  # questions at once; more are refused
    retry_after: str | None = "1"  # of refusals
    status: int = 503  # of refusals
    answers: bool = True  # after the break
    cuts: bool = False  # after the break: streams end in their middle
    drafts_late: bool = False  # after the break
    leak_bytes: float = 0.0  # memory that each question leaves
    meets: asyncio.Barrier | None = None  # all questions wait until so many are there
    broken: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    _running: int = 0

    async def solve(self, request: web.Request) -> web.StreamResponse:
        """`POST /solve` as a stream."""
        self.received.append(await request.json())
        self.keys.add(request.headers.get("Authorization"))
        if self._running >= self.room or (self.broken and not self.answers):
            headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
            problem = {"type": "/problems/overloaded", "status": self.status}
            return web.json_response(problem, status=self.status, headers=headers)
        self._running += 1
        try:
            return await self._stream(request)
        finally:
            self._running -= 1

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await _send(response, "draft.delta", {"text": "3"})
        if self.meets is not None:
            await self.meets.wait()
        if self.broken and self.drafts_late:
            await asyncio.sleep(0.5)
        await _send(response, "draft", {})
        await asyncio.sleep(0.05)
        await _send(response, "first_error", {"index": None})
        if self.broken and self.cuts and request.transport is not None:
            request.transport.abort()
            return response
        done = {"request_id": request.headers["X-Request-ID"], "degraded": []}
        await _send(response, "done", done)
        return response

    async def metrics(self, _request: web.Request) -> web.Response:
        """What Prometheus would read."""
        return web.Response(text=METRICS.format(50e6 + len(self.received) * self.leak_bytes))

    async def broke(self, _request: web.Request) -> web.Response:
        """`POST /break`."""
        self.broken = True
        return web.Response()


async def _send(response: web.StreamResponse, event: str, data: object) -> None:
    await response.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())


async def _alive(_request: web.Request) -> web.Response:
    return web.Response()


@asynccontextmanager
async def serving(service: BadService) -> AsyncIterator[BadService]:
    """The service on a free port, for as long as the block runs."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/livez", _alive),
            web.get("/metrics", service.metrics),
            web.post("/solve", service.solve),
            web.post("/break", service.broke),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        service.url = f"http://{host}:{port}"
        yield service
    finally:
        await runner.cleanup()
