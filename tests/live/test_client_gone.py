"""A client that closes its connection: the gateway hangs up on real vLLM, which then is idle.

The gateway runs in this process, so that what its event loop was late by is known; the engines are
those of `glore up`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from pydantic import AnyHttpUrl, SecretStr

from glore.role_settings import EngineSettings
from glore.settings import Settings
from tests.service.balancer import pass_on
from tests.service.lateness import watched
from tests.service.test_client_gone import WITHIN_S, connect, message, serving

from .conftest import Service
from .test_solve import IDLE_S, LONG, running

PATIENCE_S: Final = 300.0
CALLS: Final = 2  # for the draft and for the samples


class Wire:
    """Passes bytes on to an engine, and notes when the gateway closes its connections."""

    def __init__(self, engine: str) -> None:
        self._host, _, self._port = engine.rpartition("//")[2].partition(":")
        self.opened = 0
        self.closed: list[float] = []  # by the loop's clock
        self.quiet = asyncio.Event()  # all that were opened are closed

    async def splice(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection of the gateway's with one to the engine."""
        self.opened += 1
        inner, outer = await asyncio.open_connection(self._host, int(self._port))
        back = asyncio.create_task(pass_on(inner, writer))
        await pass_on(reader, outer)
        self.closed.append(asyncio.get_running_loop().time())
        if len(self.closed) == self.opened:
            self.quiet.set()
        await back


@asynccontextmanager
async def wired(engine: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the engine, and the URL of its near end."""
    wire = Wire(engine)
    server = await asyncio.start_server(wire.splice, "127.0.0.1", 0)
    try:
        yield wire, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_the_engines_connections_end_with_the_clients(service: Service, accept: str) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        wired(service.generation) as (wire, url),
        serving(_settings(url, service.scoring)) as server,
        watched() as lateness,
    ):
        loop = asyncio.get_running_loop()
        client = await connect(server)
        client.write(message("/solve", accept, LONG))
        while not await asyncio.to_thread(running, service):
            await asyncio.sleep(0.02)
        assert (wire.opened, wire.closed) == (CALLS, [])
        start = loop.time()
        client.transport.abort()
        await wire.quiet.wait()
        took = max(wire.closed) - start
        await asyncio.sleep(2 * lateness.every)  # a sample that began before the end is in
        late = lateness.between(start, start + took)
        while await asyncio.to_thread(running, service):
            await asyncio.sleep(0.02)
        idle = loop.time() - start
        client.close()
    sys.stdout.write(f"hung up after {took:.3f} s ({late:.3f} s late), idle after {idle:.2f} s\n")
    assert took <= WITHIN_S + late
    assert idle < IDLE_S


def _settings(generation: str, scoring: str) -> Settings:
    """A patient gateway on these engines."""
    return Settings(
        generation=EngineSettings(url=AnyHttpUrl(generation), timeout=500),
        scoring=EngineSettings(url=AnyHttpUrl(scoring), timeout=500),
        store=SecretStr("off"),
        max_deadline=600,
    )
