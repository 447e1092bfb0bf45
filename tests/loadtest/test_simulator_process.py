"""`python -m loadtest.simulator` as it is started: it answers, and ends when it is told to."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.loadtest.simulated import completed

START_S = 60.0  # ends a test that hangs; generous, for machines that are busy


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process and the URL that it says."""
    command = (sys.executable, "-m", "loadtest.simulator", "--port", "0", *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("simulated engine on http://127.0.0.1:")
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_answers_and_ends_when_it_is_told_to(number: signal.Signals) -> None:
    quick = ("--first-token", "0", "--between-tokens", "0", "--spread", "0")
    async with (
        started(*quick, "--fault", "sorm:500") as (process, url),
        aiohttp.ClientSession(base_url=url) as client,
    ):
        async with client.get("/health") as response:
            assert response.status == 200
        assert (await completed(client))["choices"][0]["text"]
        body = {"model": "sorm", "input": "Question: q\nSolution:\n1\n"}
        async with client.post("/pooling", json=body) as response:
            assert response.status == 500
        process.send_signal(number)
        async with asyncio.timeout(START_S):
            _, errors = await process.communicate()
    assert process.returncode == 0
    assert errors == b""


async def test_a_request_that_hangs_does_not_keep_it() -> None:
    async with (
        started("--fault", "hang") as (process, url),
        aiohttp.ClientSession(base_url=url) as client,
        asyncio.timeout(START_S),
    ):
        asked = asyncio.create_task(completed(client))
        while " 1.0" not in await _metrics(client):
            await asyncio.sleep(0.01)
        process.terminate()
        assert await process.wait() == 0
        with pytest.raises(aiohttp.ClientError):
            await asked


async def _metrics(client: aiohttp.ClientSession) -> str:
    async with client.get("/metrics") as response:
        return await response.text()


async def test_a_command_line_that_is_wrong_is_told() -> None:
    command = (sys.executable, "-m", "loadtest.simulator", "--fault", "nap")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(START_S):
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"no fault 'nap'" in errors
