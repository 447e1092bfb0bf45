"""What carries the steps of a flow out: with await and without, and nothing else.

A step that takes longer than it may is answered with a TimeoutException, whatever it waits for.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Final, Generic, Self, TypeVar

import httpx2

from glore_client.limits import hold, within
from glore_client.steps import Flow, Give, Pause, Read, Reply, Send

T = TypeVar("T")

PIECE: Final = 64 * 1024  # bytes; of a packed body as much as 1 MiB may come at once


class Carrier(Generic[T]):
    """An iterator over what a flow gives. Close it: that breaks off what is under way."""

    def __init__(
        self,
        flow: Flow[T],
        http: httpx2.Client,
        headers: httpx2.Headers,
        sleep: Callable[[float], None],
    ) -> None:
        self._flow = flow
        self._http = http
        self._headers = headers
        self._sleep = sleep
        self._response: httpx2.Response | None = None
        self._body: Iterator[bytes] = iter(())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        reply: Reply = None
        try:
            while True:
                step = self._flow.send(reply)
                if isinstance(step, Give):
                    return step.item
                reply = self._carry_out(step)
        except BaseException:  # the end of the flow, its error, or an interrupt
            self.close()
            raise

    def close(self) -> None:
        """End the flow, and the connection if it is in use."""
        self._flow.close()
        self._hang_up()

    def _carry_out(self, step: Send | Read | Pause) -> Reply:
        try:
            if isinstance(step, Send):
                with within(step.timeout):
                    return self._send(step)
            if isinstance(step, Read):
                with within(step.timeout):
                    return self._read(step)
        except httpx2.RequestError as error:
            return error
        self._hang_up()
        self._sleep(step.seconds)
        return None

    def _send(self, step: Send) -> httpx2.Response:
        request = self._http.build_request(
            step.method,
            step.path,
            headers=_together(self._headers, step.headers),
            json=step.body,
            timeout=step.timeouts(),
            extensions={"trace": hold},
        )
        response = self._response = self._http.send(request, stream=True)
        self._body = response.iter_bytes()
        return response

    def _read(self, step: Read) -> bytes:
        _allow(self._response, step)
        return next(self._body, b"")

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class AsyncCarrier(Generic[T]):
    """The same, as an async iterator."""

    def __init__(
        self,
        flow: Flow[T],
        http: httpx2.AsyncClient,
        headers: httpx2.Headers,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._flow = flow
        self._http = http
        self._headers = headers
        self._sleep = sleep
        self._request: httpx2.Request | None = None
        self._response: httpx2.Response | None = None
        self._body: AsyncGenerator[bytes, None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        reply: Reply = None
        try:
            while True:
                try:
                    step = self._flow.send(reply)
                except StopIteration:
                    raise StopAsyncIteration from None
                if isinstance(step, Give):
                    return step.item
                reply = await self._carry_out(step)
        except BaseException:  # the end of the flow, its error, or a cancellation
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the flow, and the connection if it is in use."""
        self._flow.close()
        await self._hang_up()

    async def _carry_out(self, step: Send | Read | Pause) -> Reply:
        try:
            if isinstance(step, Send):
                async with asyncio.timeout(step.timeout):
                    return await self._send(step)
            if isinstance(step, Read):
                async with asyncio.timeout(step.timeout):
                    return await self._read(step)
        except TimeoutError:
            return httpx2.ReadTimeout("", request=self._request)
        except httpx2.RequestError as error:
            return error
        await self._hang_up()
        await self._sleep(step.seconds)
        return None

    async def _send(self, step: Send) -> httpx2.Response:
        request = self._request = self._http.build_request(
            step.method,
            step.path,
            headers=_together(self._headers, step.headers),
            json=step.body,
            timeout=step.timeouts(),
        )
        response = self._response = await self._http.send(request, stream=True)
        self._body = _pieces(response)
        return response

    async def _read(self, step: Read) -> bytes:
        await asyncio.sleep(0)  # others run, and time limits hold, however much is buffered
        _allow(self._response, step)
        return b"" if self._body is None else await anext(self._body, b"")

    async def _hang_up(self) -> None:
        if self._body is not None:
            await self._body.aclose()
            self._body = None
        if self._response is not None:
            await self._response.aclose()
            self._response = None


def _together(headers: httpx2.Headers, own: Mapping[str, str]) -> httpx2.Headers:
    """The client's headers and those of one request, which go before them."""
    both = httpx2.Headers(headers)
    both.update(own)
    return both


async def _pieces(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """The decoded body in pieces so small that others run between two of them."""
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            for start in range(0, len(chunk), PIECE):
                yield chunk[start : start + PIECE]


def _allow(response: httpx2.Response | None, step: Read) -> None:
    """Set the time limit of the body, which the transport reads when the body begins."""
    if response is not None:
        response.request.extensions["timeout"]["read"] = step.timeout
