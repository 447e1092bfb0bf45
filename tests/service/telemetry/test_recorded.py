"""What `/metrics` says after questions of every kind, asked at the port of a gateway on fakes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from glore.app import create_app
from glore.batches.store import BatchName, NothingKept, StoreFailedError
from glore.engines.breaker import BreakerSettings
from glore.engines.exchange import EngineHTTPError
from glore.engines.ports import Generation, Lease
from glore.engines.readiness import EngineState, EngineStatus
from glore.engines.resilience import ResilientEngine, RoleLimits
from glore.formats.writing import Prompt
from glore.settings import Settings
from glore.telemetry.metrics import Metrics
from glore.telemetry.overhead import collecting
from glore.telemetry.stores import MeteredStore
from tests.service.fakes import DRAFT, GLOBAL, LOCAL, QUESTION, FakeEngines, FakeGenerator

Value: TypeAlias = Callable[..., float]


class SlowGenerator(FakeGenerator):
    """Takes 50 ms."""

    async def generate(self, prompt: Prompt, **options: Any) -> Generation:
        await asyncio.sleep(0.05)
        return await super().generate(prompt, **options)


async def scraped(client: httpx2.AsyncClient) -> Value:
    """What /metrics says now, by name and labels; a name alone is the sum of its series."""
    text = (await client.get("/metrics")).text
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    names = {each.name for each in samples}

    def value(name: str, **labels: str) -> float:
        assert f"glore_{name}" in names, name
        return sum(
            each.value
            for each in samples
            if each.name == f"glore_{name}" and labels.items() <= each.labels.items()
        )

    return value


async def ask(client: httpx2.AsyncClient, strategy: str = "glore", **more: object) -> None:
    body = {"question": QUESTION, "strategy": strategy, **more}
    response = await client.post("/solve", json=body)
    assert response.status_code == 200


async def test_where_the_first_error_is(client: httpx2.AsyncClient) -> None:
    await ask(client)  # "3 * 4 = 13" is the second of three steps: refuted, and scored 0.1
    await ask(client, verify=False)
    value = await scraped(client)
    for finder in ("arithmetic", "sorm"):
        assert value("first_error_step_count", found_by=finder) == 1
        assert value("first_error_step_sum", found_by=finder) == 1
        assert value("first_error_position_ratio_sum", found_by=finder) == pytest.approx(1 / 3)
    assert value("draft_lowest_step_score_sum", strategy="glore") == pytest.approx(0.2)
    assert value("draft_lowest_step_score_bucket", strategy="glore", le="0.1") == 2
    assert value("draft_lowest_step_score_bucket", strategy="glore", le="0.05") == 0


async def test_margins_of_the_best_over_the_draft_and_the_second(
    client: httpx2.AsyncClient,
) -> None:
    await ask(client, verify=False)  # draft 0.2, global 0.6, local 0.8
    value = await scraped(client)
    margins = {"strategy": "glore"}
    assert value("outcome_score_margin_sum", over="draft", **margins) == pytest.approx(0.6)
    assert value("outcome_score_margin_sum", over="second", **margins) == pytest.approx(0.2)


async def test_a_draft_that_wins_has_no_margin_over_itself(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.orm.scores = {DRAFT: 0.9, LOCAL: 0.8, GLOBAL: 0.5}
    await ask(client, verify=False)
    value = await scraped(client)
    assert value("outcome_score_margin_count", over="draft") == 1
    assert value("outcome_score_margin_sum", over="draft") == 0
    assert value("outcome_score_margin_sum", over="second") == pytest.approx(0.1)


async def test_candidates_that_repeat_the_draft(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.global_refiner.text = DRAFT
    await ask(client)
    value = await scraped(client)
    for kind in ("draft", "global_refinement", "local_refinement"):
        assert value("candidates_total", kind=kind, strategy="glore") == 1
    assert value("candidates_total") == 3
    assert value("candidates_repeating_draft_total") == 1
    assert value("candidates_repeating_draft_total", kind="global_refinement") == 1
    assert value("outcome_score_margin_count", over="second") == 0  # refuted texts are not ranked


async def test_refuted_steps_by_verifier(client: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.student.text = "2 + 2 = 5\n3 * 4 = 13 and 4 * 3 = 13\n#### 13"
    await ask(client, "draft")
    value = await scraped(client)
    assert value("steps_refuted_total", kind="draft", verifier="arithmetic") == 2
    assert value("candidates_refuted_total", kind="draft", verifier="arithmetic") == 1


async def test_drafts_at_the_gate(client: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ask(client, "gated", verify=False)
    engines.student.text = "Tom has 12.\n#### 12"
    await ask(client, "gated", verify=False)
    engines.sorm.fault = "failed"
    await ask(client, "gated", verify=False)
    await ask(client, "draft")  # knows no gate
    value = await scraped(client)
    for verdict in ("passed", "held", "unknown"):
        assert value("draft_gate_verdicts_total", strategy="gated", verdict=verdict) == 1
    assert value("draft_gate_verdicts_total") == 3
    assert value("selections_total", reason="accepted", strategy="gated") == 1


async def test_tokens_by_stage_role_and_strategy(client: httpx2.AsyncClient) -> None:
    await ask(client)
    await ask(client, "draft")
    value = await scraped(client)
    written = "generated_tokens_total"
    assert value(written, stage="draft", role="student", strategy="draft") == 10
    assert value(written, stage="draft", role="student", strategy="glore") == 10
    assert value(written, strategy="glore") == 30
    assert value("prompt_tokens_total", stage="score", role="sorm", strategy="glore") == 30


async def test_durations_carry_how_it_ended(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await ask(client)
    engines.student.fault = "failed"
    await client.post("/solve", json={"question": QUESTION})
    value = await scraped(client)
    lasted = "request_duration_seconds_count"
    assert value(lasted, route="/solve", strategy="glore", outcome="ok") == 1
    assert value(lasted, route="/solve", strategy="glore", outcome="server_error") == 1
    assert value("engine_call_duration_seconds_count", role="student", outcome="error") == 1
    assert value("stage_duration_seconds_count", role="student", outcome="failed") == 1
    assert value("gateway_overhead_seconds_count", route="/solve", outcome="ok") == 1


async def test_a_cancelled_call_has_its_own_durations(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    requested = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
    await engines.student.called.wait()
    requested.cancel()
    with suppress(asyncio.CancelledError):
        await requested
    value = await scraped(client)
    assert value("engine_call_duration_seconds_count", role="student", outcome="cancelled") == 1
    assert value("engine_cancellations_total", role="student") == 1


async def test_the_overhead_leaves_out_engines_and_the_wait(
    settings: Settings, engines: FakeEngines
) -> None:
    """Of two questions that ask an engine which takes 50 ms, one waits for the other."""
    engines.student = SlowGenerator("student")
    app = create_app(settings.model_copy(update={"max_running": 1}), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        await asyncio.gather(ask(client, "draft"), ask(client, "draft"))
        value = await scraped(client)
    assert value("queue_wait_seconds_count", outcome="turn") == 2
    assert value("queue_wait_seconds_sum", outcome="turn") >= 0.049
    lasted = value("request_duration_seconds_sum", route="/solve", strategy="draft")
    own = value("gateway_overhead_seconds_sum", route="/solve")
    assert value("gateway_overhead_seconds_count", route="/solve") == 2
    assert 0 < own <= lasted - 0.147  # 50 ms in the engine, 50 ms of waiting, and 50 ms again


def test_calls_side_by_side_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("glore.telemetry.overhead.time.perf_counter", lambda: now)
    with collecting() as away:
        away.begin()
        now = 1.0
        away.begin()
        now = 3.0
        away.end()
        now = 4.0
        away.end()
        now = 9.0
        away.begin()
        now = 10.0
        away.end()
        away.waited(0.5)
    assert away.seconds == 5.5


async def test_how_waits_end(settings: Settings, engines: FakeEngines) -> None:
    engines.student.hangs = True
    app = create_app(settings.model_copy(update={"max_running": 1}), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        working = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
        await engines.student.called.wait()
        waiting = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
        late = await client.post("/solve", json={"question": QUESTION, "deadline_ms": 100})
        assert late.status_code == 503
        value = await scraped(client)
        assert (value("solves_running"), value("solves_waiting")) == (1, 1)
        for each in (waiting, working):
            each.cancel()
        await asyncio.gather(waiting, working, return_exceptions=True)
        value = await scraped(client)
    for outcome in ("turn", "timeout", "gone"):
        assert value("queue_wait_seconds_count", outcome=outcome) == 1
    assert value("problems_total", problem="overloaded") == 1


async def test_refusals_and_failures_by_the_problem(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await client.post("/solve", json={"question": ""})
    await client.post("/solve", content=b"x", headers={"Content-Type": "text/plain"})
    await client.post("/v1/chat/completions", json={"model": "gpt-5", "messages": []})
    await client.get("/nowhere")
    await client.put("/solve")
    engines.student.fault = "rejected"
    await client.post("/solve", json={"question": QUESTION})
    value = await scraped(client)
    for problem in (
        "unsupported-media-type",
        "not-found",
        "method-not-allowed",
        "student-rejected",
    ):
        assert value("problems_total", problem=problem) == 1, problem
    assert value("problems_total", problem="invalid-request") == 2
    assert value("problems_total") == 6


async def test_the_first_text_of_a_stream(client: httpx2.AsyncClient) -> None:
    events = {"Accept": "text/event-stream"}
    await client.post("/solve", json={"question": QUESTION}, headers=events)
    await ask(client)  # is not streamed
    value = await scraped(client)
    assert value("time_to_first_token_seconds_count") == 1
    for role in ("student", "global_refiner", "local_refiner"):
        assert value("engine_time_to_first_token_seconds_count", role=role) == 1


async def test_engines_are_probed_for_a_scrape(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.probes["scoring"].status = EngineStatus(EngineState.STARTING)
    value = await scraped(client)
    assert value("engine_up", engine="generation") == 1
    assert value("engine_up", engine="scoring") == 0
    assert value("engine_state", engine="scoring", state="starting") == 1
    assert value("engine_state", engine="scoring") == 1


async def test_a_probe_that_hangs_does_not_keep_the_scrape(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scraped(client)
    monkeypatch.setattr("glore.api.health._PROBES_WITHIN", 0.01)
    monkeypatch.setattr("tests.service.fakes.FakeProbe.check", lambda _: asyncio.Event().wait())
    app_readiness = client._transport.app.state.context.readiness  # type: ignore[attr-defined]
    app_readiness._checked = None
    async with asyncio.timeout(5):
        value = await scraped(client)
    assert value("engine_up", engine="generation") == 1  # as it was before


async def test_what_runs_here(app: FastAPI, client: httpx2.AsyncClient, settings: Settings) -> None:
    value = await scraped(client)
    assert value("build_info", version=app.version, strategy="glore") == 1
    assert value("first_error_threshold") == settings.first_error_threshold
    assert value("draft_gate_threshold") == settings.draft_gate
    assert value("limit_solves_running") == settings.max_running
    assert value("limit_solves_waiting") == settings.max_waiting
    assert value("limit_deadline_seconds") == settings.max_deadline


def test_an_openings_counter_sees_what_a_gauge_misses() -> None:
    now = 0.0

    class Broken:
        async def post(self, *_: object, **__: object) -> bytes:
            raise EngineHTTPError(reason="failed")

    engine = ResilientEngine(
        Broken(),  # type: ignore[arg-type]
        limits=RoleLimits(),
        breaking=BreakerSettings(failures=2),
        clock=lambda: now,
    )

    async def fail() -> None:
        for _ in range(3):
            with pytest.raises(EngineHTTPError):
                await engine.post("/", {}, lease=Lease(1.0))

    asyncio.run(fail())
    assert engine.openings == 1


async def test_errors_of_the_store_by_operation() -> None:
    class Broken(NothingKept):
        async def claim(self, name: BatchName, index: int, holder: str, lease: float) -> bool:
            raise StoreFailedError

    metrics = Metrics()
    store = MeteredStore(Broken(), metrics)
    with pytest.raises(StoreFailedError):
        await store.claim(BatchName("", "k"), 0, "me", 1.0)
    assert await store.finished(BatchName("", "k")) == frozenset()

    def errors(operation: str) -> float | None:
        return metrics.registry.get_sample_value(
            "glore_batch_store_errors_total", {"operation": operation}
        )

    assert (errors("claim"), errors("finished")) == (1, 0)


def test_every_metric_has_a_series_from_the_start() -> None:
    """So that `increase()` sees the first event."""
    for family in Metrics(("arithmetic",)).registry.collect():
        assert family.samples, family.name
