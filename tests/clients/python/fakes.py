"""A fake gateway, and both clients called the same way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx2

from glore_client import (
    AsyncClient,
    Client,
    Outcome,
    Question,
    Readiness,
    RetryPolicy,
    SolveEvent,
    SolveResult,
)
from tests.clients.python import samples
from tests.clients.python.samples import QUESTION

POLICY = RetryPolicy(jitter=lambda: 1.0)
EVENTS = {"Content-Type": "text/event-stream", "X-Request-ID": "req-1"}
LINES = {"Content-Type": "application/x-ndjson", "X-Request-ID": "req-1"}
Part: TypeAlias = bytes | Exception | Callable[[], None]


@dataclass
class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in parts; an exception among them is raised, a function is called."""

    parts: Sequence[Part]
    closed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                yield part
            else:
                part()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def streamed(headers: dict[str, str], *parts: Part) -> httpx2.Response:
    """A response that is read part by part."""
    return httpx2.Response(200, headers=headers, stream=Body(parts))


def ok(**parts: Any) -> httpx2.Response:
    return httpx2.Response(200, json=samples.result(**parts))


def error(status: int, **headers: str) -> httpx2.Response:
    body = samples.problem(status, "It went wrong.")
    return httpx2.Response(status, json=body, headers={"X-Request-ID": "req-9", **headers})


Answer: TypeAlias = httpx2.Response | Exception


@dataclass
class Gateway:
    """Gives its answers in order, the last one for ever, and remembers what it was asked."""

    answers: list[Answer]
    requests: list[httpx2.Request] = field(default_factory=list)
    limits: list[dict[str, float]] = field(default_factory=list)  # of time, as it was asked
    pauses: list[float] = field(default_factory=list)
    now: float = 0.0
    seconds_per_call: float = 0.0

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.limits.append(dict(request.extensions["timeout"]))
        self.now += self.seconds_per_call
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> Callable[[], None]:
        """A part of a body: time passes."""

        def passes() -> None:
            self.now += seconds

        return passes

    def body(self, index: int = 0) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.requests[index].content)
        return body

    def sync(self) -> Client:
        return Client(
            "http://gateway",
            headers={"X-Team": "maths"},
            retry=POLICY,
            transport=httpx2.MockTransport(self.handle),
            sleep=self.sleep,
            clock=self.clock,
        )

    def asynchronous(self) -> AsyncClient:
        return AsyncClient(
            "http://gateway",
            headers={"X-Team": "maths"},
            retry=POLICY,
            transport=httpx2.MockTransport(self.handle),
            sleep=self.sleep_async,
            clock=self.clock,
        )


@dataclass
class Heard:
    """What a stream told, as far as it came."""

    events: list[SolveEvent] = field(default_factory=list)
    result: SolveResult | None = None
    request_id: str | None = None


class Caller:
    """`Client` or `AsyncClient`, called the same way."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async

    def solve(self, gateway: Gateway, **settings: Any) -> SolveResult:
        if not self.is_async:
            with gateway.sync() as client:
                return client.solve(QUESTION, **settings)

        async def ask() -> SolveResult:
            async with gateway.asynchronous() as client:
                return await client.solve(QUESTION, **settings)

        return asyncio.run(ask())

    def ready(self, gateway: Gateway) -> Readiness:
        if not self.is_async:
            with gateway.sync() as client:
                return client.ready()

        async def ask() -> Readiness:
            async with gateway.asynchronous() as client:
                return await client.ready()

        return asyncio.run(ask())

    def stream(self, gateway: Gateway, heard: Heard, **settings: Any) -> None:
        """Listen to the end; what was told is noted in `heard`, before an error too."""
        if not self.is_async:
            with gateway.sync() as client, client.stream(QUESTION, **settings) as stream:
                heard.request_id = stream.request_id
                heard.events.extend(stream)
                heard.result = stream.result
            return

        async def ask() -> None:
            async with (
                gateway.asynchronous() as client,
                client.stream(QUESTION, **settings) as stream,
            ):
                heard.request_id = stream.request_id
                async for event in stream:
                    heard.events.append(event)
                heard.result = stream.result

        asyncio.run(ask())

    def many(
        self,
        gateway: Gateway,
        questions: Iterable[str | Question],
        **settings: Any,
    ) -> list[Outcome]:
        if not self.is_async:
            with (
                gateway.sync() as client,
                closing(client.solve_many(questions, **settings)) as all_,
            ):
                return list(all_)

        async def ask() -> list[Outcome]:
            async with (
                gateway.asynchronous() as client,
                aclosing(client.solve_many(questions, **settings)) as all_,
            ):
                return [outcome async for outcome in all_]

        return asyncio.run(ask())

    def batch(
        self,
        gateway: Gateway,
        questions: Iterable[str | Question],
        told: list[Outcome],
        **settings: Any,
    ) -> None:
        """Listen to the end; what was told is in `told`, before an error too."""
        if not self.is_async:
            with gateway.sync() as client:
                told.extend(client.solve_batch(questions, **settings))
            return

        async def ask() -> None:
            async with (
                gateway.asynchronous() as client,
                aclosing(client.solve_batch(questions, **settings)) as lines,
            ):
                async for outcome in lines:
                    told.append(outcome)  # noqa: PERF401 - what came before an error is kept

        asyncio.run(ask())
