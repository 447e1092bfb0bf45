"""A fake gateway, and the calls that it answers."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import httpx2
import pytest

from glore_client import AsyncClient, Client, RetryPolicy, SolveEvent, Stream
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
    """Gives its answers in order, the last one for ever, and records the requests."""

    answers: list[Answer]
    requests: list[httpx2.Request] = field(default_factory=list)
    limits: list[dict[str, float]] = field(default_factory=list)  # timeouts of each request
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

    def settings(self, kind: type[Client | AsyncClient]) -> dict[str, Any]:
        """The arguments of a client of this kind."""
        return {
            "base_url": "http://gateway",
            "headers": {"X-Team": "maths"},
            "retry": POLICY,
            "transport": httpx2.MockTransport(self.handle),
            "sleep": self.sleep if kind is Client else self.sleep_async,
            "clock": self.clock,
        }


class Connect(Protocol):
    """Makes a client; `AsyncClient` as well, used without await."""

    def __call__(self, gateway: Gateway | str, **settings: Any) -> Client: ...


def read_stream(client: Client, events: list[SolveEvent] | None = None, **options: Any) -> Stream:
    """The stream of a question, read to its end; `events` gets its events, also before an error."""
    with client.stream(QUESTION, **options) as stream:
        for event in stream:
            if events is not None:
                events.append(event)
        return stream


CALLS = ("solve", "stream", "batch", "feedback", "ready")
QUESTION_CALLS = pytest.mark.parametrize("call", CALLS[:3])


def make_call(client: Client, call: str, **options: Any) -> object:
    """One call of that name, with all that it gives."""
    match call:
        case "solve":
            return client.solve(QUESTION, **options)
        case "stream":
            return read_stream(client, **options)
        case "batch":
            return list(client.solve_batch([QUESTION], **options))
        case "feedback":
            return client.feedback("solve_1", correct=True, **options)
        case _:
            return client.ready(**options)


@dataclass(frozen=True)
class Call:
    """Makes one of the five calls, with a new client."""

    name: str
    connect: Connect

    def __call__(self, base_url: str = "http://gateway", **settings: Any) -> object:
        return make_call(self.connect(base_url, **settings), self.name, timeout=30.0)
