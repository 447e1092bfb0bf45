"""`Client` and `AsyncClient`: the same calls, carried out with and without await."""

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import aclosing, closing
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx2

from glore_client.calls import LIMITS, Calls, no_cookies, refuse_text
from glore_client.carriers import AsyncCarrier, Carrier
from glore_client.errors import GloreError, InvalidQuestionError
from glore_client.keywords import names_nearest
from glore_client.many import Ask, Lent, solve_many, solve_many_blocking
from glore_client.outcomes import Answered, Failed, Outcome
from glore_client.progress import Progress
from glore_client.questions import CallOptions, Question, SolveOptions
from glore_client.results import Feedback, Readiness, SolveResult
from glore_client.retries import RetryPolicy
from glore_client.steps import Flow
from glore_client.streams import AsyncStream, Stream
from glore_client.window import Window

T = TypeVar("T")

READY_TIMEOUT = 10.0
SILENCE = 30.0  # a gateway gives a sign of life every 10 s by default


@names_nearest
class Client(Calls):
    """Asks a GLoRe gateway. Close it, or use it as a context manager.

    `base_url` and `api_key` are read from GLORE_URL and GLORE_API_KEY where they are not given.
    The key is sent with every call, as `Authorization: Bearer KEY`. `transport` and `sleep`
    stand in for network and time in tests. One client may be shared between threads. Raises
    ValueError for a `base_url` that is not http or https, and for a key that cannot be sent.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(base_url, api_key, headers, retry, clock)
        self._http = httpx2.Client(
            base_url=self._base_url,
            headers=self._headers,
            transport=transport,
            limits=LIMITS,
            trust_env=self._trust_env,
            cookies=no_cookies(),
        )
        self._transport = transport
        self._sleep = sleep

    def solve(
        self,
        question: str | Question,
        *,
        request_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> SolveResult:
        """The answer to `question`. Raises GloreError.

        Raises ValueError for a time that is none and a request id that cannot be sent.
        """
        return self._value(self._solving(question, request_id, options))

    def stream(
        self,
        question: str | Question,
        *,
        silence: float = SILENCE,
        request_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Stream:
        """What is told of `question` while it is answered: `with client.stream(...) as events`.

        `silence`: seconds without a byte after which the gateway is taken for gone. Raises
        ValueError for a time that is none.
        """
        return Stream(self._carrier(self._telling(question, silence, request_id, options)))

    def solve_many(
        self,
        questions: Iterable[str | Question],
        *,
        concurrency: int = 8,
        ordered: bool = True,
        progress: Progress = False,
        **options: Unpack[CallOptions],
    ) -> Generator[Outcome, None, None]:
        """How each question ended, `concurrency` asked at a time; in order, or as they end.

        A question that fails is told as `Failed`. `questions` may be endless: a question is taken
        when there is room for it. An interrupt, or `close()` of what is returned, cancels the
        rest. `progress`: True for a bar, or a function that gets how many of how many are done.
        """
        refuse_text(questions)
        options = self._with_defaults(options)
        asynchronous = self._asynchronous()
        return solve_many_blocking(
            _asking(asynchronous, options),
            asynchronous,
            questions,
            Window(concurrency, ordered=ordered),
            progress,
        )

    def solve_batch(
        self,
        questions: Iterable[str | Question],
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        silence: float = SILENCE,
        request_id: str | None = None,
        **options: Unpack[SolveOptions],
    ) -> Generator[Outcome, None, None]:
        """How each question ended, as they end, from one `POST /solve/batch`.

        With an `idempotency_key` the gateway keeps what has ended; an answer that is cut off is
        then asked for again and goes on. Seconds: `timeout` for all, of which the gateway is told
        too, and `silence` without a byte. Raises ValueError for a time that is none, and for a key
        or request id that cannot be sent.
        """
        flow = self._batching(questions, idempotency_key, timeout, silence, request_id, options)
        return self._items(flow)

    def feedback(
        self,
        answer: SolveResult | str,
        *,
        correct: bool | None = None,
        expected_answer: str | None = None,
        timeout: float = READY_TIMEOUT,
    ) -> Feedback:
        """Tell the gateway whether an answer was right, for its metrics. Raises GloreError.

        `answer` is the result, its id, or the id of its request. Raises ValueError unless there is
        one of `correct` and `expected_answer`, and for a time that is none.
        """
        return self._value(self._judging(answer, correct, expected_answer, timeout))

    def ready(self, *, timeout: float = READY_TIMEOUT) -> Readiness:
        """Whether the gateway and its engines can answer, asked once. Raises GloreError.

        Raises ValueError for a time that is none.
        """
        return self._value(self._readying(timeout))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _carrier(self, flow: Flow[T]) -> Carrier[T]:
        return Carrier(flow, self._http, self._headers, self._sleep)

    def _value(self, flow: Flow[T]) -> T:
        with closing(self._carrier(flow)) as carrier:
            return next(carrier)

    def _items(self, flow: Flow[T]) -> Generator[T, None, None]:
        with closing(self._carrier(flow)) as carrier:
            yield from carrier

    def _asynchronous(self) -> "AsyncClient":
        """A client like this one, for asyncio."""
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        if self._sleep is not time.sleep:

            async def sleep(seconds: float) -> None:
                await asyncio.to_thread(self._sleep, seconds)

        return AsyncClient(
            self._base_url,
            headers=self._headers,
            retry=self._retry,
            transport=None if self._transport is None else Lent(self._transport),
            sleep=sleep,
            clock=self._clock,
        )


@names_nearest
class AsyncClient(Calls):
    """Asks a GLoRe gateway from asyncio. Close it, or use it as an async context manager.

    A cancelled call closes its connection, and the gateway then stops its engines' work.
    The arguments, the calls and what they raise: see `Client`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(base_url, api_key, headers, retry, clock)
        self._http = httpx2.AsyncClient(
            base_url=self._base_url,
            headers=self._headers,
            transport=transport,
            limits=LIMITS,
            trust_env=self._trust_env,
            cookies=no_cookies(),
        )
        self._sleep = sleep

    async def solve(
        self,
        question: str | Question,
        *,
        request_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> SolveResult:
        """The answer to `question`; see `Client.solve`."""
        return await self._value(self._solving(question, request_id, options))

    def stream(
        self,
        question: str | Question,
        *,
        silence: float = SILENCE,
        request_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncStream:
        """`async with client.stream(...) as events`; see `Client.stream`."""
        return AsyncStream(self._carrier(self._telling(question, silence, request_id, options)))

    def solve_many(
        self,
        questions: AsyncIterable[str | Question] | Iterable[str | Question],
        *,
        concurrency: int = 8,
        ordered: bool = True,
        progress: Progress = False,
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[Outcome, None]:
        """How each question ended; see `Client.solve_many`.

        Whoever stops before the end should `aclose()` it, as `contextlib.aclosing` does.
        """
        refuse_text(questions)
        options = self._with_defaults(options)
        window: Window[asyncio.Task[Outcome]] = Window(concurrency, ordered=ordered)
        return solve_many(_asking(self, options), questions, window, progress)

    def solve_batch(
        self,
        questions: Iterable[str | Question],
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        silence: float = SILENCE,
        request_id: str | None = None,
        **options: Unpack[SolveOptions],
    ) -> AsyncGenerator[Outcome, None]:
        """How each question ended, as they end; see `Client.solve_batch`.

        Whoever stops before the end should `aclose()` it, as `contextlib.aclosing` does.
        """
        flow = self._batching(questions, idempotency_key, timeout, silence, request_id, options)
        return self._items(flow)

    async def feedback(
        self,
        answer: SolveResult | str,
        *,
        correct: bool | None = None,
        expected_answer: str | None = None,
        timeout: float = READY_TIMEOUT,
    ) -> Feedback:
        """Tell the gateway whether an answer was right; see `Client.feedback`."""
        return await self._value(self._judging(answer, correct, expected_answer, timeout))

    async def ready(
        self,
        *,
        timeout: float = READY_TIMEOUT,
    ) -> Readiness:
        """Whether the gateway and its engines can answer, asked once. Raises GloreError."""
        return await self._value(self._readying(timeout))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _carrier(self, flow: Flow[T]) -> AsyncCarrier[T]:
        return AsyncCarrier(flow, self._http, self._headers, self._sleep)

    async def _value(self, flow: Flow[T]) -> T:
        async with aclosing(self._carrier(flow)) as carrier:
            return await anext(carrier)

    async def _items(self, flow: Flow[T]) -> AsyncGenerator[T, None]:
        async with aclosing(self._carrier(flow)) as carrier:
            async for item in carrier:
                yield item


def _asking(client: AsyncClient, options: CallOptions) -> Ask:
    """What asks one of many questions, and tells how it ended instead of raising."""

    async def ask(index: int, question: Question) -> Outcome:
        fault = question.fault
        if fault is not None:
            return Failed(index, question, InvalidQuestionError(fault, request_id=""))
        try:
            return Answered(index, question, await client.solve(question, **options))
        except GloreError as error:
            return Failed(index, question, error)

    return ask
