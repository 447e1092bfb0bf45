"""A gateway on engines whose answers take fixed times in virtual time, and clients that ask it."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from glore.api.answering import admitted
from glore.api.context import Context
from glore.api.record import ANONYMOUS
from glore.app import connect_vllm, create_app
from glore.engines.exchange import MAX_RESPONSE_BYTES, EngineHTTPError
from glore.engines.ports import Lease, Role
from glore.refinement.runner import refine
from glore.refinement.types import Budget, Job, Sampling, Strategy
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation import shapes, writing

# How long an answer of each model takes; a `glore` question takes 0.35 seconds.
SECONDS: Mapping[str, float] = {
    "student": 0.15,
    "global_refiner": 0.15,
    "local_refiner": 0.15,
    "sorm": 0.05,
    "orm": 0.05,
}


@dataclass
class VirtualEngines:
    """All servers at once: vLLM's shapes, `seconds` of each model, and models that never answer."""

    seconds: dict[str, float] = field(default_factory=lambda: dict(SECONDS))
    hung: set[Role] = field(default_factory=set)
    healthy: bool = True
    running: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def open(self, _engine: EngineSettings) -> AsyncIterator["VirtualEngines"]:
        """In place of a server."""
        yield self

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        """The answer of the model that is named."""
        requested: Any = payload
        model = requested["model"]
        self.running[model] += 1
        try:
            async with asyncio.timeout(lease.timeout):
                await asyncio.sleep(self.seconds[model])
                if model in self.hung:
                    await asyncio.Event().wait()
        except TimeoutError:
            raise EngineHTTPError(reason="timeout") from None
        finally:
            self.running[model] -= 1
        if path == "/pooling":
            rows = [writing.score_rows(text, 2) for text in requested["input"]]
            return json.dumps(shapes.pooling(model, rows, 1)).encode()
        text = writing.written(requested["prompt"], random.Random(7), right=0.0)
        body = shapes.completion(model, [(text, "stop")] * requested["n"], shapes.usage(1, 9))
        return json.dumps(body).encode()

    async def stream(self, *_: Any, **__: Any) -> None:
        """Nobody asks for it."""
        raise AssertionError

    async def get(self, path: str, *, timeout: float) -> bytes:
        """As a probe asks; a server that is not healthy is loading its model."""
        if not self.healthy:
            raise EngineHTTPError(reason="overloaded", status=503)
        return json.dumps(shapes.models(list(SECONDS), 4096)).encode() if "models" in path else b""


@asynccontextmanager
async def gateway(
    engines: VirtualEngines,
    monkeypatch: pytest.MonkeyPatch,
    **changes: Any,
) -> AsyncIterator[FastAPI]:
    """A gateway by the loop's clock."""
    monkeypatch.setattr("time.monotonic", asyncio.get_running_loop().time)
    settings = Settings(store=SecretStr("off"), threshold=0.5, **changes)
    app = create_app(settings, connect=partial(connect_vllm, settings, engines.open))
    async with app.router.lifespan_context(app):
        yield app


def job(strategy: Strategy, deadline: float) -> Job:
    """A question."""
    budget = Budget(deadline, max_calls=16, max_generated_tokens=8192, rerank_reserve=1.0)
    return Job("How many?", strategy, Sampling(), budget, threshold=0.5, gate=0.5)


@dataclass
class Clients:
    """What came of the questions of one closed loop."""

    context: Context
    seconds: list[float] = field(default_factory=list)  # that each took
    degraded: Counter[str] = field(default_factory=Counter)

    async def ask(self, strategy: Strategy, deadline: float) -> None:
        """One question after the other, until cancelled."""
        clock = self.context.clock
        while True:
            began = clock()
            async with admitted(job(strategy, deadline), self.context, ANONYMOUS) as timely:
                outcome = await refine(timely, self.context.engines, clock)
            self.seconds.append(clock() - began)
            self.degraded.update(f"{d.stage}:{d.reason}" for d in outcome.state.degraded)


async def closed_loop(
    app: FastAPI,
    seconds: float,
    clients: Mapping[Strategy, int],
    deadline: float,
) -> dict[Strategy, Clients]:
    """So many clients of each strategy, each with one question at a time, for so long."""
    found = {strategy: Clients(app.state.context) for strategy in clients}
    jobs = [
        asyncio.create_task(found[strategy].ask(strategy, deadline))
        for strategy, count in clients.items()
        for _ in range(count)
    ]
    await asyncio.sleep(seconds)
    for each in jobs:
        each.cancel()
    ended = await asyncio.gather(*jobs, return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}
    return found
