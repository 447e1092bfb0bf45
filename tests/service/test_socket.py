"""The gateway behind a real socket, for what only a real connection shows."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator

import pytest_asyncio
import uvicorn
from pydantic import AnyHttpUrl

from service.app import create_app
from service.settings import EngineSettings, Settings
from tests.service.engines.fake_vllm import FakeVllm, fake_vllm
from tests.service.fakes import QUESTION

LIMIT_S = 40.0  # ends a test that hangs; generous, for machines that are busy


@pytest_asyncio.fixture
async def generation() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as server:
        yield server


@pytest_asyncio.fixture
async def port(settings: Settings, generation: FakeVllm) -> AsyncIterator[int]:
    """The port of a gateway that runs in a thread, on one fake vLLM."""
    engine = EngineSettings(url=AnyHttpUrl(generation.url))
    app = create_app(settings.model_copy(update={"generation": engine, "scoring": engine}))
    config = uvicorn.Config(app, port=0, access_log=False, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + LIMIT_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await asyncio.to_thread(thread.join, LIMIT_S)
    assert not thread.is_alive()


async def test_hanging_up_aborts_the_work_at_vllm(port: int, generation: FakeVllm) -> None:
    generation.hangs("/v1/completions")
    body = json.dumps({"question": QUESTION}).encode()
    head = (
        "POST /solve HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    async with asyncio.timeout(LIMIT_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body)
        await generation.hanging.wait()
        assert not generation.aborted.is_set()
        writer.close()
        await writer.wait_closed()
        await generation.aborted.wait()


async def test_a_body_without_an_announced_length_is_bounded(port: int) -> None:
    head = (
        b"POST /solve HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + chunk * 5)
        status = await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert status.startswith(b"HTTP/1.1 413 ")
