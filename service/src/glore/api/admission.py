"""How many questions and batches run at once, and how many may wait in the queue.

Work beyond what the engines can do makes every answer late and memory grow, so it is refused at
once, with the time after which it is worth asking again.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

from glore.api.record import ANONYMOUS
from glore.errors import NoDraftInTimeError, OverloadedError, RateLimitedError

_FIRST_GUESS: Final = 5.0  # seconds a question takes, before any was answered
_FIRST_GUESS_OF_BATCHES: Final = 60.0
_WEIGHT: Final = 0.1  # of the newest question or batch in the mean
_LONGEST_RETRY_AFTER: Final = 60


class NoSpareSlotError(Exception):
    """More than half of the slots are taken, or questions wait."""


class _WorkTime:
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


class _Share:
    """What one API key may use of the slots, and of the queue behind them."""

    def __init__(self, running: int, waiting: int) -> None:
        self.running = running
        self.most_waiting = waiting
        self.free = asyncio.Semaphore(running)
        self.waiting = 0

    @property
    def is_taken(self) -> bool:
        """Whether one more question of this key would be too many."""
        return self.free.locked() and self.waiting >= self.most_waiting


class Admission:
    """A gate for `running` questions at once and `waiting` behind them, first come first served.

    With a `share` (0..1) each client has at most that part of either number, and at least one
    slot. `clock` gives monotonic seconds. `waited` is called when a wait ends, with how it ended
    (`turn`, `timeout` or `gone`) and its seconds.
    """

    def __init__(
        self,
        running: int,
        waiting: int,
        clock: Callable[[], float],
        share: float | None = None,
        waited: Callable[[str, float], None] = lambda _outcome, _seconds: None,
    ) -> None:
        self._clock = clock
        self._waited = waited
        self._most_running = running
        self._most_waiting = waiting
        self._share = share
        self._shares: dict[str, _Share] = {}  # by client; there are as many as keys
        self._pace = _WorkTime(_FIRST_GUESS, clock)
        self._free = asyncio.Semaphore(running)
        self._batches = asyncio.Semaphore(max(1, running // 2))
        self._spare: list[Callable[[], None]] = []  # what ends the work in each spare slot
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def slot(self, queue_timeout: float, client: str = ANONYMOUS) -> AsyncIterator[None]:
        """A slot to work in, after at most `queue_timeout` seconds in the queue.

        Raises OverloadedError, and RateLimitedError where the client has its share.
        """
        own = self._share_of(client)
        if own and own.is_taken:
            message = (
                f"Of one key, {own.running} questions are answered at once and "
                f"{own.most_waiting} wait."
            )
            retry_after = self._pace.retry_after((own.waiting + 1) / own.running)
            raise RateLimitedError(message, retry_after)
        if self._free.locked() and self.waiting >= self._most_waiting:
            message = f"{self.running} questions are being answered and {self.waiting} wait."
            raise OverloadedError(message, self.retry_after)
        async with AsyncExitStack() as stack:
            with self._counted(own):
                try:
                    with self._timed():
                        async with asyncio.timeout(queue_timeout):
                            if own:
                                await stack.enter_async_context(own.free)
                            await stack.enter_async_context(self._free)
                except TimeoutError:
                    message = f"There was no turn within {queue_timeout:.1f} s."
                    raise OverloadedError(message, self.retry_after) from None
            with self._working():
                yield

    @asynccontextmanager
    async def batch_slot(
        self, queue_timeout: float, client: str = ANONYMOUS
    ) -> AsyncIterator[None]:
        """A slot for a question of a batch. Raises NoDraftInTimeError.

        The queue timeout is the time that the batch has left. Only open batches wait here
        (`BatchLimiter`), so none is refused, and none waits in the queue of single questions. All
        batches together use at most half of the slots.
        """
        own = self._share_of(client)
        async with AsyncExitStack() as stack:
            try:
                with self._timed():
                    async with asyncio.timeout(queue_timeout):
                        if own:
                            await stack.enter_async_context(own.free)
                        await stack.enter_async_context(self._batches)
                        await stack.enter_async_context(self._free)
            except TimeoutError:
                message = "There was no turn before the time of the batch was up."
                raise NoDraftInTimeError(message) from None
            with self._working():
                yield

    @contextmanager
    def spare_slot(self, give_way: Callable[[], None]) -> Iterator[None]:
        """A slot for work that no client waits for. Raises NoSpareSlotError.

        It is there while at most half of all slots are taken, spare ones included. No question
        waits for it: when one needs the slot, `give_way` is called and must end the work.
        """
        taken = self.running + len(self._spare)
        if self.waiting or taken >= max(1, self._most_running // 2):
            raise NoSpareSlotError
        self._spare.append(give_way)
        try:
            yield
        finally:
            if give_way in self._spare:
                self._spare.remove(give_way)

    @property
    def retry_after(self) -> int:
        """Whole seconds until there should be room: the queue's length in mean times of work."""
        return self._pace.retry_after((self.waiting + 1) / self._most_running)

    def _share_of(self, client: str) -> _Share | None:
        if self._share is None:
            return None
        if client not in self._shares:
            running, waiting = self._most_running * self._share, self._most_waiting * self._share
            self._shares[client] = _Share(max(1, int(running)), int(waiting))
        return self._shares[client]

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Tell how long the wait in the block took, and how it ended."""
        began, outcome = self._clock(), "gone"
        try:
            yield
            outcome = "turn"
        except TimeoutError:
            outcome = "timeout"
            raise
        finally:
            self._waited(outcome, self._clock() - began)

    @contextmanager
    def _counted(self, own: _Share | None) -> Iterator[None]:
        """Count one who waits."""
        self.waiting += 1
        if own:
            own.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1
            if own:
                own.waiting -= 1

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Count and time one who has a slot."""
        self.running += 1
        if self._spare and self.running + len(self._spare) > self._most_running:
            self._spare.pop()()
        try:
            with self._pace.timed():
                yield
        finally:
            self.running -= 1


class BatchLimiter:
    """Room for `most` batches at once; nobody waits for it.

    With a `share` (0..1) each client has at most that part of it, and one at least. `clock` gives
    monotonic seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float], share: float | None = None) -> None:
        self._most = most
        self._most_of_one = most if share is None else max(1, int(most * share))
        self._pace = _WorkTime(_FIRST_GUESS_OF_BATCHES, clock)
        self._taken: Counter[str] = Counter()  # by client

    @property
    def taken(self) -> int:
        """Batches that have a slot."""
        return sum(tuple(self._taken.values()))  # in one step: scrapes read it in another thread

    def check(self, client: str = ANONYMOUS) -> None:
        """Raises OverloadedError where no slot is free, RateLimitedError beyond the share."""
        if self.taken >= self._most:
            message = f"{self.taken} batches are being answered."
            raise OverloadedError(message, self.retry_after)
        if self._taken[client] >= self._most_of_one:
            message = f"Of one key, {self._most_of_one} batches are answered at once."
            raise RateLimitedError(message, self._pace.retry_after(1 / self._most_of_one))

    @contextmanager
    def slot(self, client: str = ANONYMOUS) -> Iterator[None]:
        """One of the slots, for as long as the block runs. Raises as `check` does."""
        self.check(client)
        self._taken[client] += 1
        try:
            with self._pace.timed():
                yield
        finally:
            self._taken[client] -= 1

    @property
    def retry_after(self) -> int:
        """Whole seconds until a batch should end: a share of the mean time that they take."""
        return self._pace.retry_after(1 / self._most)
