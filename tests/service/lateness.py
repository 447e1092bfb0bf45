"""How busy the event loop is: what a limit in time has to allow for on a busy machine."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Lateness:
    """How late the event loop came to a task that asks to be woken often."""

    every: float = 0.005  # seconds
    _samples: deque[tuple[float, float]] = field(default_factory=deque)  # (due, woken)

    async def watch(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self.every
            await asyncio.sleep(self.every)
            self._samples.append((due, loop.time()))

    def between(self, start: float, end: float = math.inf) -> float:
        """The seconds by which it was late to what was due between two times of its clock."""
        return sum(
            when - max(due, start) for due, when in self._samples if due < end and when > start
        )


@asynccontextmanager
async def watched() -> AsyncIterator[Lateness]:
    """The lateness of this event loop."""
    lateness = Lateness()
    watcher = asyncio.create_task(lateness.watch())
    try:
        yield lateness
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
