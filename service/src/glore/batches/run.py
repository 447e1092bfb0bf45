"""One batch, worked off: claims, leases, results as they finish. Knows no HTTP.

A question is claimed, answered, stored, and only then sent. If another run has claimed it, this
one looks again until the result is there, or the claim was given back or has expired.

A run that is to stop claims nothing more. It finishes and sends what is being answered, and leaves
the rest to the next run of the batch.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from glore.batches.store import BatchName, Store, StoreFailedError

_RENEWALS: Final = 3  # per lease
_RELEASE_WITHIN: Final = 5.0  # seconds


class StoppedError(Exception):
    """The run had to stop, and has ended with questions left. They have no result."""


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """How one question ended: a result, or the error that it gives this time; both as JSON."""

    text: str
    ok: bool


@dataclass(frozen=True, slots=True)
class FinishedQuestion:
    """An answer on its way to the client; `replayed` if it was found in the store."""

    index: int
    answer: QuestionAnswer
    replayed: bool


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """`concurrency` questions of a batch at once; `lease` and `poll` in seconds."""

    concurrency: int
    lease: float
    poll: float = 0.25


AnswerQuestion: TypeAlias = Callable[[int], Awaitable[QuestionAnswer | None]]
OnFinished: TypeAlias = Callable[[FinishedQuestion], Awaitable[None]]
IsLate: TypeAlias = Callable[[], bool]


class BatchRun:
    """One run through the batch `name` of `size` questions, which has been begun in the store.

    `ask` answers a question and never raises; it gives None for one that was broken off, which is
    neither stored nor sent. `on_finished` takes each answer, one at a time, and may be slow: then
    the work waits. Errors are sent and not stored. Once it is `late`, `ask` gives only errors,
    and so does every question that is left, also one claimed elsewhere. `stop` ends the run early.
    """

    def __init__(
        self,
        name: BatchName,
        size: int,
        store: Store,
        ask: AnswerQuestion,
        on_finished: OnFinished,
        pace: BatchLimits,
        late: IsLate = lambda: False,
        stop: asyncio.Event | None = None,
    ) -> None:
        self._name = name
        self._store = store
        self._ask = ask
        self._on_finished = on_finished
        self._pace = pace
        self._late = late
        self._stop = stop or asyncio.Event()
        self._holder = uuid.uuid4().hex
        self._left = set(range(size))
        self._open: deque[int] = deque()
        self._elsewhere: set[int] = set()
        self._changed = asyncio.Condition()
        self._telling = asyncio.Lock()

    async def run(self) -> None:
        """Until every question was reported.

        Raises StoppedError, StoreFailedError, what `tell` raises.

        When it ends early, by an error or because it was cancelled, its claims are given back.
        """
        try:
            await self._replay(self._left)
            self._open.extend(sorted(self._left))
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(helper)
                    for helper in (self._renew(), self._look(), self._wake())
                ]
                workers = [
                    group.create_task(self._work())
                    for _ in range(min(self._pace.concurrency, len(self._left)))
                ]
                await asyncio.gather(*workers)
                async with self._telling:  # what is on its way to a slow reader was counted
                    for helper in helpers:
                        helper.cancel()
            if self._left:
                message = f"{len(self._left)} questions are left"
                raise StoppedError(message)
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            with suppress(StoreFailedError, TimeoutError):
                async with asyncio.timeout(_RELEASE_WITHIN):
                    await self._store.release(self._name, self._holder)

    async def _work(self) -> None:
        while (index := await self._next()) is not None:
            if self._late():
                answer = await self._ask(index)
                if answer is not None:
                    await self._finish(FinishedQuestion(index, answer, replayed=False))
            elif await self._store.claim(self._name, index, self._holder, self._pace.lease):
                await self._answer(index)
            else:
                self._elsewhere.add(index)

    async def _answer(self, index: int) -> None:
        """Ask a question that has been claimed, and tell of it."""
        answer = await self._ask(index)
        if answer is None:
            return  # its claim is given back at the end of the run, which is near
        if not answer.ok:
            await self._store.release(self._name, self._holder, index)
        elif not await self._store.finish(self._name, index, self._holder, answer.text):
            self._elsewhere.add(index)  # the lease was lost: the result is another's to give
            return
        await self._finish(FinishedQuestion(index, answer, replayed=False))

    async def _next(self) -> int | None:
        """An open question, as soon as there is one; None when the run is to end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._open or self._ends)
            return None if self._ends else self._open.popleft()

    @property
    def _ends(self) -> bool:
        return not self._left or self._stop.is_set()

    async def _wake(self) -> None:
        """Have those who wait for an open question see that it is to stop."""
        await self._stop.wait()
        async with self._changed:
            self._changed.notify_all()

    async def _look(self) -> None:
        """Tell what was finished elsewhere, and open the rest again, now and then."""
        while True:
            await asyncio.sleep(self._pace.poll)
            waiting, self._elsewhere = self._elsewhere, set()
            if waiting:
                await self._replay(waiting)
                async with self._changed:
                    self._open.extend(sorted(waiting & self._left))
                    self._changed.notify_all()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._pace.lease / _RENEWALS)
            await self._store.renew(self._name, self._holder, self._pace.lease)

    async def _replay(self, wanted: set[int]) -> None:
        """Tell those of `wanted` that the store has; one at a time is in memory."""
        for index in sorted(await self._store.finished(self._name) & wanted):
            if self._stop.is_set():
                return
            result = await self._store.read(self._name, index)
            if result is not None:  # else it was purged just now
                await self._finish(
                    FinishedQuestion(index, QuestionAnswer(result, ok=True), replayed=True)
                )

    async def _finish(self, finished: FinishedQuestion) -> None:
        async with self._telling:
            await self._on_finished(finished)
        async with self._changed:
            self._left.discard(finished.index)
            self._changed.notify_all()
