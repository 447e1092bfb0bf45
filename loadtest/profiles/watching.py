"""Memory, open files and tasks of gateways, read from their `/metrics` again and again."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_NAMES: Final = ("process_resident_memory_bytes", "process_open_fds", "glore_asyncio_tasks")


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """One look at one gateway, `at` seconds after the start of the schedule."""

    at: float
    gateway: str
    memory: float  # bytes, resident
    files: float
    tasks: float


async def watch(
    urls: Sequence[str], every: float, start: float, samples: list[ResourceSample]
) -> None:
    """Add a sample of each gateway every so many seconds, until cancelled."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        while True:
            await asyncio.gather(*(_look(session, url, start, samples) for url in urls))
            await asyncio.sleep(every)


async def _look(
    session: aiohttp.ClientSession, url: str, start: float, samples: list[ResourceSample]
) -> None:
    """One sample; none where the gateway does not answer or tells nothing."""
    try:
        async with session.get(f"{url}/metrics") as response:
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError):
        return
    values = dict(_values(text))
    if all(name in values for name in _NAMES):
        at = time.monotonic() - start
        samples.append(ResourceSample(at, url, *(values[name] for name in _NAMES)))


def _values(exposition: str) -> Iterable[tuple[str, float]]:
    """The values of series without labels."""
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if not sample.labels:
                yield sample.name, sample.value
