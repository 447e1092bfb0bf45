"""A client that closes its connection, and how soon no engine works for it any more."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from pydantic import AnyHttpUrl, SecretStr

from glore.api.draining import Drain
from glore.app import create_app
from glore.commands.server import GatewayServer
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, parse_fault
from tests.service.lateness import Lateness, watched

WITHIN_S = 0.1
LIMIT_S = 40.0  # ends a test that hangs; generous, for machines that are busy


class _InThisLoop(GatewayServer):
    """Leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[_InThisLoop]:
    """A gateway in this event loop."""
    times = {"delay": 0.0, "grace": 5.0, "head_timeout": LIMIT_S}
    server = _InThisLoop(create_app(settings), Drain(), **times, keep_alive=75)
    server.config.port = 0
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(LIMIT_S):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await task


def message(path: str, accept: str, body: object, *lines: str) -> bytes:
    """A whole request."""
    content = json.dumps(body).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: gateway",
        "Content-Type: application/json",
        f"Accept: {accept}",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*head, *lines, "", ""]).encode() + content


async def connect(server: GatewayServer) -> asyncio.StreamWriter:
    """The client's end of a connection."""
    port = server.servers[0].sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
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


@pytest.mark.parametrize("requested", [QUESTION, STREAM, BATCH, CHAT, CHAT_STREAM])
@pytest.mark.parametrize(
    ("hanging", "calls"),
    [(("student",), 1), (("global_refiner", "sorm"), 2), (("orm",), 2)],
)
async def test_engine_calls_end_with_their_client(
    requested: tuple[str, str, object], hanging: tuple[str, ...], calls: int
) -> None:
    faults = tuple(parse_fault(f"{engine}:hang") for engine in hanging)
    calls *= 3 if requested is BATCH else 1
    async with running(Simulated(right=0.0, seed=7, faults=faults)) as (simulator, url):
        async with gone_gateway(url) as (server, lateness):
            client = await connect(server)
            client.write(message(*requested))
            while sum(simulator.faults.values()) < calls:
                await asyncio.sleep(0.001)
            await begun(simulator, calls)
            client.transport.abort()
            await all_ended(server, simulator, lateness)
        client.close()
        assert simulator.finished["abort"] == calls


@asynccontextmanager
async def gone_gateway(
    url: str, **settings: object
) -> AsyncIterator[tuple[GatewayServer, Lateness]]:
    """A gateway on one engine, and how busy its event loop is."""
    engine = EngineSettings(url=AnyHttpUrl(url))
    set_up = Settings(
        generation=engine, scoring=engine, store=SecretStr("off"), verifiers=()
    )  # every candidate is ranked
    async with (
        serving(set_up.model_copy(update=settings)) as server,
        watched() as lateness,
        asyncio.timeout(LIMIT_S),
    ):
        yield server, lateness


async def begun(simulator: Simulator, calls: int) -> None:
    """Wait until the engine is at work on so many calls."""
    while simulator.running != calls:
        await asyncio.sleep(0.001)


async def all_ended(
    server: GatewayServer, simulator: Simulator, lateness: Lateness, *, but: int = 0
) -> None:
    """Whether soon no request is worked on and no engine call runs, but for so many."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while simulator.running > but or len(server.server_state.tasks) > but:
        await asyncio.sleep(0.001)
    took = loop.time() - start
    await asyncio.sleep(2 * lateness.every)
    assert took <= WITHIN_S + lateness.between(start)
    assert simulator.waiting == 0


def half_closes(client: asyncio.StreamWriter) -> None:
    client.write_eof()


def closes(client: asyncio.StreamWriter) -> None:
    client.close()


def resets(client: asyncio.StreamWriter) -> None:
    client.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
    )
    client.transport.abort()


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n"
WAYS: dict[str, Callable[[asyncio.StreamWriter], None]] = {
    "closes": closes,
    "half closes": half_closes,
    "resets": resets,
}
HTTP2 = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIA")


async def test_however_a_client_leaves_its_work_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        running(Simulated(faults=(parse_fault("student:hang"),))) as (simulator, url),
        gone_gateway(url) as (server, lateness),
    ):
        for leave in WAYS.values():
            for requested in (QUESTION, STREAM, BATCH):
                for before, after in ((b"", b""), (LIVEZ, b""), (b"", LIVEZ), (LIVEZ, LIVEZ)):
                    client = await connect(server)
                    client.write(message(*requested, *(HTTP2 if before == after else ())) + before)
                    await begun(simulator, 3 if requested is BATCH else 1)
                    client.write(after)
                    await asyncio.sleep(0.005)
                    leave(client)
                    await all_ended(server, simulator, lateness)
                    client.transport.abort()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("requested", [QUESTION, STREAM, BATCH, CHAT, CHAT_STREAM])
async def test_a_client_that_leaves_the_queue_or_half_a_body_leaves_nothing(
    requested: tuple[str, str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        running(Simulated(faults=(parse_fault("student:hang"),))) as (simulator, url),
        gone_gateway(url, max_running=1) as (server, lateness),
    ):
        first = await connect(server)
        first.write(message(*QUESTION))
        await begun(simulator, 1)
        whole = message(*requested)
        for leave in WAYS.values():
            for part in (whole, whole[:-5]):
                client = await connect(server)
                client.write(part)
                while len(server.server_state.tasks) < 2:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.01)
                leave(client)
                await all_ended(server, simulator, lateness, but=1)
                client.transport.abort()
        first.transport.abort()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
