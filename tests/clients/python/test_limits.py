"""`timeout` and `silence` on real connections, whatever a call waits for."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2
import pytest

from glore_client import APITimeoutError, Client, limits
from glore_client.limits import limit_connection, time_limit
from tests.clients.python import samples
from tests.clients.python.fakes import QUESTION_CALLS, Connect, make_call, read_stream
from tests.clients.python.samples import QUESTION
from tests.clients.python.sockets import EVENTS_HEAD, Parts, sending, serving

TIMEOUT_S = 0.3
LATE_S = 20.0  # generous, for machines that are busy; without limits the calls take 30 s
BODY = json.dumps(samples.result()).encode()
JSON_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()
LINES_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
ERROR_HEAD = b"HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n"
HEARTBEAT = b": heartbeat\n\n"


def drops(head: bytes, drop: bytes) -> Parts:
    """A response of which some bytes come every 0.1 s."""
    return (head, *(drop, 0.1) * 300)


HEADS: dict[str, Parts] = {
    "nothing": (),
    "a head in drops": drops(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "interim heads": drops(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "an error in drops": drops(ERROR_HEAD, b"<"),
}
RESPONSES: dict[str, dict[str, Parts]] = {
    "solve": {**HEADS, "a body in drops": drops(JSON_HEAD, b" ")},
    "stream": {**HEADS, "events in drops": drops(EVENTS_HEAD, HEARTBEAT)},
    "batch": {**HEADS, "lines in drops": drops(LINES_HEAD, b"\n")},
}


@contextmanager
def times_out() -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(APITimeoutError, match=r"within 0\.3 s"):
        yield
    assert TIMEOUT_S - 0.1 <= time.monotonic() - started < LATE_S


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        pytest.param(call, parts, id=f"{call}-{name}")
        for call, responses in RESPONSES.items()
        for name, parts in responses.items()
    ],
)
def test_a_call_does_not_outlast_its_timeout(connect: Connect, call: str, parts: Parts) -> None:
    with sending(parts) as server, times_out():
        make_call(connect(server.url), call, timeout=TIMEOUT_S)


@QUESTION_CALLS
def test_a_response_that_stops_does_not_outlast_the_timeout(connect: Connect, call: str) -> None:
    now = 0.0

    def jump() -> None:
        nonlocal now
        now = 59.7

    head = {"solve": JSON_HEAD, "stream": EVENTS_HEAD, "batch": LINES_HEAD}[call]
    with sending((head, 0.1, jump, b"\n")) as server:
        started = time.monotonic()
        with pytest.raises(APITimeoutError, match=r"within 60\.0 s"):
            make_call(connect(server.url, clock=lambda: now), call, timeout=60.0)
        assert time.monotonic() - started < LATE_S


def test_a_reused_connection_obeys_the_timeout_of_the_second_call() -> None:
    responses = ((JSON_HEAD + BODY,), HEADS["a head in drops"])
    with sending(*responses) as server, Client(server.url) as client:
        client.solve(QUESTION, timeout=30.0)
        transport: Any = client._http._transport
        (connection,) = transport._pool.connections
        assert connection.is_idle()
        with times_out():
            client.solve(QUESTION, timeout=TIMEOUT_S)
        assert transport._pool.connections == []


def test_silence_ends_a_stream(connect: Connect) -> None:
    with serving(HEARTBEAT, 60.0) as server:
        started = time.monotonic()
        with pytest.raises(APITimeoutError, match=r"not a sign of life within 0\.3 s"):
            read_stream(connect(server.url), silence=0.3)
        assert 0.25 < time.monotonic() - started < LATE_S


def test_each_event_begins_the_silence_again(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped = 0.0
    reading = threading.Semaphore(0)  # the client has an event, and reads on

    def clock() -> float:
        return time.monotonic() + skipped

    def skip() -> None:
        nonlocal skipped
        assert reading.acquire(timeout=LATE_S)
        time.sleep(0.02)
        skipped += 20.0

    monkeypatch.setattr(limits, "monotonic", clock)
    monkeypatch.setattr(asyncio.BaseEventLoop, "time", lambda _: clock())
    delta = samples.as_events([("draft.delta", {"text": "x"})])
    done = samples.as_events([("done", samples.result())])
    with (
        serving(HEARTBEAT, *(skip, delta) * 5, done) as server,
        connect(server.url).stream(QUESTION, silence=30.0) as stream,
    ):
        reading.release()
        for _ in stream:
            reading.release()
    assert stream.result.answer == "12"
    assert skipped == 100.0


class Line(httpcore2.NetworkStream):
    """A connection that sends nothing and records its timeouts."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"" * max_bytes

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        self.timeouts.append(timeout)
        return Line()


def use(line: Line) -> Line:
    """All operations of a connection, with arguments by position and, as for SOCKS, by name."""
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
def test_each_operation_of_a_connection_obeys_the_limit(opened: str) -> None:
    line = Line()
    limit_connection(f"{opened}.complete", {"return_value": line})
    with time_limit(1.0):
        secure = use(line)
        limit_connection("connection.start_tls.complete", {"return_value": secure})
        use(secure)
    for each in (line, secure):
        assert len(each.timeouts) == 6
        assert all(timeout is not None and 0 < timeout <= 1.0 for timeout in each.timeouts)
    with time_limit(0.0), pytest.raises(httpx2.TimeoutException):
        secure.read(1)
    secure.read(1, 30.0)  # by another user of the transport
    assert secure.timeouts[6:] == [30.0]
