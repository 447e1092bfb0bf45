"""The questions of `solve_many` whose outcome has not been given out yet."""

import asyncio
from typing import TypeAlias

from glore_client.outcomes import Outcome

_MAX_HELD = 4  # times the concurrency: how many questions may wait for a slow one, at most
Running: TypeAlias = asyncio.Task[Outcome]


class InFlight:
    """Questions in the order of their start, `concurrency` of them running at most.

    Raises ValueError for a concurrency below 1.
    """

    def __init__(self, concurrency: int, *, ordered: bool) -> None:
        if concurrency < 1:
            message = f"concurrency must be 1 or more, not {concurrency}"
            raise ValueError(message)
        self.concurrency = concurrency
        self._ordered = ordered
        self._held: list[Running] = []

    @property
    def running(self) -> set[Running]:
        """Those that have not ended."""
        return {each for each in self._held if not each.done()}

    @property
    def has_room(self) -> bool:
        """Whether another one may start."""
        limit = _MAX_HELD * self.concurrency
        return len(self._held) < limit and len(self.running) < self.concurrency

    def __len__(self) -> int:
        return len(self._held)

    def add(self, task: Running) -> None:
        """Add one that has just started."""
        self._held.append(task)

    def pop(self) -> Running | None:
        """Remove the next one if it has ended: in order, or any."""
        candidates = self._held[:1] if self._ordered else self._held
        for index, task in enumerate(candidates):
            if task.done():
                return self._held.pop(index)
        return None

    def clear(self) -> list[Running]:
        """Remove all."""
        held, self._held = self._held, []
        return held
