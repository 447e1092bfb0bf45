"""Whatever engines send, the event loop goes on, within deadlines and bounds of memory."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Final

import httpx2
import pytest
from pydantic import AnyHttpUrl

from glore.app import create_app
from glore.engines.connection import TurnBudget
from glore.engines.exchange import MAX_RESPONSE_BYTES
from glore.engines.generating import VllmGenerator
from glore.engines.likelihood import VllmLikelihoodScorer
from glore.engines.ports import EngineError, Lease
from glore.engines.scoring import VllmStepScorer
from glore.engines.vllm import VllmEngine, open_engine
from glore.formats.likelihood import LikelihoodScores
from glore.role_settings import EngineSettings
from glore.settings import Settings
from tests.service.engines.hostile import NAMES, flood, hostile, watched_turns
from tests.service.lateness import watched

LONGEST_TURN_S: Final = 0.05  # of CPU
MOST_MEMORY: Final = 8 * MAX_RESPONSE_BYTES  # of one call, buffers of its engine's included
TIMEOUT_S: Final = 0.4
SLACK_S: Final = 0.1  # past a deadline
TOKENS: Final = 1024  # the most that a request may ask for
REASONS: Final = {"bad_response", "failed", "rejected", "timeout", "wrong_scores"}
# Floods that take the longest, or that end in different places.
SOME: Final = (
    "interim responses",
    "header lines",
    "empty events",
    "large events",
    "small chunks",
    "a body that dribbles",
    "many rows",
    "4900 keys",
)


async def generate(engine: VllmEngine, *, n: int, streamed: bool) -> str:
    """The reason for which the call fails."""
    generator = VllmGenerator(engine, "student", "student")
    with pytest.raises(EngineError) as caught:
        await generator.generate(
            "1 + 1?",
            n=n,
            temperature=0.0,
            top_p=1.0,
            max_tokens=TOKENS,
            lease=Lease(TIMEOUT_S),
            on_text=(lambda _: None) if streamed else None,
        )
    return caught.value.reason


async def score(engine: VllmEngine) -> str:
    """The reason for which the call fails."""
    with pytest.raises(EngineError) as caught:
        await VllmStepScorer(engine, "sorm").score_steps(
            "1 + 1?", ["a"] * 999, lease=Lease(TIMEOUT_S)
        )
    return caught.value.reason


async def rank(engine: VllmEngine) -> str:
    """The reason for which the call fails, whose answer may be as large as any."""
    scorer = VllmLikelihoodScorer(engine, "orm", LikelihoodScores())
    with pytest.raises(EngineError) as caught:
        await scorer.score_outcomes("1 + 1?", ["word " * 1000] * 3, lease=Lease(TIMEOUT_S))
    return caught.value.reason


@asynccontextmanager
async def bounded(calls: int) -> AsyncIterator[None]:
    """So many calls are made in the block; no turn of the loop, and nothing else, is too long."""
    loop = asyncio.get_running_loop()
    gc.collect()  # what earlier tests left is not collected in one of these turns
    async with watched() as lateness, watched_turns() as turns:
        began = loop.time()
        yield
        took = loop.time() - began
    assert turns.longest < LONGEST_TURN_S
    assert turns.memory < calls * MOST_MEMORY
    assert took < TIMEOUT_S + SLACK_S + lateness.between(began)


@pytest.mark.parametrize("name", NAMES)
async def test_a_flood_holds_up_nobody(name: str) -> None:
    with hostile(flood(name)) as server:
        async with open_engine(server.url, api_key=None, timeout=30.0) as engine, bounded(4):
            reasons = await asyncio.gather(
                generate(engine, n=7, streamed=False),
                generate(engine, n=1, streamed=True),
                score(engine),
                rank(engine),
            )
    assert set(reasons) <= REASONS


@pytest.mark.parametrize("name", ["4900 keys", "3000 rows", "small chunks", "empty events"])
async def test_many_floods_at_once_hold_up_nobody(name: str) -> None:
    streamed = "events" in name
    async with AsyncExitStack() as stack:
        budget = TurnBudget()
        engines = []
        for _ in range(48):
            server = stack.enter_context(hostile(flood(name)))
            opened = open_engine(server.url, api_key=None, timeout=30.0, budget=budget)
            engines.append(await stack.enter_async_context(opened))
        async with bounded(len(engines)):
            reasons = await asyncio.gather(
                *(generate(engine, n=7, streamed=streamed) for engine in engines)
            )
    assert set(reasons) <= REASONS


@pytest.mark.parametrize("name", SOME)
async def test_a_gateway_is_alive_beside_a_flood(settings: Settings, name: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(hostile(flood(name)))
        engine = EngineSettings(url=AnyHttpUrl(server.url))
        app = create_app(
            settings.model_copy(
                update={"generation": engine, "scoring": engine, "probe_timeout": 0.4}
            )
        )
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
        ):
            body = {"question": "1 + 1?", "deadline_ms": 300, "sampling": {"max_tokens": TOKENS}}
            events = {"Accept": "text/event-stream"}
            await client.get("/livez")
            async with bounded(4):
                requested = [
                    asyncio.create_task(client.post("/solve", json=body)),
                    asyncio.create_task(client.post("/solve", json=body, headers=events)),
                    asyncio.create_task(client.get("/readyz")),
                ]
                alive = 0
                while not all(task.done() for task in requested):
                    assert (await client.get("/livez")).status_code == 200
                    alive += 1
                    await asyncio.sleep(0.005)
                whole, streamed, ready = [task.result() for task in requested]
    assert alive > 1
    assert whole.status_code in {502, 503, 504}
    assert streamed.text.rpartition("event: ")[2].startswith("error")
    assert ready.status_code == 503
