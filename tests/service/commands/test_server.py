"""What a running gateway process does besides answering."""

import asyncio
import gc
import json

import pytest

from glore.api.draining import Drain
from glore.app import create_app
from glore.commands import protocol
from glore.commands.server import GatewayServer
from glore.settings import Settings
from tests.service.fakes import QUESTION, FakeEngines
from tests.service.listening import LIMIT_S, running

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n"
_BODY = json.dumps({"question": QUESTION}).encode()
STREAM = (
    b"POST /solve HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    b"Accept: text/event-stream\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_BODY), _BODY)
END = b"\r\n\r\n"  # of a head, and of a chunked body


def gateway(settings: Settings, engines: FakeEngines, drain: Drain, grace: float) -> GatewayServer:
    app = create_app(settings, connect=engines.connect, drain=drain)
    server = GatewayServer(app, drain, delay=0.0, grace=grace, head_timeout=60.0, keep_alive=60)
    server.config.port = 0
    return server


async def test_a_client_that_was_not_reported_of_the_end_may_ask_once_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_NEXT_REQUEST", LIMIT_S)
    engines, drain = FakeEngines(), Drain()
    engines.student.hangs = True
    server = gateway(settings, engines, drain, grace=0.2)
    async with running(server) as port, asyncio.timeout(LIMIT_S):
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for (reader, writer), request in zip(connections, (STREAM, LIVEZ), strict=False):
            writer.write(request)
            assert b"connection: close" not in (await reader.readuntil(END)).lower()
        (streamed, _), (answered, _), _ = connections
        await answered.readuntil(b"}")
        server.should_exit = True
        await streamed.readuntil(b"\r\n0" + END)
        assert drain.over.is_set()
        for reader, writer in connections:
            writer.write(LIVEZ)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nconnection: close\r\n" in answer.lower()
            writer.close()


async def test_a_client_that_asks_nothing_more_is_not_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_NEXT_REQUEST", 0.05)
    server = gateway(settings, FakeEngines(), Drain(), grace=2 * LIMIT_S)
    async with running(server) as port, asyncio.timeout(LIMIT_S):
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for (_, writer), begun in zip(connections, (b"", LIVEZ[:9], LIVEZ), strict=True):
            writer.write(begun)
        await connections[-1][0].readuntil(b"}")
        server.should_exit = True
        for reader, writer in connections:
            assert await reader.read() == b""
            writer.close()


async def test_objects_of_the_app_are_left_out_of_garbage_collection(settings: Settings) -> None:
    before = gc.get_threshold()
    server = gateway(settings, FakeEngines(), Drain(), grace=5.0)
    assert gc.get_freeze_count() == 0
    async with running(server):
        async with asyncio.timeout(LIMIT_S):  # it answers a moment before that
            while gc.get_freeze_count() == 0:
                await asyncio.sleep(0.01)
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
