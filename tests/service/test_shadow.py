"""Questions that are answered by their draft and also refined, for the metrics alone."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from glore.app import create_app
from glore.refinement.types import Strategy
from glore.settings import Settings
from tests.service.fakes import DRAFT, LOCAL, QUESTION, FakeEngines
from tests.service.telemetry.tracing import Recorded

BODY = {"question": QUESTION, "strategy": "draft"}


class Gateway:
    """A gateway that shadows, and its client."""

    def __init__(self, app: FastAPI, client: httpx2.AsyncClient) -> None:
        self.app = app
        self.client = client

    async def ask(self, request_id: str = "one", **body: object) -> dict[str, Any]:
        headers = {"X-Request-ID": request_id}
        response = await self.client.post("/solve", json={**BODY, **body}, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def settled(self) -> None:
        """Wait until no shadow runs."""
        async with asyncio.timeout(30):
            while self.app.state.context.shadows._running:
                await asyncio.sleep(0)

    def value(self, name: str, **labels: str) -> float:
        registry = self.app.state.context.metrics.registry
        value: float | None = registry.get_sample_value(name, labels)
        assert value is not None, (name, labels)
        return value

    def ended(self) -> dict[str, float]:
        """How often shadows ended, by how; what never happened is left out."""
        outcomes = ("refined", "no_slot", "displaced", "dropped", "failed")
        counts = {each: self.value("glore_shadows_total", outcome=each) for each in outcomes}
        return {each: count for each, count in counts.items() if count}


@asynccontextmanager
async def gateway(
    settings: Settings, engines: FakeEngines, recorded: Recorded | None = None, **changes: Any
) -> AsyncIterator[Gateway]:
    settings = settings.model_copy(update={"shadow": 1.0, **changes})
    tracing = recorded.tracing if recorded else None
    app = create_app(settings, connect=engines.connect, tracing=tracing)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://gateway"
        ) as client,
    ):
        yield Gateway(app, client)


async def test_the_answer_is_the_draft_and_the_metrics_say_what_refinement_would_have_done(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines) as shadowed:
        answer = await shadowed.ask()
        await shadowed.settled()
        assert answer["solution"] == DRAFT
        assert len(answer["candidates"]) == 1
        assert engines.student.calls == 1  # the shadow goes on from the draft that was sent
        assert shadowed.ended() == {"refined": 1}
        value = shadowed.value
        changed = {"kind": "local_refinement", "answer": "changed"}
        assert value("glore_shadow_answers_total", **changed) == 1
        assert value("glore_shadow_drafts_refuted_total", winner="not_refuted") == 1
        assert value("glore_shadow_duration_seconds_count") == 1
        written = {"stage": "refine_locally", "role": "local_refiner"}
        assert value("glore_shadow_generated_tokens_total", **written) == 10
        drafted = {"stage": "draft", "role": "student"}
        assert value("glore_shadow_generated_tokens_total", **drafted) == 0


async def test_by_how_much_the_best_candidate_is_above_the_draft_is_counted(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines, verifiers=()) as shadowed:
        await shadowed.ask()
        await shadowed.settled()
        assert shadowed.value("glore_shadow_outcome_score_margin_count") == 1
        assert shadowed.value("glore_shadow_outcome_score_margin_sum") == pytest.approx(0.6)


async def test_no_other_metric_counts_a_shadow(settings: Settings) -> None:
    found = []
    for share in (0.0, 1.0):
        async with gateway(settings, FakeEngines(), shadow=share) as shadowed:
            await shadowed.ask()
            await shadowed.settled()
            metrics = shadowed.app.state.context.metrics
            found.append(
                {
                    (sample.name, *sorted(sample.labels.items())): sample.value
                    for metric in metrics.registry.collect()
                    if metric.name.startswith("glore_") and "shadow" not in metric.name
                    for sample in metric.samples
                    if sample.name.endswith(("_total", "_count"))
                }
            )
    assert found[0] == found[1]


async def test_who_is_shadowed_follows_from_the_id_of_the_request(
    settings: Settings, engines: FakeEngines
) -> None:
    async def refined(ids: list[str]) -> list[str]:
        chosen = []
        async with gateway(settings, engines, shadow=0.5) as shadowed:
            for each in ids:
                before = shadowed.value("glore_shadows_total", outcome="refined")
                await shadowed.ask(each)
                await shadowed.settled()
                if shadowed.value("glore_shadows_total", outcome="refined") > before:
                    chosen.append(each)
        return chosen

    ids = [f"request-{number}" for number in range(60)]
    chosen = await refined(ids)
    assert await refined(ids[::-1]) == chosen[::-1]
    assert 20 <= len(chosen) <= 40


@pytest.mark.parametrize("strategy", ["glore", "gated", "adaptive", "local", "best_of_n"])
async def test_what_is_refined_anyway_is_not_shadowed(
    settings: Settings, engines: FakeEngines, strategy: str
) -> None:
    async with gateway(settings, engines) as shadowed:
        await shadowed.ask(strategy=strategy)
        await shadowed.settled()
        assert shadowed.ended() == {}


async def test_streams_chats_and_batches_are_shadowed(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines) as shadowed:
        await shadowed.client.post("/solve", json=BODY, headers={"Accept": "text/event-stream"})
        await shadowed.settled()
        chat = {"model": "glore-draft", "messages": [{"role": "user", "content": QUESTION}]}
        response = await shadowed.client.post("/v1/chat/completions", json=chat)
        assert response.status_code == 200, response.text
        await shadowed.settled()
        questions = {"questions": [BODY] * 2}
        await shadowed.client.post("/solve/batch", json=questions)
        await shadowed.settled()
        assert shadowed.ended() == {"refined": 4}


async def test_the_strategy_of_shadows_can_be_chosen(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines, shadow_strategy=Strategy.LOCAL) as shadowed:
        await shadowed.ask()
        await shadowed.settled()
        assert shadowed.ended() == {"refined": 1}
    assert engines.global_refiner.calls == 0
    assert engines.local_refiner.calls == 1
    for strategy in ("draft", "best_of_n"):
        with pytest.raises(ValidationError, match="refines nothing"):
            Settings(shadow_strategy=strategy)  # type: ignore[arg-type]


async def test_without_a_spare_slot_nothing_is_refined(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines, max_running=4) as shadowed:
        engines.global_refiner.hangs = True
        others = [asyncio.create_task(shadowed.ask(strategy="global")) for _ in range(2)]
        while engines.global_refiner.calls < 2:
            await asyncio.sleep(0)
        await shadowed.ask()  # half of the slots are taken
        await shadowed.settled()
        assert shadowed.ended() == {"no_slot": 1}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def test_a_question_that_needs_the_slot_gets_it_at_once(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines, max_running=2, max_waiting=0) as shadowed:
        engines.global_refiner.hangs = True
        await shadowed.ask()
        while not engines.global_refiner.calls:  # of the shadow
            await asyncio.sleep(0)
        engines.student.hangs = True
        others = [asyncio.create_task(shadowed.ask(f"other-{number}")) for number in range(2)]
        while engines.student.calls < 3:
            await asyncio.sleep(0)
            assert not any(each.done() for each in others)
        await shadowed.settled()
        assert shadowed.ended() == {"displaced": 1}
        assert engines.global_refiner.cancelled
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def test_the_end_of_the_gateway_drops_shadows(
    settings: Settings, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.global_refiner.hangs = True
    async with gateway(settings, engines) as shadowed:
        await shadowed.ask()
        while not engines.global_refiner.calls:
            await asyncio.sleep(0)
    assert shadowed.ended() == {"dropped": 1}
    assert engines.global_refiner.cancelled
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_gateway_that_is_about_to_stop_begins_none(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines) as shadowed:
        shadowed.app.state.context.drain.begin()
        await shadowed.ask()
        await shadowed.settled()
        assert shadowed.ended() == {}


async def test_a_fault_is_counted_and_costs_no_answer(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.local_refiner.fault = "failed"
    async with gateway(settings, engines) as shadowed:
        assert (await shadowed.ask())["degraded"] == []
        await shadowed.settled()
        assert shadowed.ended() == {"refined": 1}
        assert shadowed.value("glore_shadow_stages_degraded_total", stage="refine_locally") == 1


async def test_a_bug_is_logged_and_costs_no_answer(
    settings: Settings, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.local_refiner.fault = ZeroDivisionError("of a test")
    async with gateway(settings, engines) as shadowed:
        await shadowed.ask()
        await shadowed.settled()
        assert shadowed.ended() == {"failed": 1}
    (line,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert line.__dict__["fields"] == {"request_id": "one-shadow"}


@pytest.mark.parametrize(
    ("verdict", "change"),
    [
        ({"expected_answer": "12"}, "mended"),
        ({"expected_answer": "13"}, "spoilt"),
        ({"expected_answer": "14"}, "kept_wrong"),
        ({"correct": False}, None),
    ],
)
async def test_an_expected_answer_also_judges_the_shadow(
    settings: Settings, engines: FakeEngines, verdict: dict[str, object], change: str | None
) -> None:
    async with gateway(settings, engines) as shadowed:
        answer = await shadowed.ask()
        await shadowed.settled()
        for _ in range(2):  # the same verdict again counts once
            await shadowed.client.post("/feedback", json={"id": answer["id"], **verdict})
        changes = ("mended", "spoilt", "kept_right", "kept_wrong", "unknown")
        name = "glore_shadow_feedback_changes_total"
        counted = {each: shadowed.value(name, change=each) for each in changes}
        real = "glore_feedback_total"
        labels = {"kind": "draft", "strategy": "draft"}
        verdicts = [shadowed.value(real, verdict=each, **labels) for each in ("right", "wrong")]
    assert {each: count for each, count in counted.items() if count} == (
        {change: 1} if change else {}
    )
    assert sum(verdicts) == 1


async def test_a_shadow_is_in_the_trace_of_its_request(
    settings: Settings, engines: FakeEngines
) -> None:
    recorded = Recorded()
    async with gateway(settings, engines, recorded) as shadowed:
        await shadowed.ask()
        await shadowed.settled()
    questions = recorded.root.below
    assert [each.about["glore.request_id"] for each in questions] == ["one", "one-shadow"]
    assert [each.about["glore.strategy"] for each in questions] == ["draft", "glore"]
    assert "draft" not in questions[1].names()
    assert "refine_locally" in questions[1].names()
    assert questions[1].about["glore.selected.kind"] == "local_refinement"
    assert LOCAL not in recorded.text()
