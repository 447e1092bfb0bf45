"""Heads that never end, on real connections to the gateway's own server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from service.api.draining import Drain
from service.app import create_app
from service.commands import protocol
from service.commands.protocol import LONGEST_HEAD
from service.commands.server import GatewayServer
from service.settings import Settings
from tests.service.fakes import QUESTION, FakeEngines
from tests.service.listening import LIMIT_S, running

PATIENCE_S = 0.6
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n"  # a long answer
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], AbstractAsyncContextManager[Connection]]


def gateway(settings: Settings, engines: FakeEngines, head_timeout: float) -> GatewayServer:
    drain = Drain()
    app = create_app(settings, connect=engines.connect, drain=drain)
    server = GatewayServer(app, drain, delay=0.0, grace=5.0, head_timeout=head_timeout)
    server.config.port = 0
    return server


@asynccontextmanager
async def serving(
    settings: Settings, engines: FakeEngines, head_timeout: float
) -> AsyncIterator[Connect]:
    """What opens connections to a gateway with that much patience."""
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


def posted(body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        "POST /solve HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{lines}\r\n"
    )
    return head.encode() + body


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


@pytest.mark.parametrize(
    "begun", [b"", b"G", b"GET /livez HTTP/1.1", LIVEZ[:-2], b"POST /solve HTTP/1.1\r\nContent-Len"]
)
async def test_a_head_that_does_not_come_is_not_waited_for(
    settings: Settings, engines: FakeEngines, begun: bytes
) -> None:
    async with (
        serving(settings, engines, PATIENCE_S) as connect,
        connect() as (reader, writer),
    ):
        started = time.monotonic()
        writer.write(begun)
        assert await closed(reader)
        assert time.monotonic() - started >= PATIENCE_S - 0.1


async def test_drops_of_a_head_do_not_begin_the_time_anew(
    settings: Settings, engines: FakeEngines
) -> None:
    async with (
        serving(settings, engines, PATIENCE_S) as connect,
        connect() as (reader, writer),
    ):

        async def drip() -> None:
            writer.write(b"GET /livez HTTP/1.1\r\n")
            while True:
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await closed(reader)
        dripping.cancel()


async def test_the_next_head_has_as_much_time_as_the_first(
    settings: Settings, engines: FakeEngines
) -> None:
    async with (
        serving(settings, engines, PATIENCE_S) as connect,
        connect() as (reader, writer),
    ):
        for _ in range(2):
            writer.write(LIVEZ[:9])
            await asyncio.sleep(PATIENCE_S / 3)
            writer.write(LIVEZ[9:])
            assert (await answer(reader))[0] == 200
            await asyncio.sleep(PATIENCE_S * 1.5)  # it may rest for uvicorn's keep-alive time
        writer.write(LIVEZ[:-1])
        assert await closed(reader)


async def test_bodies_and_answers_may_take_longer_than_a_head(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    late = json.dumps({"question": QUESTION, "deadline_ms": 1500}).encode()
    async with (
        serving(settings, engines, PATIENCE_S) as connect,
        connect() as (reader, writer),
    ):
        message = posted(late)
        writer.write(message[: -len(late)])
        for byte in late[:20]:
            writer.write(bytes([byte]))
            await asyncio.sleep(PATIENCE_S / 12)
        writer.write(late[20:])
        assert (await answer(reader))[0] == 504
        writer.write(LIVEZ + LIVEZ)  # one behind the other, and the connection is as good as new
        assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]


CHUNKED = b"POST /solve HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n"
LINES = b"X: ".ljust(1022, b"y") + b"\r\n"


@pytest.mark.parametrize(
    ("begun", "part"),
    [
        pytest.param(b"GET /livez HTTP/1.1\r\nX: ", b"y" * 1024, id="a field of a head"),
        pytest.param(b"GET /livez HTTP/1.1\r\n", LINES, id="fields of a head"),
        pytest.param(CHUNKED + b"0\r\nX: ", b"y" * 1024, id="a trailer"),
        pytest.param(CHUNKED + b"0\r\n", LINES, id="trailers"),
        pytest.param(CHUNKED + b"1;x=", b"y" * 1024, id="an extension of a chunk"),
    ],
)
async def test_what_has_no_end_is_not_kept(
    settings: Settings, engines: FakeEngines, begun: bytes, part: bytes
) -> None:
    async with (
        serving(settings, engines, LIMIT_S) as connect,
        connect() as (_, writer),
    ):

        async def flood() -> None:
            writer.write(begun)
            for _ in range(16 * 1024):  # 16 MiB in all
                writer.write(part)
                await writer.drain()

        with pytest.raises(ConnectionError):  # closed by the other side
            await flood()


async def test_a_body_in_pieces_is_as_long_as_it_likes_and_may_have_trailers(
    settings: Settings, engines: FakeEngines
) -> None:
    parts = [json.dumps({"question": QUESTION, "strategy": "draft"}).encode(), *[b" " * 4096] * 32]
    body = b"".join(parts)
    head = CHUNKED[:-2] + b"Content-Type: application/json\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    roomy = settings.model_copy(update={"max_body": 4 * LONGEST_HEAD})
    async with serving(roomy, engines, LIMIT_S) as connect, connect() as (reader, writer):
        for message in (
            [posted(body)[: -len(body)], *parts],
            [head, *chunks, b"0\r\n", LINES, b"\r\n"],
        ):
            for part in message:
                writer.write(part)
                await asyncio.sleep(0.002)
            assert (await answer(reader))[0] == 200


async def test_a_head_as_long_as_may_be_is_taken_in_pieces(
    settings: Settings, engines: FakeEngines
) -> None:
    body = json.dumps({"question": QUESTION, "strategy": "draft"}).encode()
    message = posted(body, X="y" * (LONGEST_HEAD - 1024))
    async with (
        serving(settings, engines, LIMIT_S) as connect,
        connect() as (reader, writer),
    ):
        for at in range(0, len(message), 4096):
            writer.write(message[at : at + 4096])
            await asyncio.sleep(0.005)
        status, content = await answer(reader)
    assert (status, json.loads(content)["strategy"]) == (200, "draft")


async def test_a_client_that_takes_no_answer_is_left(
    settings: Settings, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_STALLED", 0.3)

    server = gateway(settings, engines, LIMIT_S)
    connections = server.server_state.connections
    async with running(server) as port, asyncio.timeout(LIMIT_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(DOCUMENT * 200)
        while not connections:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        while connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        writer.transport.abort()


async def test_a_client_that_takes_its_time_gets_all_answers(
    settings: Settings, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_STALLED", 1.0)
    async with serving(settings, engines, LIMIT_S) as connect, connect() as (reader, writer):
        writer.write(DOCUMENT * 200)
        for at in range(200):
            if at % 100 == 0:
                await asyncio.sleep(0.6)  # as long as nothing is read, nothing is taken
            assert (await answer(reader))[0] == 200
        await asyncio.sleep(0.6)
        writer.write(LIVEZ)
        assert (await answer(reader))[0] == 200
