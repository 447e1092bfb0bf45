"""A gateway with one engine at fault, what it answers, and how long that may take.

All times are virtual: what the machine takes to compute is no part of them.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx2
import pytest
from pydantic import AnyHttpUrl, SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glore.app import create_app
from glore.engines.ports import Role
from glore.refinement.types import Strategy
from glore.role_settings import EngineSettings, Families, RoleEngines
from glore.settings import Settings
from loadtest.simulation.server import UPSTREAM_TEXT, Simulator, running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.service import virtual
from tests.service.faults.surfaces import Surface, Told

REFUSED = "refused"
PATIENCE_MS = 30_000  # of a request whose engines end its waiting
SLACK_S = 0.1  # past the deadline
RESERVE_S = 5.0  # for reranking, at most; a fifth of the deadline if that is less
QUICK = Timing(first_token=0.002)
SOLUTIONS = Simulated(right=0.0, seed=7)
TRAINED = Families()
OTHERS = Families(student="chat", global_refiner="chat", local_refiner="chat", orm="sequence")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Observed:
    """A response, what it says, its deadline and what it took, in seconds."""

    response: httpx2.Response
    reported: Told
    deadline: float
    seconds: float

    def check_silence(self) -> None:
        """Nothing that an engine said of its fault is in what the client gets."""
        headers = "".join(f"{key}: {value}\n" for key, value in self.response.headers.items())
        assert UPSTREAM_TEXT not in self.response.text + headers
        assert "x-simulated-fault" not in self.response.headers

    def check_deadline(self) -> None:
        """It took no longer than it may."""
        assert self.seconds <= self.deadline + SLACK_S


def run(monkeypatch: pytest.MonkeyPatch, work: Coroutine[Any, Any, _T]) -> _T:
    """What `work` returns. Its event loop and its gateways have one virtual clock."""

    async def by_the_loop() -> _T:
        monkeypatch.setattr("time.monotonic", asyncio.get_running_loop().time)
        return await work

    return virtual.run(by_the_loop(), sockets=True)


@asynccontextmanager
async def engines(
    engine: Role,
    fault: str,
    timing: Timing = QUICK,
    families: Families = TRAINED,
) -> AsyncIterator[tuple[Settings, Simulator]]:
    """Settings of a gateway with this fault at this engine, and the simulator of the others."""
    sound = replace(SOLUTIONS, timing=timing)
    refused = fault == REFUSED
    faults = () if refused else (parse_fault(f"{engine}:{fault}"),)
    async with AsyncExitStack() as stack:
        simulator, url = await stack.enter_async_context(running(replace(sound, faults=faults)))
        server = EngineSettings(url=AnyHttpUrl(url))
        settings = Settings(
            generation=server,
            scoring=server,
            families=families,
            store=SecretStr("off"),
            rerank_reserve=RESERVE_S,
            verifiers=(),  # the table is that of the engines
            gate=1.0,  # nothing passes, whatever the scores that were drawn
        )
        if refused:
            nobody = replace(sound, faults=(parse_fault(fault),))
            _, url = await stack.enter_async_context(running(nobody))
            own = RoleEngines.model_validate({engine: EngineSettings(url=AnyHttpUrl(url))})
            settings = settings.model_copy(update={"engines": own})
        yield settings, simulator


class Timed:
    """An ASGI app that notes, by the loop's clock, when a request came and when it was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.came = self.answered = math.nan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        loop = asyncio.get_running_loop()

        async def note(message: Message) -> None:
            self.answered = loop.time()
            await send(message)

        self.came = loop.time()
        await self._app(scope, receive, note)


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[ASGIApp]:
    """A fresh gateway: its breakers remember nothing."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


async def observe(app: ASGIApp, surface: Surface, strategy: Strategy, deadline_ms: int) -> Observed:
    """An answer, and what it took."""
    timed = Timed(app)
    transport = httpx2.ASGITransport(app=timed)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        response = await client.post(
            surface.path,
            json=surface.body(strategy, deadline_ms),
            headers={"Accept": surface.accept},
        )
    took = timed.answered - timed.came
    return Observed(response, surface.reported(response), deadline_ms / 1000, took)


async def idle(simulator: Simulator) -> None:
    """Wait until it works on nothing any more."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while simulator.running:
            await asyncio.sleep(0.01)
