"""The gateway behind a real socket, for what only a real connection shows."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest_asyncio
from pydantic import AnyHttpUrl

from glore.app import create_app
from glore.role_settings import EngineSettings
from glore.settings import Settings
from tests.service.engines.fake_vllm import FakeVllm, fake_vllm
from tests.service.fakes import QUESTION
from tests.service.listening import LIMIT_S, listening

BODY_S = 1.0  # for the whole body of a request


@pytest_asyncio.fixture
async def generation() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as server:
        yield server


@pytest_asyncio.fixture
async def port(settings: Settings, generation: FakeVllm) -> AsyncIterator[int]:
    """The port of a gateway on one fake vLLM."""
    engine = EngineSettings(url=AnyHttpUrl(generation.url))
    changes = {"generation": engine, "scoring": engine, "body_timeout": BODY_S}
    async with listening(create_app(settings.model_copy(update=changes))) as port:
        yield port


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


async def test_half_a_body_is_not_waited_for_and_the_connection_is_closed(port: int) -> None:
    head = (
        b"POST /solve HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n"
    )
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b'{"question": "How')
        answer = await reader.read()  # to the end of the connection
        writer.close()
        await writer.wait_closed()
    status, _, rest = answer.partition(b"\r\n")
    assert status.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close\r\n" in rest.lower()
    assert b'"/problems/body-too-late"' in rest
