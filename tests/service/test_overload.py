"""The whole gateway before simulated engines: overload, a dying engine, clients that leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from pydantic import AnyHttpUrl

from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from service.app import create_app
from service.settings import EngineSettings, Settings


@asynccontextmanager
async def gateway(
    settings: Settings,
    simulated: Simulated,
    **changes: Any,  # noqa: ANN401
) -> AsyncIterator[tuple[httpx2.AsyncClient, Simulator]]:
    """A client of a gateway whose two engines are one simulator."""
    async with running(simulated) as (simulator, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        app = create_app(
            settings.model_copy(update={"generation": engine, "scoring": engine, **changes})
        )
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
        ):
            yield client, simulator


async def ask(client: httpx2.AsyncClient, **body: object) -> httpx2.Response:
    return await client.post("/solve", json={"question": "How many?", **body})


async def test_a_question_is_answered(settings: Settings) -> None:
    async with gateway(settings, Simulated()) as (client, _):
        answer = await ask(client)
    assert answer.status_code == 200
    assert answer.json()["degraded"] == []
    kinds = {candidate["kind"] for candidate in answer.json()["candidates"]}
    assert kinds >= {"draft", "global_refinement"}


async def test_beyond_its_bounds_the_gateway_refuses_at_once(settings: Settings) -> None:
    slow = Simulated(timing=Timing(first_token=0.3))
    async with gateway(settings, slow, max_running=2, max_waiting=3) as (client, simulator):
        tasks = [asyncio.create_task(ask(client, strategy="draft")) for _ in range(12)]
        seen = []
        while not all(task.done() for task in tasks):
            seen.append(simulator.running)
            await asyncio.sleep(0.01)
        answers = [task.result() for task in tasks]
        after = (await client.get("/metrics")).text
    assert max(seen) == 2
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 7
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["type"] == "/problems/overloaded"
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "glore_solves_waiting 0.0" in after
    assert "glore_solves_in_flight 0.0" in after


async def test_waiting_for_a_turn_takes_from_the_deadline(settings: Settings) -> None:
    slow = Simulated(timing=Timing(first_token=3.0))
    async with gateway(settings, slow, max_running=1) as (client, _):
        first = asyncio.create_task(ask(client, strategy="draft"))
        await asyncio.sleep(0.05)
        started = asyncio.get_running_loop().time()
        late = await ask(client, strategy="draft", deadline_ms=500)
        took = asyncio.get_running_loop().time() - started
        assert (await first).status_code == 200
    assert late.status_code == 503  # half of its deadline was spent on waiting
    assert 0.2 < took < 2.5


async def test_a_dead_engine_opens_its_circuit_and_is_found_again(settings: Settings) -> None:
    faults = (parse_fault("sorm:500"), parse_fault("orm:500"))
    async with gateway(settings, Simulated(faults=faults)) as (client, simulator):
        for _ in range(6):
            answer = await ask(client)
            assert answer.status_code == 200  # the answer does not need the scores
            assert answer.json()["degraded"]
        reasons = {item["reason"] for item in answer.json()["degraded"]}
        metrics = (await client.get("/metrics")).text
        # one server plays both engines, so its health says nothing of its scores
        state = (await client.get("/readyz")).json()
        assert reasons == {"circuit_open"}
        assert state["circuits"] == {"scoring": "open"}
        assert state["status"] == "not_ready"
        assert 'glore_engine_circuit{engine="scoring",state="open"} 1.0' in metrics
        assert 'glore_engine_circuit{engine="generation",state="closed"} 1.0' in metrics
        simulator.settings = replace(simulator.settings, faults=())
        await asyncio.sleep(2.1)  # the breaker's rest
        answer = await ask(client)
        assert (await client.get("/readyz")).json()["status"] == "ready"
    assert answer.json()["degraded"] == []


@pytest.mark.parametrize("kind", ["429", "reset"])
async def test_an_engine_that_fails_now_and_then_costs_nothing(
    settings: Settings, kind: str
) -> None:
    async with gateway(settings, Simulated(faults=(parse_fault(f"{kind}=0.1"),))) as (client, _):
        answers = [await ask(client) for _ in range(20)]
        metrics = (await client.get("/metrics")).text
    assert all(answer.status_code == 200 for answer in answers)
    degraded = sum(bool(answer.json()["degraded"]) for answer in answers)
    assert degraded <= 2
    retried = [line for line in metrics.splitlines() if line.startswith("glore_engine_retries_t")]
    assert sum(float(line.rpartition(" ")[2]) for line in retried) > 0


async def test_a_client_that_leaves_the_queue_leaves_no_work_behind(settings: Settings) -> None:
    slow = Simulated(timing=Timing(first_token=5.0))
    async with gateway(settings, slow, max_running=1) as (client, simulator):
        tasks = [asyncio.create_task(ask(client)) for _ in range(3)]
        while simulator.running == 0:  # noqa: ASYNC110 - the simulator has no event for it
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1):
            while simulator.running:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert sum(simulator.came.values()) == 1
