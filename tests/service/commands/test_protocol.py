"""Heads that never end, on real connections to the gateway's own server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from service.api.draining import Drain
from service.app import create_app
from service.commands.protocol import LONGEST_HEAD
from service.commands.server import GatewayServer
from service.settings import Settings
from tests.service.fakes import QUESTION, FakeEngines
from tests.service.listening import LIMIT_S, running

PATIENCE_S = 0.6
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], AbstractAsyncContextManager[Connection]]


@asynccontextmanager
async def serving(
    settings: Settings, engines: FakeEngines, head_timeout: float
) -> AsyncIterator[Connect]:
    """What opens connections to a gateway with that much patience."""
    drain = Drain()
    app = create_app(settings, connect=engines.connect, drain=drain)
    server = GatewayServer(app, drain, delay=0.0, grace=5.0, head_timeout=head_timeout)
    server.config.port = 0
    async with running(server) as port:

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


async def test_a_head_without_an_end_is_not_kept(settings: Settings, engines: FakeEngines) -> None:
    async with (
        serving(settings, engines, LIMIT_S) as connect,
        connect() as (_, writer),
    ):

        async def flood() -> None:
            writer.write(b"GET /livez HTTP/1.1\r\nX: ")
            for _ in range(1024):  # 64 MiB in all
                writer.write(b"y" * LONGEST_HEAD)
                await writer.drain()

        with pytest.raises(ConnectionError):  # closed by the other side
            await flood()


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
