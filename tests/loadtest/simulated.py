"""A simulated engine that runs, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from glore.formats.prompts import student_prompt
from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated

MOST = 200  # tokens
ASKED = {"model": "student", "prompt": student_prompt("How many?"), "max_tokens": MOST}


@asynccontextmanager
async def engine(**changes: Any) -> AsyncIterator[tuple[Simulator, aiohttp.ClientSession]]:
    """A running simulator and a client whose base is its URL."""
    async with (
        running(Simulated(**changes)) as (simulator, url),
        aiohttp.ClientSession(base_url=url) as client,
    ):
        yield simulator, client


async def completed(client: aiohttp.ClientSession, **changes: object) -> dict[str, Any]:
    """The answer to ASKED with these changes."""
    async with client.post("/v1/completions", json={**ASKED, **changes}) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


async def streamed(client: aiohttp.ClientSession, path: str, body: object) -> list[str]:
    """The data of all events of a stream that ends."""
    async with client.post(path, json=body) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        raw = (await response.read()).decode()
    return [line.removeprefix("data: ") for line in raw.split("\n\n") if line]
