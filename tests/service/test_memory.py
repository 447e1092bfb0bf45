"""More questions than a gateway can answer, for a while, and what it keeps of them: nothing."""

import asyncio
from collections import Counter

import httpx2
import psutil

from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing
from tests.service.processes import START_S, served

ASKERS = 48  # at once: three times as many as are worked on and wait
ROUND = 400  # questions
WARM = 2  # rounds after which caches and pools have their size
MEASURED = 3  # rounds
BODY = {"question": "How many? " * 390, "strategy": "draft"}  # the longest that is taken
MOST = ROUND * len(BODY["question"])  # bytes: what the questions of a round have


async def test_memory_stays_flat_under_overload() -> None:
    slow = Simulated(timing=Timing(first_token=0.05))
    answered: Counter[int] = Counter()
    async with (
        running(slow) as (_, engine),
        served(engine, max_running="8", max_waiting="8") as gateway,
        httpx2.AsyncClient(
            base_url=gateway.url,
            timeout=START_S,
            trust_env=False,
            limits=httpx2.Limits(max_connections=ASKERS),
        ) as client,
    ):
        process = psutil.Process(gateway.process.pid)
        peaks = [await _round(client, process, answered) for _ in range(WARM + MEASURED)]
    assert answered.keys() == {200, 503}
    assert answered[503] > answered[200]
    assert max(peaks[WARM:]) - peaks[WARM - 1] < MOST


async def _round(
    client: httpx2.AsyncClient, process: psutil.Process, answered: Counter[int]
) -> int:
    """The most memory, in bytes, that the process had while a round was asked."""
    left, peak = ROUND, 0

    async def ask() -> None:
        nonlocal left, peak
        while left > 0:
            left -= 1
            answered[(await client.post("/solve", json=BODY)).status_code] += 1
            peak = max(peak, process.memory_info().rss)

    async with asyncio.TaskGroup() as group:
        for _ in range(ASKERS):
            group.create_task(ask())
    return peak
