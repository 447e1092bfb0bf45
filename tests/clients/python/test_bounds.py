"""Whatever a server sends: memory has a bound, and errors are GloreError."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_origin

import httpx2
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from glore_client import (
    APIConnectionError,
    APIStatusError,
    AsyncClient,
    Client,
    Failed,
    GloreError,
    InternalServerError,
    InvalidResponseError,
    RetryPolicy,
)
from glore_client.ndjson import LineParser
from glore_client.responses import MAX_BODY, MAX_ERROR_BODY
from glore_client.results import Received
from glore_client.sse import MAX_LENGTH, EventParser
from glore_client.transport import MAX_CHUNK
from tests.clients.python import samples
from tests.clients.python.fakes import (
    EVENTS,
    LINES,
    Call,
    Connect,
    Gateway,
    ok,
    read_stream,
    streamed,
)
from tests.clients.python.samples import QUESTION

MIB = 1024 * 1024
ONCE = RetryPolicy(max_retries=0)
TYPES = {"stream": EVENTS["Content-Type"], "batch": LINES["Content-Type"]}


class Endless(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The same bytes again and again; it counts them, and fails if the reader does not stop."""

    def __init__(self, chunk: bytes, most: int = 64 * MIB) -> None:
        self.chunk = chunk
        self.most = most
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.sent += len(self.chunk)
            assert self.sent <= self.most
            yield self.chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def answer(call: Call, body: httpx2.SyncByteStream, status: int = 200, **headers: str) -> Any:
    headers = {"Content-Type": TYPES.get(call.name, "application/json"), **headers}
    return httpx2.Response(status, headers=headers, stream=body)


def failure(call: Call, response: httpx2.Response) -> GloreError:
    transport = httpx2.MockTransport(lambda _: response)
    with pytest.raises(GloreError) as caught:
        call(retry=ONCE, transport=transport)
    return caught.value


@pytest.mark.parametrize("chunk", [b"x" * 4096, b" " * MAX_CHUNK * 3, b"[1, " * 999])
def test_an_endless_answer_is_refused(call: Call, chunk: bytes) -> None:
    body = Endless(chunk)
    error = failure(call, answer(call, body))
    assert isinstance(error, InvalidResponseError)
    most = {"solve": MAX_BODY, "ready": MAX_ERROR_BODY}.get(call.name, MAX_LENGTH)
    assert body.sent <= most + 2 * len(chunk)


@pytest.mark.parametrize("status", [400, 500, 503])
def test_of_an_endless_error_body_the_beginning_is_read(call: Call, status: int) -> None:
    body = Endless(b"<p>Busy</p>" * 100)
    error = failure(call, answer(call, body, status))
    assert isinstance(error, APIStatusError)
    assert error.message.startswith(f"status {status}: <p>Busy</p>")
    assert body.sent <= MAX_ERROR_BODY + 2 * len(body.chunk)


def bomb(times: int) -> bytes:
    """Spaces, 64 MiB of them, compressed so many times."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    spaces = b" " * MIB
    packed = b"".join(packer.compress(spaces) for _ in range(64)) + packer.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    return packed


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return {"gzip": bomb(1), "gzip, gzip": bomb(2)}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip"])
def test_a_compressed_body_is_not_held_in_memory(
    call: Call, status: int, coding: str, bombs: dict[str, bytes]
) -> None:
    body = httpx2.ByteStream(bombs[coding])
    response = answer(call, body, status, **{"Content-Encoding": coding})
    tracemalloc.start()
    try:
        failure(call, response)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BODY
    finally:
        tracemalloc.stop()


def peak_memory(feed: Callable[[bytes], object]) -> int:
    """Bytes that are held, at most, while so many small pieces are fed."""
    tracemalloc.start()
    try:
        for _ in range(5_000):
            feed(b"data: xy\n")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_small_pieces_need_no_more_memory_than_large_ones() -> None:
    assert peak_memory(EventParser().feed) < MIB // 8
    assert peak_memory(LineParser().feed) < MIB // 8


@pytest.mark.parametrize("coding", ["gzip", "deflate", ", ".join(["gzip"] * 6)])
def test_a_body_that_cannot_be_decompressed_is_an_error(call: Call, coding: str) -> None:
    headers = {"Content-Encoding": coding}
    error = failure(call, answer(call, httpx2.ByteStream(b"no gzip"), 200, **headers))
    assert isinstance(error, InvalidResponseError)
    assert error.message.startswith("the answer cannot be decoded: ")
    error = failure(call, answer(call, httpx2.ByteStream(b"no gzip"), 500, **headers))
    assert isinstance(error, InternalServerError)
    assert error.message == "status 500, with a body that cannot be read"


def test_compression_is_not_requested_but_understood(connect: Connect) -> None:
    packed = gzip.compress(json.dumps(samples.result()).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    gateway = Gateway([httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(packed))])
    assert connect(gateway).solve(QUESTION).answer == "12"
    assert gateway.requests[0].headers["Accept-Encoding"] == "identity"


def test_the_longest_answer_is_read(connect: Connect) -> None:
    body = json.dumps(samples.result()).encode()
    headers = {"Content-Type": "application/json"}
    whole = body.ljust(MAX_BODY)
    assert connect(Gateway([streamed(headers, whole)])).solve(QUESTION).answer == "12"
    with pytest.raises(InvalidResponseError, match="longer than 8388608 bytes"):
        connect(Gateway([streamed(headers, whole, b" ")])).solve(QUESTION)


def test_solve_many_reads_a_transport_of_the_caller_with_a_bound() -> None:
    body = Endless(b"x" * 4096)

    class Blocking(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            request.read()
            return httpx2.Response(200, stream=body)

    with Client("http://gateway", transport=Blocking(), retry=ONCE) as client:
        (outcome,) = client.solve_many([QUESTION])
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, InvalidResponseError)
    assert body.sent <= MAX_BODY + 2 * 4096


async def test_an_endless_stream_can_be_cancelled() -> None:
    beats = Endless(b": heartbeat\n\n" * 1000)
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENTS, stream=beats))
    async with AsyncClient(transport=transport) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), client.stream(QUESTION) as stream:
                await anext(stream)


async def test_other_tasks_run_while_a_large_chunk_is_read() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    gateway = Gateway([streamed(EVENTS, b"\n" * 16 * MAX_CHUNK)])
    async with AsyncClient(transport=httpx2.MockTransport(gateway.handle)) as client:
        with pytest.raises(APIConnectionError, match="cut off"):
            async with client.stream(QUESTION) as stream:
                await anext(stream)
    counting.cancel()
    assert turns >= 16


def test_no_cookie_is_stored(connect: Connect) -> None:
    cookies = [("Set-Cookie", f"c{i}=1; Path=/") for i in range(100)]
    gateway = Gateway([httpx2.Response(503, headers=cookies), ok()])
    connect(gateway).solve(QUESTION)
    assert len(gateway.requests) == 2
    assert "Cookie" not in gateway.requests[1].headers


@pytest.mark.parametrize("header", ["\x1b[2J", "a" * 10_000, "a b"])
def test_an_invalid_request_id_of_the_server_is_ignored(connect: Connect, header: str) -> None:
    response = httpx2.Response(500, headers={"X-Request-ID": header})
    with pytest.raises(InternalServerError) as caught:
        connect(Gateway([response])).solve(QUESTION, request_id="mine")
    assert caught.value.request_id == "mine"
    problem = samples.as_events([("error", samples.problem(500, "No.", request_id=header))])
    with pytest.raises(InternalServerError) as caught:
        read_stream(connect(Gateway([streamed(EVENTS, problem)])), request_id="mine")
    assert caught.value.request_id == "req-1"


def lists(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """The lists of a model and of those that are made from it, with their annotations."""
    for name, field in model.model_fields.items():
        if get_origin(field.annotation) is tuple:
            yield f"{model.__name__}.{name}", field.rebuild_annotation()
    for each in model.__subclasses__():
        yield from lists(each)


LISTS = dict(lists(Received))


def test_lists_are_found() -> None:
    assert {"SolveResult.candidates", "Draft.steps", "StepScores.scores"} <= LISTS.keys()


@pytest.mark.parametrize("name", sorted(LISTS))
def test_of_a_list_of_wrong_items_the_first_is_reported(name: str) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(LISTS[name])
    with pytest.raises(ValidationError) as caught:
        adapter.validate_json("[" + "null," * 999 + "null]")
    assert caught.value.error_count() <= 2  # of a thousand
