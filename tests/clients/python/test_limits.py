"""`timeout` ends a call at a wall clock's time, whatever it waits for: on real connections."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2
import pytest

from glore_client import APITimeoutError, AsyncClient, Client
from glore_client.limits import limit_connection, time_limit
from tests.clients.python import samples
from tests.clients.python.fakes import Caller
from tests.clients.python.samples import QUESTION
from tests.clients.python.sockets import Parts, dripping

TIMEOUT_S = 1.0
LATE_S = 0.8  # after the timeout, at most: the transport's own limits would be over later
BODY = json.dumps(samples.result()).encode()
JSON_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()
EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
LINES_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
ERROR_HEAD = b"HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n"
DROP = (b"X: y\r\n", 0.3)

# What the gateway says in drops; in each the last byte comes shortly before the time is over.
ANSWERS: dict[str, Parts] = {
    "nothing": (),
    "a head in drops": (b"HTTP/1.1 200 OK\r\n", *DROP * 30),
    "interim heads": (b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.3) * 30,
    "a body that stops": (JSON_HEAD, BODY[:50], 0.9, BODY[50:100]),
    "a body in drops": (JSON_HEAD, *(part for i in range(30) for part in (BODY[i : i + 1], 0.3))),
    "an error in drops": (ERROR_HEAD, *(b"<", 0.3) * 30),
}
STREAMS: dict[str, Parts] = {
    **{name: ANSWERS[name] for name in ("nothing", "a head in drops", "an error in drops")},
    "a stream that stops": (EVENTS_HEAD, 0.9, b": heartbeat\n\n"),
    "a stream in drops": (EVENTS_HEAD, *(b": heartbeat\n\n", 0.3) * 30),
}
BATCHES: dict[str, Parts] = {
    **{name: ANSWERS[name] for name in ("nothing", "a head in drops", "an error in drops")},
    "lines that stop": (LINES_HEAD, 0.9, b"\n"),
    "lines in drops": (LINES_HEAD, *(b"\n", 0.3) * 30),
}


@contextmanager
def timed_out() -> Iterator[None]:
    """What must end with the timeout, and not much later."""
    started = time.monotonic()
    with pytest.raises(APITimeoutError, match=r"within 1\.0 s"):
        yield
    assert TIMEOUT_S - 0.1 <= time.monotonic() - started < TIMEOUT_S + LATE_S


def solve(url: str) -> None:
    with Client(url) as client, timed_out():
        client.solve(QUESTION, timeout=TIMEOUT_S)


async def solve_async(url: str) -> None:
    async with AsyncClient(url) as client:
        with timed_out():
            await client.solve(QUESTION, timeout=TIMEOUT_S)


def stream(url: str) -> None:
    with Client(url) as client, timed_out(), client.stream(QUESTION, timeout=TIMEOUT_S) as events:
        list(events)


async def stream_async(url: str) -> None:
    async with AsyncClient(url) as client:
        with timed_out():
            async with client.stream(QUESTION, timeout=TIMEOUT_S) as events:
                async for _ in events:
                    pass


def batch(url: str) -> None:
    with Client(url) as client, timed_out():
        list(client.solve_batch([QUESTION], timeout=TIMEOUT_S, idempotency_key="k"))


async def batch_async(url: str) -> None:
    async with AsyncClient(url) as client:
        with timed_out():
            async for _ in client.solve_batch([QUESTION], timeout=TIMEOUT_S, idempotency_key="k"):
                pass


CALLS: tuple[tuple[str, Callable[[str], None], Callable[[str], Coroutine[None, None, None]]], ...]
CALLS = (
    ("solve", solve, solve_async),
    ("stream", stream, stream_async),
    ("batch", batch, batch_async),
)
TOLD = {"solve": ANSWERS, "stream": STREAMS, "batch": BATCHES}


@pytest.mark.parametrize(
    ("call", "call_async", "parts"),
    [
        pytest.param(call, call_async, parts, id=f"{name}-{what}")
        for name, call, call_async in CALLS
        for what, parts in TOLD[name].items()
    ],
)
def test_a_call_does_not_outlast_its_timeout(
    caller: Caller,
    call: Callable[[str], None],
    call_async: Callable[[str], Coroutine[None, None, None]],
    parts: Parts,
) -> None:
    with dripping(parts) as url:
        if caller.is_async:
            asyncio.run(call_async(url))
        else:
            call(url)


def test_a_connection_that_is_used_again_is_held_to_the_second_calls_time() -> None:
    answers = ((JSON_HEAD + BODY,), ANSWERS["a head in drops"])
    with dripping(*answers) as url, Client(url) as client:
        client.solve(QUESTION, timeout=30.0)
        transport: Any = client._http._transport
        (kept,) = transport._pool.connections
        assert kept.is_idle()
        with timed_out():
            client.solve(QUESTION, timeout=TIMEOUT_S)
        assert transport._pool.connections == []


class Line(httpcore2.NetworkStream):
    """A connection that says nothing and notes the limits that it is given."""

    def __init__(self) -> None:
        self.limits: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.limits.append(timeout)
        return b"" * max_bytes

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.limits.append(timeout)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        self.limits.append(timeout)
        return Line()


def use(line: Line) -> Line:
    """All that is done with a connection, with arguments by place and, as for SOCKS, by name."""
    line.read(4096, 30.0)
    line.read(max_bytes=4096, timeout=30.0)
    line.write(b"x", None)
    line.write(buffer=b"x", timeout=30.0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    line.start_tls(context, "gateway", 30.0)
    upgraded = line.start_tls(ssl_context=context, server_hostname="gateway", timeout=30.0)
    assert isinstance(upgraded, Line)
    return upgraded


@pytest.mark.parametrize("opened", ["connection.connect_tcp", "socks.connect_tcp"])
def test_all_that_goes_over_a_connection_is_held_to_the_step(opened: str) -> None:
    line = Line()
    limit_connection(f"{opened}.complete", {"return_value": line})
    with time_limit(TIMEOUT_S):
        secure = use(line)
        limit_connection("connection.start_tls.complete", {"return_value": secure})
        use(secure)
    for each in (line, secure):
        assert len(each.limits) == 6
        assert all(limit is not None and 0 < limit <= TIMEOUT_S for limit in each.limits)
    with time_limit(0.0), pytest.raises(httpx2.TimeoutException):
        secure.read(1)
    secure.read(1, 30.0)  # by somebody else, who shares the transport
    assert secure.limits[6:] == [30.0]
