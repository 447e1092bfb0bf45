"""The network as a call sees it, with and without an event loop.

Each call is written once, as a coroutine over a `Transport`. `AsyncClient` awaits it. `Client` runs
it with `run_blocking` over a `BlockingTransport`, whose coroutines block where those of
`AsyncTransport` wait. So the sync client needs no event loop and no thread, and all frames of a
call are on the stack of the caller. docs/design.md says why.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, TypeVar

import httpx2

from glore_client.limits import limit_connection, time_limit

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 5.0  # seconds
MAX_CHUNK: Final = 64 * 1024  # bytes; up to 1 MiB of a compressed body may come at once


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request.

    `timeout`: seconds until the response is complete; if it is a stream, until it begins.
    `silence`: seconds that may pass without a byte of a stream; None for other responses.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, object] | None
    timeout: float
    silence: float | None = None

    @property
    def max_silence(self) -> float:
        """Seconds that may pass without a byte of the response."""
        return self.timeout if self.silence is None else self.silence


class OpenResponse(ABC):
    """A response whose body is read in chunks. Closing it ends the connection if it is in use."""

    def __init__(self, head: httpx2.Response) -> None:
        self.head = head

    @abstractmethod
    async def read(self, timeout: float) -> bytes:
        """The next bytes of the decoded body, b"" at its end.

        Raises httpx2.RequestError, a TimeoutException after `timeout` seconds.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _set_read_timeout(self, timeout: float) -> None:
        """Limit what the transport waits for: it reads the limit when the body begins."""
        self.head.request.extensions["timeout"]["read"] = timeout


class Transport(Protocol):
    """Sends requests and waits."""

    async def send(self, request: ApiRequest) -> OpenResponse:
        """The response, once its head is here. Raises httpx2.RequestError."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class BlockingTransport:
    """Blocks the thread that sends or waits."""

    http: httpx2.Client
    headers: httpx2.Headers
    sleep_for: Callable[[float], None] = time.sleep

    async def send(self, request: ApiRequest) -> OpenResponse:
        """See `Transport`."""
        with time_limit(request.timeout):
            built = _built(self.http, self.headers, request, {"trace": limit_connection})
            return BlockingResponse(self.http.send(built, stream=True))

    async def sleep(self, seconds: float) -> None:
        """See `Transport`."""
        self.sleep_for(seconds)


class BlockingResponse(OpenResponse):
    """Blocks the thread that reads."""

    def __init__(self, head: httpx2.Response) -> None:
        super().__init__(head)
        self._chunks = head.iter_bytes()

    async def read(self, timeout: float) -> bytes:
        """See `OpenResponse`."""
        with time_limit(timeout):
            self._set_read_timeout(timeout)
            return next(self._chunks, b"")

    async def close(self) -> None:
        """Close it."""
        self.head.close()


@dataclass(frozen=True, slots=True)
class AsyncTransport:
    """Lets other tasks of the event loop run while it waits."""

    http: httpx2.AsyncClient
    headers: httpx2.Headers
    sleep_for: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def send(self, request: ApiRequest) -> OpenResponse:
        """See `Transport`."""
        built = _built(self.http, self.headers, request, {})
        try:
            async with asyncio.timeout(request.timeout):
                return AsyncResponse(await self.http.send(built, stream=True))
        except TimeoutError:
            raise _timeout(built) from None

    async def sleep(self, seconds: float) -> None:
        """See `Transport`."""
        await self.sleep_for(seconds)


class AsyncResponse(OpenResponse):
    """Lets other tasks of the event loop run while it reads."""

    def __init__(self, head: httpx2.Response) -> None:
        super().__init__(head)
        self._chunks = _small_chunks(head)

    async def read(self, timeout: float) -> bytes:
        """See `OpenResponse`."""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(0)  # other tasks run, and limits hold, whatever is buffered
                self._set_read_timeout(timeout)
                return await anext(self._chunks, b"")
        except TimeoutError:
            raise _timeout(self.head.request) from None

    async def close(self) -> None:
        """Close it."""
        await self._chunks.aclose()
        await self.head.aclose()


def run_blocking(call: Coroutine[Any, Any, T]) -> T:
    """Run a call over a `BlockingTransport` to its end: it has nothing to wait for."""
    try:
        call.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    message = "a blocking call waited for an event loop"
    raise RuntimeError(message)


def iterate_blocking(items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """The items of a call over a `BlockingTransport`. Closing this closes the call."""
    try:
        while True:
            try:
                item = run_blocking(items.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        run_blocking(items.aclose())


def _built(
    http: httpx2.Client | httpx2.AsyncClient,
    headers: httpx2.Headers,
    request: ApiRequest,
    extensions: dict[str, Any],
) -> httpx2.Request:
    merged = httpx2.Headers(headers)
    merged.update(request.headers)
    connect = min(request.timeout, CONNECT_TIMEOUT)
    return http.build_request(
        request.method,
        request.path,
        headers=merged,
        json=request.body,
        timeout=httpx2.Timeout(request.timeout, connect=connect),
        extensions=extensions,
    )


def _timeout(request: httpx2.Request) -> httpx2.ReadTimeout:
    return httpx2.ReadTimeout("", request=request)


async def _small_chunks(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """The decoded body in chunks so small that other tasks run between two of them."""
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            for start in range(0, len(chunk), MAX_CHUNK):
                yield chunk[start : start + MAX_CHUNK]
