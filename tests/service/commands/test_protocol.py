"""What a client may send, how slowly, and how much beyond its turn: at the socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from glore.api.draining import Drain
from glore.app import create_app
from glore.commands import protocol
from glore.commands.protocol import (
    FREE_CHUNKS,
    MAX_HEAD,
    MAX_HEADER_LINES,
    MAX_PIPELINED,
    MAX_TARGET,
)
from glore.commands.server import GatewayServer
from glore.settings import Settings
from tests.service.fakes import QUESTION, FakeEngines
from tests.service.listening import LIMIT_S, running

HEAD_TIMEOUT_S = 0.6
KEEP_ALIVE_S = 2
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n"  # a long answer
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n"
LINE = b"X: ".ljust(1022, b"y") + b"\r\n"
CHUNKED = (
    b"POST /solve HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
DRAFT = json.dumps({"question": QUESTION, "strategy": "draft"}).encode()
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], AbstractAsyncContextManager[Connection]]


def gateway(settings: Settings, engines: FakeEngines, head_timeout: float) -> GatewayServer:
    drain = Drain()
    app = create_app(settings, connect=engines.connect, drain=drain)
    times = {"delay": 0.0, "grace": 5.0, "head_timeout": head_timeout}
    server = GatewayServer(app, drain, **times, keep_alive=KEEP_ALIVE_S)
    server.config.port = 0
    return server


@asynccontextmanager
async def serving(
    settings: Settings, engines: FakeEngines, head_timeout: float = LIMIT_S
) -> AsyncIterator[Connect]:
    """What opens connections to a gateway that waits so long for a head."""
    async with running(gateway(settings, engines, head_timeout)) as port:

        @asynccontextmanager
        async def connect() -> AsyncIterator[Connection]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                async with asyncio.timeout(LIMIT_S):
                    yield reader, writer
            finally:
                writer.transport.abort()

        yield connect


def posted(body: bytes, version: bytes = b"1.1", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        b"POST /solve HTTP/%b\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n%b\r\n"
    )
    return head % (version, len(body), lines.encode()) + body


def got(*lines: bytes, target: bytes = b"/livez") -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % target, b"Host: gateway", *lines, b"", b""])


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode().lower().split("\r\n")
    (length,) = (line.split(": ")[1] for line in lines if line.startswith("content-length: "))
    return int(status.split()[1]), await reader.readexactly(int(length))


async def closed(reader: asyncio.StreamReader) -> bool:
    """Wait until the gateway hangs up; whether it did so without a word."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_head_that_does_not_come_is_not_waited_for(
    settings: Settings, engines: FakeEngines
) -> None:
    begun = (b"", b"G", b"GET /livez HTTP/1.1", LIVEZ[:-2], b"POST /solve HTTP/1.1\r\nContent-Len")
    async with serving(settings, engines, HEAD_TIMEOUT_S) as connect:

        async def waits(begun: bytes) -> None:
            async with connect() as (reader, writer):
                started = time.monotonic()
                writer.write(begun)
                assert await closed(reader)
                assert time.monotonic() - started >= HEAD_TIMEOUT_S - 0.1

        await asyncio.gather(*map(waits, begun), drips(connect))


async def drips(connect: Connect) -> None:
    """Lines of a head, one by one; they do not begin the time anew."""
    async with connect() as (reader, writer):

        async def drip() -> None:
            writer.write(b"GET /livez HTTP/1.1\r\n")
            while True:
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await closed(reader)
        dripping.cancel()


async def test_the_next_head_has_as_much_time_as_the_first_and_between_them_is_the_keep_alive_time(
    settings: Settings, engines: FakeEngines
) -> None:
    async with (
        serving(settings, engines, HEAD_TIMEOUT_S) as connect,
        connect() as (reader, writer),
        connect() as (resting, requesting),
    ):
        requesting.write(LIVEZ)
        assert (await answer(resting))[0] == 200
        rests = time.monotonic()
        for _ in range(2):
            writer.write(LIVEZ[:9])
            await asyncio.sleep(HEAD_TIMEOUT_S / 3)
            writer.write(LIVEZ[9:])
            assert (await answer(reader))[0] == 200
            await asyncio.sleep(HEAD_TIMEOUT_S * 1.1)
        writer.write(LIVEZ[:-1])
        assert await closed(reader)
        assert await closed(resting)
        assert time.monotonic() - rests >= KEEP_ALIVE_S - 0.1


async def test_bodies_and_answers_may_take_longer_than_a_head(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    late = json.dumps({"question": QUESTION, "deadline_ms": 800}).encode()
    async with (
        serving(settings, engines, HEAD_TIMEOUT_S) as connect,
        connect() as (reader, writer),
    ):
        message = posted(late)
        writer.write(message[: -len(late)])
        for byte in late[:20]:
            writer.write(bytes([byte]))
            await asyncio.sleep(HEAD_TIMEOUT_S / 15)
        writer.write(late[20:])
        assert (await answer(reader))[0] == 504
        writer.write(LIVEZ)  # the connection is as good as new
        assert (await answer(reader))[0] == 200


TINY: bytes = CHUNKED + b"1\r\n \r\n" * (FREE_CHUNKS + 100)
REFUSED = {
    "header lines": (431, got(*[b"a:"] * MAX_HEADER_LINES)),  # and Host
    "many header lines": (431, got(*[b"a:"] * 60_000)),
    "bytes of a head": (431, got(b"X: " + b"y" * MAX_HEAD)),
    "bytes of fields": (431, got(*[b"X: " + b"y" * 1000] * 66)),
    "a path": (414, got(target=b"/" + b"x" * MAX_TARGET)),
    "a query": (414, got(target=b"/livez?" + b"a&" * (MAX_TARGET // 2))),
    "tiny chunks": (400, TINY),
    "trailers": (431, CHUNKED + b"0\r\n" + LINE * 100),
    "an extension of a chunk": (431, CHUNKED + b"1;x=" + b"y" * 2 * MAX_HEAD),
    "a chunk without a size": (400, CHUNKED + b"x\r\n"),
    "another transfer coding": (501, got(b"Transfer-Encoding: gzip")),
    "no HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"),
    "no host": (400, b"GET /livez HTTP/1.1\r\n\r\n"),
}
TAKEN = {
    "header lines": got(*[b"a:"] * (MAX_HEADER_LINES - 1)),
    "bytes of a head": got(b"X: " + b"y" * (MAX_HEAD - 100)),
    "a path": got(target=b"/livez?" + b"x" * (MAX_TARGET - 7)),
    "an offer of HTTP/2": posted(
        DRAFT, Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="AAEAAEAAAAIA"
    ),
    "an offer of a websocket": got(b"Connection: Upgrade", b"Upgrade: websocket"),
    "small chunks": CHUNKED
    + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (DRAFT, *[b" "] * 900))
    + b"0\r\nX: trailer\r\n\r\n",
    "two requests": LIVEZ + LIVEZ,
    "a request after a long body": posted(DRAFT.ljust(3 * MAX_HEAD)) + LIVEZ,
    "more after the last": got(b"Connection: close") + LIVEZ,
}


MORE = b"y" * 4 * 1024 * 1024  # of what follows


async def test_what_is_too_large_or_no_http_is_refused_and_a_client_that_goes_on_reads_why(
    settings: Settings, engines: FakeEngines
) -> None:
    async with serving(settings, engines) as connect:
        for what, (status, message) in REFUSED.items():
            async with connect() as (reader, writer):
                writer.write(message + MORE)
                given, text = await answer(reader)
                assert (what, given) == (what, status)
                assert text
                assert await reader.read() == b"", what


async def test_what_is_within_the_limits_is_answered(
    settings: Settings, engines: FakeEngines
) -> None:
    roomy = settings.model_copy(update={"max_body": 4 * MAX_HEAD})
    async with serving(roomy, engines) as connect:
        for what, message in TAKEN.items():
            async with connect() as (reader, writer):
                for start in range(0, len(message), 5000):  # heads may come in pieces
                    writer.write(message[start : start + 5000])
                    await asyncio.sleep(0)
                for _ in range(1 if "last" in what else message.count(b" HTTP/1.1\r\n")):
                    status, content = await answer(reader)
                    assert (what, status) == (what, 200), content


async def test_an_old_client_gets_no_chunks(settings: Settings, engines: FakeEngines) -> None:
    async with serving(settings, engines) as connect, connect() as (reader, writer):
        writer.write(posted(DRAFT, b"1.0", Accept="text/event-stream"))
        head, _, events = (await reader.read()).partition(b"\r\n\r\n")  # to the end of all
    assert b"200 OK" in head
    assert b"transfer-encoding" not in head.lower()
    assert events.startswith(b"id: 1\n")
    assert b"event: done\n" in events


async def test_what_follows_the_last_request_is_dropped(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    late = json.dumps({"question": QUESTION, "deadline_ms": 300}).encode()
    async with serving(settings, engines) as connect, connect() as (reader, writer):
        writer.write(posted(late, Connection="close"))
        while not engines.student.calls:
            await asyncio.sleep(0.01)
        writer.write(LIVEZ)
        assert (await answer(reader))[0] == 504
        assert await closed(reader)


@pytest.mark.parametrize("behind", ["a little", "too much"])
async def test_a_client_that_leaves_behind_pipelined_requests_ends_its_work(
    settings: Settings, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    monkeypatch.setattr(protocol, "_LINGER", 2 * LIMIT_S)
    engines.student.hangs = True
    message = posted(json.dumps({"question": QUESTION, "deadline_ms": 60_000}).encode())
    many = LIVEZ * (2 * MAX_PIPELINED // len(LIVEZ))
    async with serving(settings, engines) as connect:
        async with connect() as (_, writer):
            writer.write(message + LIVEZ)
            while not engines.student.calls:
                await asyncio.sleep(0.01)
            writer.write(LIVEZ)
            await asyncio.sleep(0.05)
            assert not engines.student.cancelled
            if behind == "too much":
                writer.write(many)
                await ended(engines)
        await ended(engines)


async def ended(engines: FakeEngines) -> None:
    while not engines.student.cancelled:
        await asyncio.sleep(0.005)


async def test_a_client_that_takes_no_answer_is_left(
    settings: Settings, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_STALLED", 0.3)

    server = gateway(settings, engines, LIMIT_S)
    connections = server.server_state.connections
    async with running(server) as port, asyncio.timeout(LIMIT_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(DOCUMENT * 100)
        while not connections:
            await asyncio.sleep(0.01)
        while connections:
            await asyncio.sleep(0.01)
        writer.transport.abort()


async def test_a_client_that_takes_its_time_gets_all_answers(
    settings: Settings, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_STALLED", 1.0)
    async with serving(settings, engines) as connect, connect() as (reader, writer):
        writer.write(DOCUMENT * 100)
        for at in range(100):
            if at % 50 == 0:
                await asyncio.sleep(0.6)  # as long as nothing is read, nothing is taken
            assert (await answer(reader))[0] == 200
        await asyncio.sleep(0.6)
        writer.write(LIVEZ)
        assert (await answer(reader))[0] == 200
