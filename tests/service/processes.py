"""Gateway processes as they run in earnest: `glore serve`, started, watched and stopped."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

START_S = 60.0  # ends a test that hangs; generous, for machines that are busy


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway process that answers."""

    url: str
    process: asyncio.subprocess.Process
    log: asyncio.Task[bytes]

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit status, once it has ended by itself."""
        async with asyncio.timeout(START_S):
            return await self.process.wait()


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@asynccontextmanager
async def served(engine: str, port: int | None = None, **settings: str) -> AsyncIterator[Served]:
    """`glore serve` on one engine, alive; `settings` are environment variables' last parts."""
    port = port or free_port()
    environment = os.environ | {
        "GLORE_GENERATION__URL": engine,
        "GLORE_SCORING__URL": engine,
        "GLORE_STORE": "off",
        **{f"GLORE_{name.upper()}": value for name, value in settings.items()},
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "glore.cli", "serve", "--port", str(port)),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    log = asyncio.create_task(process.stderr.read() if process.stderr else asyncio.sleep(0, b""))
    gateway = Served(f"http://127.0.0.1:{port}", process, log)
    try:
        await _alive(gateway)
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        assert b"Traceback" not in await log, (await log).decode()


async def _alive(gateway: Served) -> None:
    async with asyncio.timeout(START_S), httpx2.AsyncClient(trust_env=False) as client:
        while True:
            assert gateway.process.returncode is None, await gateway.log
            try:
                await client.get(f"{gateway.url}/livez")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
