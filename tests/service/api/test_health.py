import httpx2
from prometheus_client.parser import text_string_to_metric_families

from service.engines.readiness import EngineState, EngineStatus
from tests.service.fakes import QUESTION, FakeEngines


async def test_alive_asks_nobody(client: httpx2.AsyncClient, engines: FakeEngines) -> None:
    response = await client.get("/livez")
    assert response.json() == {"status": "alive"}
    assert engines.probes["generation"].checks == 0


async def test_ready_when_all_engines_are(client: httpx2.AsyncClient) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "engines": {"generation": "ready", "scoring": "ready"},
    }


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
        "engines": {"generation": "missing_models", "scoring": "unreachable"},
        "missing_models": {"generation": ["local_refiner"]},
    }


async def test_a_misfit_is_told_in_a_sentence(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.probes["scoring"].status = EngineStatus(EngineState.MISFIT, problem="it merges steps")
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not_ready",
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
    assert value("glore_request_duration_seconds_count", **solve, strategy="glore") == 1
    assert value("glore_stage_duration_seconds_count", stage="rerank") == 1
    assert value("glore_stage_duration_seconds_count", stage="draft") == 2
    assert value("glore_stages_degraded_total", stage="draft", reason="failed") == 1
    assert value("glore_engine_calls_total", role="student") == 2
    assert value("glore_engine_errors_total", role="student", reason="failed") == 1
    assert value("glore_generated_tokens_total", stage="refine_locally") == 10
    assert value("glore_first_errors_found_total", strategy="glore") == 1
    assert value("glore_answers_changed_total", strategy="glore") == 1
    assert value("glore_solves_in_flight") == 0
    selected = value("glore_candidates_selected_total", kind="local_refinement", strategy="glore")
    assert selected == 1


async def test_openmetrics_when_asked_for(client: httpx2.AsyncClient) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    response = await client.get("/metrics", headers=accept)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
