"""No request holds the event loop for long, whatever it is: `/livez` beside it is answered.

What is measured is CPU time of the gateway's main thread, so a busy machine changes little.
"""

import asyncio
from pathlib import Path

import pytest

from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated
from tests.service.hostile import LARGEST, hostile, request
from tests.service.processes import START_S, Served, served

LIVEZ = request(b"GET", b"/livez", b"Connection: close")
HELD_S = 0.05  # of CPU, while `/livez` is asked and answered


@pytest.mark.timeout(300)  # where the processor is busy with other work; else 20 s
async def test_no_request_holds_up_the_others() -> None:
    held = {}
    async with running(Simulated()) as (_, engine), served(engine) as gateway:
        await _holds(gateway, LIVEZ)  # what is done once
        for name, message in hostile():
            held[name] = await _holds(gateway, message)
        for name, body in LARGEST.items():
            held[name] = await _holds(gateway, request(b"POST", b"/solve/batch", body=body))
    assert {name: each for name, each in held.items() if each > HELD_S} == {}


async def _holds(gateway: Served, message: bytes) -> float:
    """Seconds of CPU for the slowest `/livez` beside a request."""
    requested = asyncio.create_task(_ask(gateway, message))
    worst = 0.0
    while not requested.done():
        before = _cpu(gateway)
        assert b" 200 " in await _ask(gateway, LIVEZ)
        worst = max(worst, _cpu(gateway) - before)
    assert requested.result().startswith(b"HTTP/1.1 ")
    return worst


async def _ask(gateway: Served, message: bytes) -> bytes:
    """The first line of the answer."""
    port = int(gateway.url.rpartition(":")[2])
    async with asyncio.timeout(START_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(_send(writer, message))
        try:
            return await reader.readuntil(b"\r\n")
        finally:
            sending.cancel()
            writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(message)
    await writer.drain()


def _cpu(gateway: Served) -> float:
    """Seconds of CPU that the gateway's main thread has had."""
    text = Path(f"/proc/{gateway.process.pid}/schedstat").read_text(encoding="ascii")
    return int(text.split()[0]) / 1e9
