"""The whole gateway before simulated engines: overload, a dying engine, clients that leave."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from pydantic import AnyHttpUrl

from glore.app import create_app
from glore.engines.ports import Role
from glore.refinement.types import Strategy
from glore.role_settings import EngineSettings, RoleEngines
from glore.settings import Settings
from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, Timing, parse_fault


@asynccontextmanager
async def gateway(
    settings: Settings,
    simulated: Simulated,
    **changes: Any,
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
        ended: list[int] = []  # statuses, in the order in which they came
        for task in tasks:
            task.add_done_callback(lambda done: ended.append(done.result().status_code))
        seen = []
        while not all(task.done() for task in tasks):
            seen.append(simulator.running)
            await asyncio.sleep(0.01)
        answers = [task.result() for task in tasks]
        after = (await client.get("/metrics")).text
    assert max(seen) == 2
    assert ended == [503] * 7 + [200] * 5  # nobody who is refused waits for an answer
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["type"] == "/problems/overloaded"
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "glore_solves_waiting 0.0" in after
    assert "glore_solves_in_flight 0.0" in after


async def test_waiting_for_a_turn_takes_from_the_deadline(settings: Settings) -> None:
    slow = Simulated(timing=Timing(first_token=5.0))
    async with gateway(settings, slow, max_running=1) as (client, _):
        first = asyncio.create_task(ask(client, strategy="draft"))
        await asyncio.sleep(0.05)
        started = asyncio.get_running_loop().time()
        late = await ask(client, strategy="draft", deadline_ms=500)
        took = asyncio.get_running_loop().time() - started
        assert (await first).status_code == 200
    assert late.status_code == 503  # half of its deadline was spent on waiting
    assert 0.2 < took < 4.0  # it did not wait for the first to end


async def test_a_dead_engine_opens_its_circuit_and_is_found_again(settings: Settings) -> None:
    faults = (parse_fault("sorm:500"), parse_fault("orm:500"))
    async with gateway(settings, Simulated(faults=faults)) as (client, simulator):
        for _ in range(11):
            answer = await ask(client)
            assert answer.status_code == 200  # the answer does not need the scores
            assert answer.json()["degraded"]
        reasons = {item["reason"] for item in answer.json()["degraded"]}
        metrics = (await client.get("/metrics")).text
        # one server plays both engines, so its health says nothing of its scores
        state = (await client.get("/readyz")).json()
        assert reasons == {"circuit_open"}
        assert state["circuits"] == {"sorm": "open", "orm": "open"}
        assert state["status"] == "degraded"
        for role in ("sorm", "orm"):
            assert f'glore_engine_circuit{{role="{role}",state="open"}} 1.0' in metrics
        for role in ("student", "global_refiner", "local_refiner"):
            assert f'glore_engine_circuit{{role="{role}",state="closed"}} 1.0' in metrics
        simulator.settings = replace(simulator.settings, faults=())
        await asyncio.sleep(2.1)  # the breaker's rest
        answer = await ask(client)
        assert (await client.get("/readyz")).json()["status"] == "ready"
    assert answer.json()["degraded"] == []


RANKED = (Strategy.GLORE, Strategy.GATED, Strategy.ADAPTIVE)  # they refine, and the ORM ranks
ASKED: dict[Role, frozenset[Strategy]] = {
    "global_refiner": frozenset({Strategy.GLOBAL, *RANKED}),
    "local_refiner": frozenset({Strategy.LOCAL, *RANKED}),
    "sorm": frozenset({Strategy.LOCAL, *RANKED}),
    "orm": frozenset({Strategy.BEST_OF_N, *RANKED}),
}


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("role", ASKED)
async def test_a_role_that_fails_costs_no_answer_and_leaves_its_neighbours_alone(
    settings: Settings, role: Role, strategy: Strategy
) -> None:
    """One server plays all five roles, and one gateway remembers what they did."""
    broken = Simulated(faults=(parse_fault(f"{role}:500"),), right=0.0, seed=7)
    async with gateway(settings, broken, verifiers=()) as (client, _):
        answers = [await ask(client, strategy=strategy) for _ in range(30)]
        state = (await client.get("/readyz")).json()
    assert [answer.status_code for answer in answers] == [200] * 30
    requested = strategy in ASKED[role]
    missing = [item["reason"] for answer in answers for item in answer.json()["degraded"]]
    assert ("circuit_open" in missing) == requested
    assert state.get("circuits", {}) == ({role: "open"} if requested else {})


async def test_a_role_without_a_server_opens_its_own_circuit_alone(settings: Settings) -> None:
    with socket.socket() as holder:  # it takes a port, and nobody listens there
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        nobody = EngineSettings(url=AnyHttpUrl(f"http://127.0.0.1:{port}"))
        own = RoleEngines(global_refiner=nobody)
        async with gateway(settings, Simulated(right=0.0), engines=own) as (client, _):
            answers = [await ask(client, strategy="global") for _ in range(30)]
            state = (await client.get("/readyz")).json()
    assert [answer.status_code for answer in answers] == [200] * 30
    assert state["circuits"] == {"global_refiner": "open"}
    assert state["engines"]["global_refiner"] == "unreachable"
    assert state["engines"]["generation"] == "ready"


async def test_each_role_has_retries_of_its_own_and_few_of_them(settings: Settings) -> None:
    """One server plays all five roles."""
    busy = Simulated(faults=(parse_fault("global_refiner:429"),))
    async with gateway(settings, busy) as (client, simulator):
        answers = [await ask(client, strategy="global") for _ in range(30)]
        metrics = (await client.get("/metrics")).text
        simulator.settings = Simulated(faults=(parse_fault("student:429"),))
        refused = await ask(client, strategy="draft")
        after = (await client.get("/metrics")).text
    assert {answer.status_code for answer in answers} == {200}
    for role in ("student", "local_refiner", "sorm", "orm"):
        assert f'glore_engine_retries_total{{role="{role}"}} 0.0' in metrics
    assert 'glore_engine_retries_total{role="global_refiner"} 12.0' in metrics  # 10, and 30 tenths
    assert refused.status_code == 503
    assert 'glore_engine_retries_total{role="student"} 2.0' in after


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
    slow = Simulated(timing=Timing(first_token=60.0))
    async with gateway(settings, slow, max_running=1) as (client, simulator):
        tasks = [asyncio.create_task(ask(client)) for _ in range(3)]
        while simulator.running == 0:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(20):
            while simulator.running:
                await asyncio.sleep(0.01)
        assert sum(simulator.came.values()) == 1
