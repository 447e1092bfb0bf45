"""Many questions, a bounded number at a time, with and without asyncio."""

import asyncio
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Sized,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar, cast

import httpx2

from glore_client.errors import GloreError, InvalidQuestionError
from glore_client.in_flight import InFlight
from glore_client.outcomes import Answered, Failed, Outcome
from glore_client.progress import Progress, progress_counter
from glore_client.questions import Question
from glore_client.responses import MAX_BODY
from glore_client.results import SolveResult

T = TypeVar("T")
Solve: TypeAlias = Callable[[Question], Coroutine[Any, Any, SolveResult]]
Close: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class End:
    """There are no more questions; None would be one, though an invalid one."""


async def solve_many(
    solve: Solve,
    questions: AsyncIterable[str | Question] | Iterable[str | Question],
    in_flight: InFlight,
    progress: Progress,
) -> AsyncGenerator[Outcome, None]:
    """How each question ended. The next question is read when there is room for it.

    Closing this, or cancelling the task that it runs in, cancels the questions that still run.
    """
    source = aiter(questions if isinstance(questions, AsyncIterable) else _as_async(questions))
    reading: asyncio.Task[str | Question | End] | None = None
    index, exhausted = 0, False
    try:
        with progress_counter(progress, _count(questions)) as count_one:
            while True:
                if reading is None and not exhausted and in_flight.has_room:
                    reading = asyncio.create_task(_next(source))
                if reading is not None and reading.done():
                    given, reading = reading.result(), None
                    if isinstance(given, End):
                        exhausted = True
                    else:
                        question = Question.of(given)
                        in_flight.add(asyncio.create_task(_outcome(solve, index, question)))
                        index += 1
                    continue
                ended = in_flight.pop()
                if ended is not None:
                    count_one()
                    yield ended.result()
                    continue
                if exhausted and not len(in_flight):
                    return
                pending = {*in_flight.running, *([reading] if reading else [])}
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel([*in_flight.clear(), *([reading] if reading else [])])


def solve_many_blocking(
    solve: Solve,
    close: Close,
    questions: Iterable[str | Question],
    in_flight: InFlight,
    progress: Progress,
) -> Generator[Outcome, None, None]:
    """The same without asyncio: `solve_many` runs in an event loop of another thread.

    So an interrupt (Ctrl-C), or closing this, cancels the questions at once. Questions are read in
    the thread that iterates: `requests` has a future for each that is wanted, and None when there
    is an outcome. `close` is awaited last.
    """
    requests: SimpleQueue[asyncio.Future[str | Question | End] | None] = SimpleQueue()

    async def source() -> AsyncGenerator[str | Question, None]:
        while True:
            wanted: asyncio.Future[str | Question | End] = loop.create_future()
            requests.put(wanted)
            question = await wanted
            if isinstance(question, End):
                return
            yield question

    count, unread = _count(questions), iter(questions)
    with (
        _loop_thread(close, in_flight.concurrency) as loop,
        progress_counter(progress, count) as count_one,
    ):
        outcomes = solve_many(solve, source(), in_flight, progress=False)
        while True:
            outcome = asyncio.run_coroutine_threadsafe(_next(outcomes), loop)
            outcome.add_done_callback(lambda _: requests.put(None))
            while (wanted := requests.get()) is not None:
                loop.call_soon_threadsafe(wanted.set_result, next(unread, End()))
            ended = outcome.result()
            if isinstance(ended, End):
                return
            count_one()
            yield ended


@contextmanager
def _loop_thread(close: Close, max_threads: int) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own.

    Leaving cancels its tasks, awaits `close`, and ends its thread and those of
    `asyncio.to_thread`, of which there are `max_threads` at most.
    """
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_threads, "glore-client-blocking"))

    async def shut_down() -> None:
        await _cancel(asyncio.all_tasks() - {asyncio.current_task()})
        await close()
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()

    def run() -> None:
        loop.run_forever()
        loop.run_until_complete(shut_down())
        loop.close()

    thread = threading.Thread(target=run, name="glore-client", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class SharedTransport(httpx2.AsyncBaseTransport):
    """The transport of another client, for asyncio. Closing this leaves it open.

    One that knows no asyncio is called in threads. There a call that is cancelled runs to its end.
    """

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request. Raises httpx2.TransportError."""
        if isinstance(self._transport, httpx2.AsyncBaseTransport):
            return await self._transport.handle_async_request(request)
        return await asyncio.to_thread(self._respond, request)

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        response = self._transport.handle_request(request)
        body = bytearray()
        with closing(response):
            for chunk in cast("httpx2.SyncByteStream", response.stream):
                body += chunk
                if len(body) > MAX_BODY:  # the reader sees that it is too long
                    break
        stream = httpx2.ByteStream(bytes(body))
        return httpx2.Response(response.status_code, headers=response.headers, stream=stream)


async def _outcome(solve: Solve, index: int, question: Question) -> Outcome:
    """How a question ended; its errors are not raised."""
    fault = question.fault
    if fault is not None:
        return Failed(index, question, InvalidQuestionError(fault, request_id=""))
    try:
        return Answered(index, question, await solve(question))
    except GloreError as error:
        return Failed(index, question, error)


async def _cancel(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel the tasks, and wait until they have ended."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _as_async(questions: Iterable[T]) -> AsyncIterator[T]:
    for question in questions:
        yield question


async def _next(source: AsyncIterator[T]) -> T | End:
    return await anext(source, End())


def _count(questions: object) -> int | None:
    return len(questions) if isinstance(questions, Sized) else None
