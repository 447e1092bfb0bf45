"""Many questions, a bounded number at a time, from asyncio and from without."""

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
    Sized,
)
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast

import httpx2

from glore_client.answers import LONGEST_ANSWER
from glore_client.outcomes import Outcome
from glore_client.progress import Progress, shown
from glore_client.questions import Question
from glore_client.window import Window

T = TypeVar("T")
Ask: TypeAlias = Callable[[int, Question], Coroutine[Any, Any, Outcome]]


class End:
    """There are no more questions; None is one, though it cannot be sent."""


async def solve_many(
    ask: Ask,
    questions: AsyncIterable[str | Question] | Iterable[str | Question],
    window: Window[asyncio.Task[Outcome]],
    progress: Progress,
) -> AsyncGenerator[Outcome, None]:
    """How each question ended. A question is taken from the source when there is room for it.

    Closing it, or cancelling the task that it runs in, cancels what has not ended.
    """
    source = questions if isinstance(questions, AsyncIterable) else _one_by_one(questions)
    waiting = aiter(source)
    taking: asyncio.Task[str | Question | End] | None = None
    taken, exhausted = 0, False
    try:
        with shown(progress, _count(questions)) as done:
            while True:
                if taking is None and not exhausted and window.has_room:
                    taking = asyncio.create_task(_next(waiting))
                if taking is not None and taking.done():
                    given, taking = taking.result(), None
                    if isinstance(given, End):
                        exhausted = True
                    else:
                        window.add(asyncio.create_task(ask(taken, Question.of(given))))
                        taken += 1
                    continue
                ended = window.pop()
                if ended is not None:
                    done()
                    yield ended.result()
                    continue
                if exhausted and not len(window):
                    return
                pending = {*window.running, *([taking] if taking else [])}
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        tasks: list[asyncio.Task[Any]] = [*window.drain(), *([taking] if taking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def solve_many_blocking(
    ask: Ask,
    client: AbstractAsyncContextManager[object],
    questions: Iterable[str | Question],
    window: Window[Future[Outcome]],
    progress: Progress,
) -> Generator[Outcome, None, None]:
    """The same without asyncio: the calls run in the event loop of another thread.

    So an interrupt (Ctrl-C) or closing this cancels them at once. Questions are taken from the
    source in the thread that asks, and between two of them what has ended is told.
    """
    source = enumerate(questions)
    threads = window.concurrency
    with LoopThread(client, threads) as loop, shown(progress, _count(questions)) as done:
        exhausted = False
        while True:
            if takes := not exhausted and window.has_room:
                index, given = next(source, (-1, End()))
                if isinstance(given, End):
                    exhausted = True
                else:
                    window.add(loop.start(ask(index, Question.of(given))))
            ended = window.pop()
            if ended is not None:
                done()
                yield ended.result()
            elif takes:
                continue
            elif len(window):
                wait(window.running, return_when=FIRST_COMPLETED)
            else:
                return


class LoopThread:
    """An event loop in a thread of its own. Leaving cancels what runs in it, then `client` ends.

    What blocks has `threads` threads (`asyncio.to_thread`); they have ended when this is left.
    """

    def __init__(self, client: AbstractAsyncContextManager[object], threads: int) -> None:
        self._client = client
        self._threads = threads
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live()), name="glore-client", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        loop, over = self._started.result()
        loop.call_soon_threadsafe(over.set)
        self._thread.join()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have it run."""
        return asyncio.run_coroutine_threadsafe(work, self._started.result()[0])

    async def _live(self) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.set_default_executor(ThreadPoolExecutor(self._threads, "glore-client-blocking"))
        async with self._client:
            self._started.set_result((loop, over))
            await over.wait()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Lent(httpx2.AsyncBaseTransport):
    """Another client's transport, for use from asyncio; it is not closed.

    One that knows no asyncio is called in threads. Such a call ends by itself: cancelling it only
    stops the waiting.
    """

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass the request on. Raises httpx2.TransportError."""
        if isinstance(self._transport, httpx2.AsyncBaseTransport):
            return await self._transport.handle_async_request(request)
        return await asyncio.to_thread(self._answer, request)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        response = self._transport.handle_request(request)
        parts: list[bytes] = []
        size = 0
        try:
            for part in cast("httpx2.SyncByteStream", response.stream):
                parts.append(part)
                size += len(part)
                if size > LONGEST_ANSWER:  # as much as shows that it is too long
                    break
        finally:
            response.close()
        body = httpx2.ByteStream(b"".join(parts))
        return httpx2.Response(response.status_code, headers=response.headers, stream=body)


async def _one_by_one(questions: Iterable[str | Question]) -> AsyncIterator[str | Question]:
    for question in questions:
        yield question


async def _next(source: AsyncIterator[str | Question]) -> str | Question | End:
    return await anext(source, End())


def _count(questions: object) -> int | None:
    return len(questions) if isinstance(questions, Sized) else None
