"""The five calls that a gateway answers, each by both clients: what befalls one befalls all."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from glore_client import AsyncClient, Client
from tests.clients.python.samples import QUESTION


@dataclass(frozen=True)
class Call:
    """Makes one call with a client of its own and takes all that comes of it."""

    name: str
    is_async: bool

    def __call__(self, base_url: str, *, timeout: float = 30.0, **client: Any) -> Any:
        if self.is_async:
            return asyncio.run(self.awaited(base_url, timeout, **client))
        with Client(base_url, **client) as asking:
            made = self._made(asking, timeout)
            if self.name == "stream":
                with made as stream:
                    return list(stream)
            return list(made) if isinstance(made, Iterator) else made

    async def awaited(self, base_url: str, timeout: float, **client: Any) -> Any:
        async with AsyncClient(base_url, **client) as asking:
            made = self._made(asking, timeout)
            if self.name == "stream":
                async with made as stream:
                    return [event async for event in stream]
            if isinstance(made, AsyncIterator):
                return [outcome async for outcome in made]
            return await made

    def _made(self, client: Client | AsyncClient, timeout: float) -> Any:
        match self.name:
            case "solve":
                return client.solve(QUESTION, timeout=timeout)
            case "stream":
                return client.stream(QUESTION, timeout=timeout)
            case "batch":
                return client.solve_batch([QUESTION], timeout=timeout)
            case "feedback":
                return client.feedback("solve_1", correct=True, timeout=timeout)
            case _:
                return client.ready(timeout=timeout)


CALLS = pytest.mark.parametrize(
    "call",
    [
        pytest.param(Call(name, is_async), id=f"{name}-{'async' if is_async else 'sync'}")
        for name in ("solve", "stream", "batch", "feedback", "ready")
        for is_async in (False, True)
    ],
)
