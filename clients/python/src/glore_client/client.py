"""`Client` and `AsyncClient`: the same calls, carried out with and without await."""

import asyncio
import ipaddress
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from glore_client import exchange
from glore_client.exchange import SLACK, Flow, Pause, Reply, RetryPolicy, SolveCall
from glore_client.results import Readiness, Sampling, SolveResult, Strategy

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_DEADLINE = 60.0
READY_TIMEOUT = 10.0
_KEY = re.compile(r"[!-~]+")


class Client:
    """Asks a GLoRe gateway. Close it, or use it as a context manager.

    `api_key` is sent with every call, as `Authorization: Bearer KEY`. `transport` and `sleep`
    stand in for network and time in tests. One client may be shared between threads. Raises
    ValueError for a `base_url` that is not http or https, and for a key that cannot be sent.
    """

    def __init__(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = httpx2.Client(
            base_url=_checked(base_url),
            headers=_headers(headers, api_key),
            transport=transport,
            trust_env=not _is_loopback(base_url),
        )
        self._retry = retry or RetryPolicy()
        self._sleep = sleep
        self._clock = clock

    def solve(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        question: str,
        *,
        strategy: Strategy = "glore",
        sampling: Sampling | None = None,
        deadline: float = DEFAULT_DEADLINE,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> SolveResult:
        """The answer to `question`.

        `deadline`: seconds the gateway may take; it answers with what it has by then.
        `timeout`: seconds this call may take, tries and pauses together; by default the
        deadline and 5 s. Raises GloreError, or ValueError for a time that is none.
        """
        call = _call(question, strategy, sampling, deadline, timeout, request_id)
        return self._carry_out(exchange.solve(call, self._retry, self._clock))

    def ready(self, *, timeout: float = READY_TIMEOUT) -> Readiness:
        """Whether the gateway and its engines can answer, asked once. Raises GloreError."""
        return self._carry_out(exchange.ready(_new_id(), timeout))

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

    def _carry_out(self, flow: Flow[T]) -> T:
        reply: Reply = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if isinstance(step, Pause):
                self._sleep(step.seconds)
                reply = None
                continue
            try:
                reply = self._http.request(
                    step.method,
                    step.path,
                    headers=step.headers,
                    json=step.body,
                    timeout=step.timeouts(),
                )
            except httpx2.RequestError as error:
                reply = error


class AsyncClient:
    """Asks a GLoRe gateway from asyncio. Close it, or use it as an async context manager.

    A cancelled call closes its connection, and the gateway then stops its engines' work.
    `api_key`, `transport`, `sleep` and what is raised: see `Client`.
    """

    def __init__(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=_checked(base_url),
            headers=_headers(headers, api_key),
            transport=transport,
            trust_env=not _is_loopback(base_url),
        )
        self._retry = retry or RetryPolicy()
        self._sleep = sleep
        self._clock = clock

    async def solve(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        question: str,
        *,
        strategy: Strategy = "glore",
        sampling: Sampling | None = None,
        deadline: float = DEFAULT_DEADLINE,
        timeout: float | None = None,  # noqa: ASYNC109 - covers pauses and tries; a plain number
        request_id: str | None = None,
    ) -> SolveResult:
        """The answer to `question`; see `Client.solve`."""
        call = _call(question, strategy, sampling, deadline, timeout, request_id)
        return await self._carry_out(exchange.solve(call, self._retry, self._clock))

    async def ready(
        self,
        *,
        timeout: float = READY_TIMEOUT,  # noqa: ASYNC109 - handed to the transport
    ) -> Readiness:
        """Whether the gateway and its engines can answer, asked once. Raises GloreError."""
        return await self._carry_out(exchange.ready(_new_id(), timeout))

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

    async def _carry_out(self, flow: Flow[T]) -> T:
        reply: Reply = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if isinstance(step, Pause):
                await self._sleep(step.seconds)
                reply = None
                continue
            try:
                reply = await self._http.request(
                    step.method,
                    step.path,
                    headers=step.headers,
                    json=step.body,
                    timeout=step.timeouts(),
                )
            except httpx2.RequestError as error:
                reply = error


def _call(  # noqa: PLR0913 - what both clients were given
    question: str,
    strategy: Strategy,
    sampling: Sampling | None,
    deadline: float,
    timeout: float | None,
    request_id: str | None,
) -> SolveCall:
    return SolveCall(
        question=question,
        strategy=strategy,
        sampling=sampling,
        deadline=deadline,
        timeout=deadline + SLACK if timeout is None else timeout,
        request_id=request_id or _new_id(),
    )


def _new_id() -> str:
    return uuid.uuid4().hex


def _checked(base_url: str) -> str:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        message = f"not a URL: {base_url!r}"
        raise ValueError(message) from error
    if url.scheme not in {"http", "https"} or not url.host:
        message = f"not an http or https URL: {base_url!r}"
        raise ValueError(message)
    return base_url


def _headers(headers: Mapping[str, str] | None, api_key: str | None) -> httpx2.Headers:
    """What goes out with every call. Raises ValueError, which does not quote the key."""
    sent = httpx2.Headers(headers)
    if api_key is not None:
        if not _KEY.fullmatch(api_key):
            message = "the API key is empty or has characters that a header cannot carry"
            raise ValueError(message)
        sent["Authorization"] = f"Bearer {api_key}"
    return sent


def _is_loopback(base_url: str) -> bool:
    """Whether the gateway runs on this machine, so that no proxy can lead there."""
    host = httpx2.URL(base_url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
