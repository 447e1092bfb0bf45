"""`Client` and `AsyncClient`: the same calls, with and without an event loop."""

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
from functools import partial
from typing import Self, Unpack

import httpx2

from glore_client.base_client import LIMITS, BaseClient, no_cookies, refuse_text
from glore_client.in_flight import InFlight
from glore_client.keywords import names_nearest
from glore_client.many import SharedTransport, solve_many, solve_many_blocking
from glore_client.outcomes import Outcome
from glore_client.progress import Progress
from glore_client.questions import CallOptions, Question, SolveOptions
from glore_client.results import Feedback, Readiness, SolveResult
from glore_client.retries import RetryPolicy
from glore_client.streams import AsyncStream, Stream
from glore_client.transport import (
    AsyncTransport,
    BlockingTransport,
    iterate_blocking,
    run_blocking,
)

READY_TIMEOUT = 10.0
SILENCE = 30.0  # a gateway sends a heartbeat every 10 s by default


@names_nearest
class Client(BaseClient):
    """Asks a GLoRe gateway. Close it, or use it as a context manager.

    The defaults of `base_url` and `api_key` are GLORE_URL and GLORE_API_KEY. The key is sent with
    every call, as `Authorization: Bearer KEY`. `transport` and `sleep` replace network and time in
    tests. Threads may share a client. Raises ValueError for a `base_url` that is not http or https,
    and for a key that cannot be sent.
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
        self._own_transport = transport
        self._sleep = sleep

    def solve(
        self,
        question: str | Question,
        *,
        request_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> SolveResult:
        """The answer to `question`. Raises GloreError.

        Raises ValueError for an invalid time and a request id that cannot be sent.
        """
        return run_blocking(self._solve(question, request_id, options))

    def stream(
        self,
        question: str | Question,
        *,
        silence: float = SILENCE,
        request_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Stream:
        """The events of `question` while it is answered: `with client.stream(...) as events`.

        `silence`: seconds without a byte after which the call ends. Raises ValueError for an
        invalid time.
        """
        return Stream(self._stream(question, silence, request_id, options))

    def solve_many(
        self,
        questions: Iterable[str | Question],
        *,
        concurrency: int = 8,
        ordered: bool = True,
        progress: Progress = False,
        **options: Unpack[CallOptions],
    ) -> Generator[Outcome, None, None]:
        """How each question ended, in order or as they end; `concurrency` run at a time.

        A question that fails gives a `Failed`. `questions` may be endless: the next one is read
        when there is room for it. An interrupt, or `close()` of the generator, cancels the rest.
        `progress`: True for a bar, or a function that gets how many of how many are done.
        """
        refuse_text(questions)
        options = self._with_defaults(options)
        in_flight = InFlight(concurrency, ordered=ordered)
        client = self._for_asyncio()
        solve = partial(client.solve, **options)
        return solve_many_blocking(solve, client.aclose, questions, in_flight, progress)

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

        With an `idempotency_key` the gateway stores results; a response that breaks off is then
        requested again and continues. Seconds: `timeout` for all, which the gateway gets too, and
        `silence` without a byte. Raises ValueError for an invalid time, and for a key or request id
        that cannot be sent.
        """
        return iterate_blocking(
            self._solve_batch(questions, idempotency_key, timeout, silence, request_id, options)
        )

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
        one of `correct` and `expected_answer`, and for an invalid time.
        """
        return run_blocking(self._feedback(answer, correct, expected_answer, timeout))

    def ready(self, *, timeout: float = READY_TIMEOUT) -> Readiness:
        """Whether the gateway and its engines can answer, without retries.

        Raises GloreError, and ValueError for an invalid time.
        """
        return run_blocking(self._ready(timeout))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _transport(self) -> BlockingTransport:
        return BlockingTransport(self._http, self._headers, self._sleep)

    def _for_asyncio(self) -> "AsyncClient":
        """A client like this one, which leaves a transport of the caller open."""
        transport = self._own_transport

        async def sleep(seconds: float) -> None:
            await asyncio.to_thread(self._sleep, seconds)

        return AsyncClient(
            self._base_url,
            headers=self._headers,
            retry=self._retry,
            transport=None if transport is None else SharedTransport(transport),
            sleep=asyncio.sleep if self._sleep is time.sleep else sleep,
            clock=self._clock,
        )


@names_nearest
class AsyncClient(BaseClient):
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
        return await self._solve(question, request_id, options)

    def stream(
        self,
        question: str | Question,
        *,
        silence: float = SILENCE,
        request_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncStream:
        """`async with client.stream(...) as events`; see `Client.stream`."""
        return AsyncStream(self._stream(question, silence, request_id, options))

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

        To stop before the end, `aclose()` it, as `contextlib.aclosing` does.
        """
        refuse_text(questions)
        options = self._with_defaults(options)
        in_flight = InFlight(concurrency, ordered=ordered)
        return solve_many(partial(self.solve, **options), questions, in_flight, progress)

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

        To stop before the end, `aclose()` it, as `contextlib.aclosing` does.
        """
        return self._solve_batch(questions, idempotency_key, timeout, silence, request_id, options)

    async def feedback(
        self,
        answer: SolveResult | str,
        *,
        correct: bool | None = None,
        expected_answer: str | None = None,
        timeout: float = READY_TIMEOUT,
    ) -> Feedback:
        """Tell the gateway whether an answer was right; see `Client.feedback`."""
        return await self._feedback(answer, correct, expected_answer, timeout)

    async def ready(
        self,
        *,
        timeout: float = READY_TIMEOUT,
    ) -> Readiness:
        """Whether the gateway and its engines can answer; see `Client.ready`."""
        return await self._ready(timeout)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _transport(self) -> AsyncTransport:
        return AsyncTransport(self._http, self._headers, self._sleep)
