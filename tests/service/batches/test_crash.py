"""Real gateway processes that are killed in the middle of a batch, before a simulated engine."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from aiohttp import web

from loadtest.simulation.server import Call, Simulator, running
from loadtest.simulation.settings import Simulated, Timing

COUNT = 24
CONCURRENCY = 2
LIMIT_S = 60.0
QUESTIONS = [{"question": f"Number <{i}>: how many?", "strategy": "draft"} for i in range(COUNT)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts that came to the simulated engine."""
    prompts: list[str] = []
    original = Simulator._call

    def noting(self: Simulator, request: web.Request, raw: bytes) -> Call:
        prompts.append(json.loads(raw)["prompt"])
        return original(self, request, raw)

    monkeypatch.setattr(Simulator, "_call", noting)
    return prompts


def times(asked: list[str]) -> list[int]:
    """How often each question came to the engine."""
    return [sum(f"<{i}>" in prompt for prompt in asked) for i in range(COUNT)]


@asynccontextmanager
async def gateway(engine: str, store: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The URL of a gateway process that answers, and the process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environment = os.environ | {
        "GLORE_GENERATION__URL": engine,
        "GLORE_SCORING__URL": engine,
        "GLORE_STORE": store,
        "GLORE_BATCH_LEASE": "2",
        "GLORE_BATCH_CONCURRENCY": str(CONCURRENCY),
    }
    uvicorn = ["-m", "uvicorn", "--factory", "service.app:from_environment", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *uvicorn, "--no-access-log", env=environment, stderr=asyncio.subprocess.PIPE
    )
    log = asyncio.create_task(process.stderr.read() if process.stderr else asyncio.sleep(0, b""))
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(LIMIT_S), httpx2.AsyncClient() as client:
            while True:
                assert process.returncode is None, await log
                try:
                    await client.get(f"{url}/livez")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
        yield url, process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
        assert b"hidden" not in await log


async def lines(url: str, key: str) -> AsyncIterator[dict[str, Any]]:
    """The lines of the batch, as long as the gateway lives."""
    async with (
        httpx2.AsyncClient(timeout=LIMIT_S) as client,
        client.stream(
            "POST",
            f"{url}/solve/batch",
            json={"questions": QUESTIONS},
            headers={"Idempotency-Key": key},
        ) as response,
    ):
        assert response.status_code == 200
        async for line in response.aiter_lines():
            yield json.loads(line)


async def until_killed(
    url: str, process: asyncio.subprocess.Process, key: str, after: int
) -> dict[int, dict[str, Any]]:
    """What was told before the gateway was killed, `after` lines from its start."""
    told: dict[int, dict[str, Any]] = {}
    try:
        async for line in lines(url, key):
            told[line["index"]] = line
            if len(told) == after:
                process.send_signal(signal.SIGKILL)
    except httpx2.TransportError:
        return told
    pytest.fail("the gateway finished before it was killed")


def assert_whole(last: list[dict[str, Any]], told: dict[int, dict[str, Any]]) -> None:
    """Each question has one result, and those told before have the same."""
    assert last[-1] == {"done": True, "ok": COUNT, "errors": 0}
    results = {line["index"]: line for line in last[:-1]}
    assert len(last) == COUNT + 1
    assert sorted(results) == list(range(COUNT))
    assert {index: results[index] for index in told} == told


async def test_a_killed_gateway_loses_no_result_and_runs_none_twice(
    location: str, asked: list[str]
) -> None:
    async with running(Simulated(timing=Timing(first_token=0.15))) as (_, engine):
        async with gateway(engine, location) as (url, process):
            told = await until_killed(url, process, "crash", after=7)
            before = len(asked)
        assert 7 <= len(told) < COUNT
        assert before < COUNT
        async with gateway(engine, location) as (url, _):
            last = [line async for line in lines(url, "crash")]
            assert_whole(last, told)
            total = len(asked)
            again = [line async for line in lines(url, "crash")]
            assert_whole(again, {line["index"]: line for line in last[:-1]})
            assert len(asked) == total  # all of it came from the store
    counts = times(asked)
    assert [counts[index] for index in told] == [1] * len(told)
    assert min(counts) == 1
    assert total - COUNT <= CONCURRENCY  # only what had not finished when the gateway died


async def test_of_two_gateways_one_goes_on_when_the_other_is_killed(
    postgres: str, asked: list[str]
) -> None:
    async with (
        running(Simulated(timing=Timing(first_token=0.15))) as (_, engine),
        gateway(engine, postgres) as (first, process),
        gateway(engine, postgres) as (second, _),
    ):

        async def whole() -> list[dict[str, Any]]:
            return [line async for line in lines(second, "two")]

        other = asyncio.create_task(whole())
        told = await until_killed(first, process, "two", after=9)
        assert not other.done()
        assert_whole(await other, told)
    counts = times(asked)
    assert [counts[index] for index in told] == [1] * len(told)
    assert min(counts) == 1
    assert sum(counts) - COUNT <= CONCURRENCY
