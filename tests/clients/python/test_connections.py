"""Slow bodies, connections, and headers between a client and its gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from glore_client import (
    Answered,
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    Client,
)
from tests.clients.python import samples
from tests.clients.python.fakes import (
    LINES,
    QUESTION_CALLS,
    Body,
    Connect,
    Gateway,
    make_call,
    ok,
    streamed,
)
from tests.clients.python.samples import QUESTION

LIMIT_S = 60.0  # ends a test that hangs; generous, for machines that are busy
CROWD = 110  # more than the connections that httpx2 allows by default
UVICORN_KEEP_ALIVE = 5.0  # seconds after which it closes an idle connection
JSON = {"Content-Type": "application/json", "X-Request-ID": "req-1"}


def drops(gateway: Gateway, content: bytes) -> Body:
    """A body of which some bytes come every second."""
    cuts = range(0, len(content), 100)
    return Body([part for i in cuts for part in (gateway.wait(1.0), content[i : i + 100])])


@pytest.mark.parametrize(
    ("call", "status"),
    [("solve", 200), ("solve", 500), ("stream", 500), ("batch", 500), ("ready", 200)],
)
def test_a_body_that_trickles_does_not_outlast_the_timeout(
    connect: Connect, call: str, status: int
) -> None:
    gateway = Gateway([])
    body = drops(gateway, json.dumps(samples.result()).encode())
    gateway.answers = [httpx2.Response(status, headers=JSON, stream=body)]
    with pytest.raises(APITimeoutError, match=r"no answer within 5\.0 s") as caught:
        make_call(connect(gateway), call, timeout=5.0)
    assert gateway.now == 5.0
    assert caught.value.request_id == "req-1"
    assert len(gateway.requests) == 1
    assert body.closed


def test_a_response_whose_head_is_too_late_is_closed(connect: Connect) -> None:
    body = Body([b"{}"])
    response = httpx2.Response(200, headers=JSON, stream=body)
    with pytest.raises(APITimeoutError, match=r"no answer within 5\.0 s"):
        connect(Gateway([response], seconds_per_call=6.0)).solve(QUESTION, timeout=5.0)
    assert body.closed


@pytest.mark.parametrize(
    ("cause", "kind", "text"),
    [
        (httpx2.ReadError("reset"), APIConnectionError, "broke off: reset"),
        (httpx2.ReadTimeout(""), APITimeoutError, r"no answer within 65\.0 s"),
    ],
)
def test_an_answer_that_breaks_off_is_not_requested_again(
    connect: Connect, cause: Exception, kind: type[APIConnectionError], text: str
) -> None:
    gateway = Gateway([streamed(JSON, b'{"id": ', cause)])
    with pytest.raises(kind, match=text) as caught:
        connect(gateway).solve(QUESTION)
    assert caught.value.__cause__ is cause
    assert caught.value.request_id == "req-1"
    assert len(gateway.requests) == 1


def test_a_body_has_the_time_that_the_head_left(connect: Connect) -> None:
    gateway = Gateway([ok()], seconds_per_call=3.5)
    connect(gateway).solve(QUESTION, timeout=10.0)
    assert gateway.limits[0]["read"] == 10.0
    assert gateway.requests[0].extensions["timeout"]["read"] == 6.5


def test_a_call_that_found_no_free_connection_was_never_sent(connect: Connect) -> None:
    gateway = Gateway([httpx2.PoolTimeout(""), ok()])
    assert connect(gateway).solve(QUESTION).answer == "12"
    gateway = Gateway([httpx2.PoolTimeout("")])
    with pytest.raises(APITimeoutError, match=r"no free connection within 6\d\.\d s"):
        connect(gateway).solve(QUESTION)
    assert len(gateway.requests) == 3


@asynccontextmanager
async def crowded() -> AsyncIterator[str]:
    """The address of a gateway that answers when a whole crowd of requests has come."""
    all_here = asyncio.Barrier(CROWD)
    body = json.dumps(samples.result()).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await all_here.wait()
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_as_many_connections_are_open_as_calls(connect: Connect) -> None:
    async with asyncio.timeout(LIMIT_S), crowded() as url:
        outcomes = await asyncio.to_thread(
            lambda: list(connect(url).solve_many([QUESTION] * CROWD, concurrency=CROWD))
        )
    assert [type(outcome) for outcome in outcomes] == [Answered] * CROWD


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_an_idle_connection_is_closed_before_the_gateway_closes_it(
    make: Callable[[], Client | AsyncClient],
) -> None:
    transport: Any = make()._http._transport
    assert transport._pool._keepalive_expiry < UVICORN_KEEP_ALIVE


@pytest.mark.parametrize("value", ["Straße", "a\r\nX: 1", " a", "a\x00"])
@QUESTION_CALLS
def test_a_request_id_that_cannot_be_sent_is_refused(
    connect: Connect, call: str, value: str
) -> None:
    gateway = Gateway([ok()])
    with pytest.raises(ValueError, match=r"the request id .* a header cannot carry"):
        make_call(connect(gateway), call, request_id=value)
    assert gateway.requests == []


@pytest.mark.parametrize("value", ["", "Straße", "a\nb"])
def test_an_idempotency_key_that_cannot_be_sent_is_refused(connect: Connect, value: str) -> None:
    gateway = Gateway([streamed(LINES)])
    with pytest.raises(ValueError, match=r"the idempotency key .* a header cannot carry"):
        list(connect(gateway).solve_batch([QUESTION], idempotency_key=value))
    assert gateway.requests == []
