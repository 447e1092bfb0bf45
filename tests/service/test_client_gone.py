"""A client that closes its connection, and how soon no engine works for it any more."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import uvicorn
from pydantic import AnyHttpUrl, SecretStr

from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, parse_fault
from service.app import create_app
from service.settings import EngineSettings, Settings
from tests.service.lateness import watched

WITHIN_S = 0.1
LIMIT_S = 40.0  # ends a test that hangs; generous, for machines that are busy


class _InThisLoop(uvicorn.Server):
    """Leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[int]:
    """The port of a gateway in this event loop."""
    config = uvicorn.Config(create_app(settings), port=0, access_log=False, log_config=None)
    server = _InThisLoop(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(LIMIT_S):
        while not server.started:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def ask(port: int, path: str, accept: str, body: object) -> asyncio.StreamWriter:
    """The client's end of a connection over which a question has been asked."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Accept: {accept}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + content)
    return writer


ASKED = {"question": "How many?", "deadline_ms": 60_000}
QUESTION = ("/solve", "application/json", ASKED)
STREAM = ("/solve", "text/event-stream", ASKED)
BATCH = ("/solve/batch", "application/x-ndjson", {"questions": [ASKED] * 3})
CHATTED = {
    "model": "glore",
    "messages": [{"role": "user", "content": "How many?"}],
    "glore": {"deadline_ms": 60_000},
}
CHAT = ("/v1/chat/completions", "application/json", CHATTED)
CHAT_STREAM = ("/v1/chat/completions", "text/event-stream", CHATTED | {"stream": True})


@pytest.mark.parametrize("asked", [QUESTION, STREAM, BATCH, CHAT, CHAT_STREAM])
@pytest.mark.parametrize(
    ("hanging", "calls"),
    [(("student",), 1), (("global_refiner", "sorm"), 2), (("orm",), 2)],
)
async def test_engine_calls_end_with_their_client(
    asked: tuple[str, str, object], hanging: tuple[str, ...], calls: int
) -> None:
    faults = tuple(parse_fault(f"{engine}:hang") for engine in hanging)
    calls *= 3 if asked is BATCH else 1
    async with running(Simulated(right=0.0, seed=7, faults=faults)) as (simulator, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        settings = Settings(generation=engine, scoring=engine, store=SecretStr("off"))
        async with serving(settings) as port, watched() as lateness, asyncio.timeout(LIMIT_S):
            loop = asyncio.get_running_loop()
            client = await ask(port, *asked)
            while sum(simulator.faults.values()) < calls or simulator.running != calls:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            start = loop.time()
            client.transport.abort()
            while simulator.running:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            took = loop.time() - start
            await asyncio.sleep(2 * lateness.every)
            assert took <= WITHIN_S + lateness.between(start)
            assert simulator.waiting == 0
        client.close()
        assert simulator.finished["abort"] == calls
