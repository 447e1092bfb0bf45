"""An app behind a real socket, for what only a real connection shows."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from glore.api.draining import Drain
from glore.commands.server import GatewayServer

LIMIT_S = 40.0  # ends a test that hangs; generous, for machines that are busy


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[int]:
    """The port of this machine at which `app` answers, in a thread and a loop of its own."""
    async with running(server_of(app)) as port:
        yield port


def server_of(app: FastAPI) -> GatewayServer:
    """The server of `glore serve`, set up for port 0."""
    times = {"delay": 0.0, "grace": 5.0, "head_timeout": LIMIT_S}
    server = GatewayServer(app, Drain(), **times, keep_alive=75)
    server.config.port = 0
    return server


@asynccontextmanager
async def running(server: uvicorn.Server) -> AsyncIterator[int]:
    """The port at which a server answers that was set up for port 0."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + LIMIT_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join, LIMIT_S)
        assert not thread.is_alive()
