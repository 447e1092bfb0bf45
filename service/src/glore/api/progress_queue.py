"""Progress of a question while it is answered: shared by all that stream.

    async with run_streaming(job, context, record) as queue:
        async for item in queue:  # Admitted, then Delta | StageDone, and last the SolveResponse
            ...

Silence may come before each of them. Iterating raises OverloadedError before the question has its
turn, ShuttingDownError, what `no_draft_problem` gives when there is no draft, and what else the
work raised. Metrics and the record are kept here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Self, TypeAlias

from glore.api.answering import admitted, failed, finished, refined
from glore.api.context import Context
from glore.api.record import RequestRecord
from glore.api.schemas import SolveResponse
from glore.api.waiting import WaitTimer
from glore.refinement.progress import Delta, ProgressItem, StageDone
from glore.refinement.runner import NoDraftError
from glore.refinement.types import Job, Stage

JOIN_S: Final = 0.02  # how long a delta may wait for others


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """There was no progress for `Context.heartbeat` seconds: time for a heartbeat."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The question has waited for its turn, and is worked on from now on."""


_Source: TypeAlias = tuple[Stage, int, int]  # of a text: stage, base, round
StreamItem: TypeAlias = Admitted | Delta | StageDone | Heartbeat | SolveResponse


@dataclass(frozen=True, slots=True)
class _Text:
    """The deltas of a text that wait, to be read as one."""

    first: Delta
    parts: list[str]


class ProgressQueue:
    """The progress of a question, in order; the response comes last.

    Deltas that wait to be read are joined, those of each stage between two events to one. They wait
    until JOIN_S after the reader had all there was; not the first of a stage, and not those before
    an event. A slow reader gets fewer and longer ones: never is more kept than the texts.
    """

    def __init__(self, heartbeat: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._unread: deque[Admitted | StageDone | _Text] = deque()
        self._joinable: dict[_Source, _Text] = {}  # those that no event follows
        self._begun: set[_Source] = set()  # the texts that have had a delta
        self._work: asyncio.Task[SolveResponse] | None = None  # once it has ended
        self._over = False
        self._due = False  # what waits is to be read now
        self._joins_until = 0.0  # the loop's time
        self._reader: asyncio.Future[None] | None = None  # waits for news
        self._flush: asyncio.TimerHandle | None = None
        self._silence = WaitTimer(heartbeat, self._end_wait)  # `heartbeat` in seconds

    def begin(self) -> None:
        """It is the question's turn."""
        self._unread.append(Admitted())
        self._wake()

    def put(self, progress: ProgressItem) -> None:
        """Keep it until it is read."""
        if isinstance(progress, Delta):
            self._put_delta(progress)
            return
        self._joinable.clear()
        self._unread.append(progress)
        self._wake()

    def end(self, work: asyncio.Task[SolveResponse]) -> None:
        """There is no more progress: only how the work ended is still to come."""
        self._work = work
        self._wake()

    def close(self) -> None:
        """Nobody reads any more."""
        if self._flush is not None:
            self._flush.cancel()
        self._silence.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamItem:
        while not (self._due and self._unread):
            if self._over:
                raise StopAsyncIteration
            if self._work is not None:
                self._over = True
                return self._work.result()
            if not await self._news():
                return Heartbeat()
        item = self._unread.popleft()
        if not isinstance(item, _Text):
            return item
        source = _source(item.first)
        if self._joinable.get(source) is item:
            del self._joinable[source]
        return replace(item.first, text="".join(item.parts))

    def _put_delta(self, delta: Delta) -> None:
        source = _source(delta)
        waiting = self._joinable.get(source)
        if waiting is not None:
            waiting.parts.append(delta.text)
            return
        text = self._joinable[source] = _Text(delta, [delta.text])
        self._unread.append(text)
        if source not in self._begun:
            self._begun.add(source)
            self._wake()
        elif self._loop.time() >= self._joins_until:
            self._wake()
        elif self._flush is None:
            self._flush = self._loop.call_at(self._joins_until, self._flushed)

    def _flushed(self) -> None:
        self._flush = None
        self._wake()

    def _wake(self) -> None:
        """Let what waits be read."""
        self._due = True
        self._end_wait()

    async def _news(self) -> bool:
        """Wait until something is to be read; False after `heartbeat` seconds of silence."""
        if self._due:
            self._due = False
            self._joins_until = self._loop.time() + JOIN_S
        self._reader = self._loop.create_future()
        self._silence.begin()
        await self._reader
        self._silence.end()
        return self._due

    def _end_wait(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _source(delta: Delta) -> _Source:
    return delta.stage, delta.base, delta.round


@asynccontextmanager
async def run_streaming(
    job: Job, context: Context, record: RequestRecord
) -> AsyncIterator[ProgressQueue]:
    """The wait for a turn and the work on a question; both are stopped when the block is left.

    The turn ends with the work, however slow its reader is.
    """
    queue = ProgressQueue(context.heartbeat)

    async def work() -> SolveResponse:
        with context.metrics.solving():
            try:
                async with context.drain.work(), admitted(job, context, record.client) as timely:
                    queue.begin()
                    outcome = await refined(timely, context, record.request_id, queue.put)
            except NoDraftError as error:
                raise failed(error, record, context) from error
        return finished(outcome, record, context)

    working = asyncio.create_task(work())
    working.add_done_callback(queue.end)
    try:
        yield queue
    finally:
        queue.close()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
