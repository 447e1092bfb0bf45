"""A question that is told of while it is answered: shared by all that stream.

    async with telling(task, context, record) as told:
        async for item in told:  # Turn, then Delta | Advanced, and as the last the SolveResponse
            ...

Silence may come before each of them. Iterating raises OverloadedError before the question has its
turn, ShuttingDownError, what `no_draft_problem` gives when there is no draft, and what else the
work raised. Metrics and the record are kept here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self, TypeAlias

from service.api.answering import found, lost, turn
from service.api.context import Context
from service.api.record import RequestRecord
from service.api.schemas import SolveResponse
from service.refinement.progress import Advanced, Delta, Progress
from service.refinement.runner import NoDraftError, refine
from service.refinement.types import Task


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was told for `Context.heartbeat` seconds: time for a sign of life."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The question has waited for its turn, and is worked on from now on."""


Told: TypeAlias = Turn | Delta | Advanced | Silence | SolveResponse


class Telling:
    """What is told of a question, in order; the response comes last.

    Deltas that wait to be read are joined, those of each stage between two events to one: a slow
    reader gets fewer and longer ones, and never is more kept than the texts themselves.
    """

    def __init__(self, heartbeat: float) -> None:
        self._heartbeat = heartbeat  # seconds
        self._untold: deque[Turn | Progress] = deque()
        self._work: asyncio.Task[SolveResponse] | None = None  # once it has ended
        self._news = asyncio.Event()
        self._over = False

    def begin(self) -> None:
        """It is the question's turn."""
        self._untold.append(Turn())
        self._news.set()

    def tell(self, progress: Progress) -> None:
        """Keep it until it is read."""
        if not (isinstance(progress, Delta) and self._join(progress)):
            self._untold.append(progress)
        self._news.set()

    def end(self, work: asyncio.Task[SolveResponse]) -> None:
        """Nothing more is told but how the work ended."""
        self._work = work
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        while not self._untold:
            if self._over:
                raise StopAsyncIteration
            if self._work is not None:
                self._over = True
                return self._work.result()
            self._news.clear()
            try:
                async with asyncio.timeout(self._heartbeat):
                    await self._news.wait()
            except TimeoutError:
                return Silence()
        return self._untold.popleft()

    def _join(self, new: Delta) -> bool:
        """Whether a delta of the same stage waits, with no event after it; `new` is then in it."""
        for place in range(len(self._untold) - 1, -1, -1):
            waiting = self._untold[place]
            if not isinstance(waiting, Delta):
                return False
            if waiting.stage is new.stage:
                self._untold[place] = Delta(new.stage, waiting.text + new.text)
                return True
        return False


@asynccontextmanager
async def telling(task: Task, context: Context, record: RequestRecord) -> AsyncIterator[Telling]:
    """The wait for a turn and the work on a question; both are stopped when the block is left.

    The turn ends with the work, however slow its reader is.
    """
    told = Telling(context.heartbeat)

    async def work() -> SolveResponse:
        with context.metrics.solving():
            try:
                async with context.drain.work(), turn(task, context, record.client) as timely:
                    told.begin()
                    outcome = await refine(timely, context.engines, context.clock, told.tell)
            except NoDraftError as error:
                raise lost(error, record, context) from error
        return found(outcome, record, context)

    working = asyncio.create_task(work())
    working.add_done_callback(told.end)
    try:
        yield told
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
