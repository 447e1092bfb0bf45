"""An engine where nobody listens, always or for a share of the time."""

import asyncio
import random
import socket
from typing import Any

import aiohttp
import pytest

from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.loadtest.simulated import ASKED, completed, engine

PERIOD_S = 0.2
LIMIT_S = 30.0


def draws(seed: int, share: float, count: int) -> list[bool]:
    """Whether nobody listens in each of the first periods, as the simulator draws it."""
    rng = random.Random(seed)
    return [rng.random() < share for _ in range(count)]


LONG = [False, *[True] * 20]  # away for 4 s after the first 0.2 s
LONG_SEED = next(seed for seed in range(10_000) if draws(seed, 0.9, 21) == LONG)
SEED = next(seed for seed in range(100) if draws(seed, 0.5, 3) == [False, True, False])


async def refused(url: str) -> bool:
    """Whether a new connection is refused now."""
    host, port = url.removeprefix("http://").split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except (ConnectionRefusedError, ConnectionResetError):  # the latter in the very moment
        return True
    writer.close()
    return False


async def test_an_engine_that_is_always_away_refuses_connections_and_keeps_its_port() -> None:
    async with running(Simulated(faults=(parse_fault("refused"),))) as (simulator, url):
        assert await refused(url)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", int(url.rpartition(":")[2])))
        async with aiohttp.ClientSession(base_url=url) as client:
            with pytest.raises(aiohttp.ClientConnectorError):
                await completed(client)
        assert not simulator.came


async def test_an_engine_comes_and_goes_as_its_seed_says() -> None:
    settings = Simulated(faults=(parse_fault("refused=0.5"),), outage=PERIOD_S, seed=SEED)
    async with running(settings) as (_, url), asyncio.timeout(LIMIT_S):
        seen = [await refused(url)]
        while len(seen) < 3:
            if (now := await refused(url)) != seen[-1]:
                seen.append(now)
            await asyncio.sleep(0.01)
    assert seen == [False, True, False]


async def test_an_outage_ends_idle_connections_and_lets_answers_end() -> None:
    changes: dict[str, Any] = {"faults": (parse_fault("refused=0.9"),), "outage": PERIOD_S}
    timing = Timing(first_token=1.5 * PERIOD_S)
    async with engine(**changes, seed=LONG_SEED, timing=timing) as (simulator, client):
        answers = await asyncio.gather(completed(client), completed(client), return_exceptions=True)
        assert not any(isinstance(answer, BaseException) for answer in answers)
        assert simulator.finished["stop"] == 2
        with pytest.raises(aiohttp.ClientConnectorError):  # the connection was not kept
            await client.post("/v1/completions", json=ASKED)


async def test_nothing_is_asked_in_vain_over_a_connection_that_was_idle() -> None:
    changes: dict[str, Any] = {"faults": (parse_fault("refused=0.9"),), "outage": PERIOD_S}
    async with engine(**changes, seed=LONG_SEED) as (_, client), asyncio.timeout(LIMIT_S):
        with pytest.raises(aiohttp.ClientConnectionError):
            await _ask_on(client)


async def _ask_on(client: aiohttp.ClientSession) -> None:
    while True:
        await completed(client)
        await asyncio.sleep(PERIOD_S / 10)


async def test_the_draws_of_other_faults_are_as_without_outages() -> None:
    async def befallen(*kinds: str) -> list[int]:
        faults = tuple(parse_fault(kind) for kind in kinds)
        async with engine(faults=faults, outage=LIMIT_S) as (_, client):
            found = []
            for _ in range(12):
                async with client.post("/v1/completions", json=ASKED) as response:
                    found.append(response.status)
        return found

    alone = await befallen("500=0.5")
    assert set(alone) == {200, 500}
    assert await befallen("refused=0.01", "500=0.5") == alone
