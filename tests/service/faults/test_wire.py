"""What an engine says of its fault, looked for in every byte that a client receives."""

import asyncio
import json

import pytest

from glore.app import create_app
from glore.engines.ports import Role
from glore.refinement.types import Strategy
from loadtest.simulation.server import UPSTREAM_TEXT
from loadtest.simulation.settings import FAULTS
from tests.service.faults.surfaces import JSON, SURFACES, Surface
from tests.service.faults.table import IMPOSSIBLE
from tests.service.faults.world import REFUSED, engines
from tests.service.listening import LIMIT_S, listening

CASES: list[tuple[Role, str]] = [
    (engine, fault)
    for fault in FAULTS
    if fault != REFUSED  # which says nothing
    for engine in ("student", "sorm")
    if (engine, fault) not in IMPOSSIBLE
]


@pytest.mark.parametrize(("engine", "fault"), CASES)
async def test_no_byte_of_an_engines_own_words_comes_through(engine: Role, fault: str) -> None:
    async with engines(engine, fault) as (settings, simulator):
        async with listening(create_app(settings)) as port:
            answers = await asyncio.gather(*(_received(port, each) for each in SURFACES))
        assert simulator.faults[fault] >= len(SURFACES)
    for received in answers:
        assert received.startswith(b"HTTP/1.1 ")
        assert UPSTREAM_TEXT.encode() not in received
        assert b"simulated" not in received.lower()


async def _received(port: int, surface: Surface) -> bytes:
    """Status line, headers and body as they came."""
    body = json.dumps(surface.body(Strategy.LOCAL, 2500))
    head = (
        f"POST {surface.path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: {JSON}\r\n"
        f"Accept: {surface.accept}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}{body}".encode())
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
    return received
