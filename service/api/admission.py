"""How many questions and batches are worked on at once, and how many may wait for their turn.

Work beyond what the engines can do makes every answer late and memory grow, so it is refused at
once, with the time after which it is worth asking again.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

from service.errors import NoDraftInTimeError, OverloadedError

_FIRST_GUESS: Final = 5.0  # seconds a question takes, before any was answered
_FIRST_GUESS_OF_BATCHES: Final = 60.0
_WEIGHT: Final = 0.1  # of the newest question or batch in the mean
_LONGEST_RETRY_AFTER: Final = 60


class _Pace:
    """How long work takes on average, as far as is known. `clock` gives monotonic seconds."""

    def __init__(self, guess: float, clock: Callable[[], float]) -> None:
        self._mean = guess
        self._clock = clock

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Work that is done in the block."""
        started = self._clock()
        try:
            yield
        finally:
            self._mean += _WEIGHT * (self._clock() - started - self._mean)

    def retry_after(self, rounds: float) -> int:
        """Whole seconds until so many pieces of work, one after the other, should have ended."""
        return min(max(1, math.ceil(rounds * self._mean)), _LONGEST_RETRY_AFTER)


class Admission:
    """A gate for `running` questions at once and `waiting` behind them, first come first served.

    `clock` gives monotonic seconds.
    """

    def __init__(self, running: int, waiting: int, clock: Callable[[], float]) -> None:
        self._most_running = running
        self._most_waiting = waiting
        self._pace = _Pace(_FIRST_GUESS, clock)
        self._free = asyncio.Semaphore(running)
        self._batches = asyncio.Semaphore(max(1, running // 2))
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def turn(self, patience: float) -> AsyncIterator[None]:
        """A place at work, waited for at most `patience` seconds. Raises OverloadedError."""
        if self._free.locked() and self.waiting >= self._most_waiting:
            message = f"{self.running} questions are being answered and {self.waiting} wait."
            raise OverloadedError(message, self.retry_after)
        await self._wait(patience)
        async with self._working():
            yield

    @asynccontextmanager
    async def patient_turn(self, patience: float) -> AsyncIterator[None]:
        """A place at work for a question of a batch. Raises NoDraftInTimeError.

        It is waited for at most `patience` seconds: as long as the batch has. There are as few
        who wait as there are open batches (`Places`), so it is not refused, and takes no place in
        the queue of the others. All batches together have half of the places at most, and as few
        stand in line before a single question.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(patience):
                    await stack.enter_async_context(self._batches)
                    await self._free.acquire()
            except TimeoutError:
                message = "There was no turn before the time of the batch was up."
                raise NoDraftInTimeError(message) from None
            async with self._working():
                yield

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        """Count and time one who has a place, and give it back."""
        self.running += 1
        try:
            with self._pace.timed():
                yield
        finally:
            self.running -= 1
            self._free.release()

    @property
    def retry_after(self) -> int:
        """Whole seconds until there should be room: the queue's length in mean times of work."""
        return self._pace.retry_after((self.waiting + 1) / self._most_running)

    async def _wait(self, patience: float) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(patience):
                await self._free.acquire()
        except TimeoutError:
            message = f"There was no turn within {patience:.1f} s."
            raise OverloadedError(message, self.retry_after) from None
        finally:
            self.waiting -= 1


class Places:
    """Room for `most` batches at once; nobody waits for it. `clock` gives monotonic seconds."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._pace = _Pace(_FIRST_GUESS_OF_BATCHES, clock)
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places, for as long as the block runs. Raises OverloadedError."""
        if self.taken >= self._most:
            message = f"{self.taken} batches are being answered."
            raise OverloadedError(message, self.retry_after)
        self.taken += 1
        try:
            with self._pace.timed():
                yield
        finally:
            self.taken -= 1

    @property
    def retry_after(self) -> int:
        """Whole seconds until a batch should end: a share of the mean time that they take."""
        return self._pace.retry_after(1 / self._most)
