"""An app behind a real socket, for what only a real connection shows."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

LIMIT_S = 40.0  # ends a test that hangs; generous, for machines that are busy


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[int]:
    """The port of this machine at which `app` answers, in a thread and a loop of its own."""
    config = uvicorn.Config(app, port=0, access_log=False, log_config=None)
    async with running(uvicorn.Server(config)) as port:
        yield port


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
