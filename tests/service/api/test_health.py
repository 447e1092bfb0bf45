import asyncio
import re
import time
from dataclasses import dataclass, replace

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from glore.app import create_app
from glore.engines.breaker import Circuit
from glore.engines.ports import Role
from glore.engines.readiness import EngineState, EngineStatus, ReadinessMonitor
from glore.role_settings import RoleEngines
from glore.settings import Settings
from glore.startup import version
from tests.service.fakes import QUESTION, FakeEngines, FakeProbe


async def test_alive_asks_nobody(client: httpx2.AsyncClient, engines: FakeEngines) -> None:
    response = await client.get("/livez")
    assert response.json() == {"status": "alive"}
    assert engines.probes["generation"].checks == 0


async def test_ready_when_all_engines_are(client: httpx2.AsyncClient) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "version": version(),
        "engines": {"generation": "ready", "scoring": "ready"},
    }


async def test_what_answers_is_reported_where_it_is_known(
    settings: Settings, engines: FakeEngines
) -> None:
    known = settings.model_copy(update={"serves": "the bundle"})
    app = create_app(known, connect=engines.connect)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
            assert (await client.get("/readyz")).json()["serves"] == known.identity


async def test_not_ready_says_which_engine_and_why(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.probes["generation"].status = EngineStatus(
        EngineState.MISSING_MODELS, ("local_refiner",)
    )
    engines.probes["scoring"].status = EngineStatus(EngineState.UNREACHABLE)
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not_ready",
        "version": version(),
        "engines": {"generation": "missing_models", "scoring": "unreachable"},
        "missing_models": {"generation": ["local_refiner"]},
    }


@pytest.mark.parametrize("state", ["unreachable", "unresponsive", "starting", "failed"])
async def test_without_its_scores_a_gateway_is_degraded_and_stays_in_its_balancer(
    client: httpx2.AsyncClient, engines: FakeEngines, state: EngineState
) -> None:
    engines.probes["scoring"].status = EngineStatus(EngineState(state))
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "version": version(),
        "engines": {"generation": "ready", "scoring": state},
    }


async def test_without_the_students_engine_it_is_not_ready(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.probes["generation"].status = EngineStatus(EngineState.UNREACHABLE)
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "not_ready"


@pytest.mark.parametrize(
    ("role", "circuit", "status"),
    [
        ("student", Circuit.OPEN, "not_ready"),
        ("student", Circuit.HALF_OPEN, "degraded"),
        ("orm", Circuit.OPEN, "degraded"),
        ("orm", Circuit.HALF_OPEN, "degraded"),
        ("local_refiner", Circuit.OPEN, "degraded"),
    ],
)
async def test_an_open_circuit_is_as_an_engine_that_is_down(
    app: FastAPI,
    client: httpx2.AsyncClient,
    role: Role,
    circuit: Circuit,
    status: str,
) -> None:
    @dataclass
    class Guard:
        circuit: Circuit

        def end_rest(self) -> None:
            raise AssertionError

    readiness = ReadinessMonitor({}, time.monotonic, guards={role: Guard(circuit)})
    app.state.context = replace(app.state.context, readiness=readiness)
    response = await client.get("/readyz")
    assert response.status_code == (503 if status == "not_ready" else 200)
    circuits = {role: circuit}
    body = {"status": status, "version": version(), "engines": {}, "circuits": circuits}
    assert response.json() == body


async def test_with_an_engine_of_its_own_the_student_is_the_one_that_counts(
    settings: Settings, engines: FakeEngines
) -> None:
    own = RoleEngines(student=settings.generation)
    app = create_app(settings.model_copy(update={"engines": own}), connect=engines.connect)
    engines.probes["student"] = FakeProbe()
    engines.probes["generation"].status = EngineStatus(EngineState.UNREACHABLE)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        response = await client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")


async def test_a_misfit_is_reported_in_a_sentence(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.probes["scoring"].status = EngineStatus(EngineState.MISFIT, problem="it merges steps")
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not_ready",
        "version": version(),
        "engines": {"generation": "ready", "scoring": "misfit"},
        "problems": {"scoring": "it merges steps"},
    }


async def test_metrics_tell_what_happened(client: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await client.post("/solve", json={"question": QUESTION})
    await client.post("/solve", json={"question": ""})
    engines.student.fault = "failed"
    await client.post("/solve", json={"question": QUESTION, "strategy": "draft"})
    await client.get("/nowhere/at/all")
    response = await client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return samples[(name, *sorted(labels.items()))]

    solve = {"route": "/solve"}
    assert value("glore_requests_total", **solve, strategy="glore", status="200") == 1
    assert value("glore_requests_total", **solve, strategy="none", status="422") == 1
    assert value("glore_requests_total", **solve, strategy="draft", status="503") == 1
    assert value("glore_requests_total", route="unmatched", strategy="none", status="404") == 1
    assert (
        value("glore_request_duration_seconds_count", **solve, strategy="glore", outcome="ok") == 1
    )
    runs = "glore_stage_duration_seconds_count"
    assert value(runs, stage="rerank", role="orm", outcome="ok") == 1
    assert value(runs, stage="draft", role="student", outcome="ok") == 1
    assert value(runs, stage="draft", role="student", outcome="failed") == 1
    assert value("glore_stages_degraded_total", stage="draft", reason="failed") == 1
    assert value("glore_engine_calls_total", role="student") == 2
    assert value("glore_engine_errors_total", role="student", reason="failed") == 1
    local = {"stage": "refine_locally", "role": "local_refiner", "strategy": "glore"}
    assert value("glore_generated_tokens_total", **local) == 10
    assert value("glore_first_errors_found_total", strategy="glore") == 1
    assert value("glore_candidates_refuted_total", kind="draft", verifier="arithmetic") == 1
    assert value("glore_answers_changed_total", strategy="glore") == 1
    assert value("glore_solves_in_flight") == 0
    selected = value("glore_candidates_selected_total", kind="local_refinement", strategy="glore")
    assert selected == 1


async def test_metrics_count_the_tasks_of_the_event_loop(client: httpx2.AsyncClient) -> None:
    async def tasks() -> int:
        text = (await client.get("/metrics")).text
        found = re.search(r"^glore_asyncio_tasks (\S+)$", text, re.MULTILINE)
        assert found
        return int(float(found[1]))

    before = await tasks()
    waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    assert await tasks() == before + 3
    for each in waiting:
        each.cancel()


async def test_openmetrics_when_requested(client: httpx2.AsyncClient) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    response = await client.get("/metrics", headers=accept)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize("state", list(EngineState))
async def test_health_is_readiness_by_another_name(
    client: httpx2.AsyncClient, engines: FakeEngines, state: EngineState
) -> None:
    engines.probes["generation"].status = EngineStatus(state)
    health, ready = await client.get("/health"), await client.get("/readyz")
    assert (health.status_code, health.json()) == (ready.status_code, ready.json())
    assert health.status_code == (200 if state is EngineState.READY else 503)


@pytest.mark.parametrize(
    "path",
    ["/livez", "/readyz", "/health", "/metrics", "/openapi.json", "/docs", "/v1/models", "/no"],
)
async def test_head_is_get_without_content(client: httpx2.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert head.status_code == get.status_code
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert head.content == b""
    if path != "/metrics":  # which counts what comes in between
        assert head.headers["Content-Length"] == str(len(get.content))


async def test_head_is_described_and_asks_nothing(
    app: FastAPI, client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    paths = app.openapi()["paths"]
    assert {path for path, each in paths.items() if "head" in each} == {
        path for path, each in paths.items() if "get" in each
    }
    assert all("content" not in each for each in paths["/health"]["head"]["responses"].values())
    assert (await client.head("/solve")).status_code == 405
    assert engines.student.calls == 0
