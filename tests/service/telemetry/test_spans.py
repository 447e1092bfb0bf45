"""The spans and events of a gateway on simulated engines."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pydantic import AnyHttpUrl

from glore.app import create_app
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, parse_fault
from tests.service.telemetry.tracing import Node, Recorded

QUESTION = "Tom has 3 bags of 4 sweets. How many sweets does he have?"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
STUDENT, GLOBAL = "text_completion student", "text_completion global_refiner"
LOCAL, SORM, ORM = "text_completion local_refiner", "score sorm", "score orm"


@asynccontextmanager
async def traced(
    settings: Settings, recorded: Recorded, *faults: str, **changes: Any
) -> AsyncIterator[tuple[httpx2.AsyncClient, Simulator]]:
    """A client of a gateway that is traced, and its only engine; drafts are wrong."""
    simulated = Simulated(right=0.0, seed=7, faults=tuple(map(parse_fault, faults)))
    async with running(simulated) as (simulator, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        settings = settings.model_copy(
            update={"generation": engine, "scoring": engine, "verifiers": (), **changes}
        )
        app = create_app(settings, tracing=recorded.tracing)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app), base_url="http://gateway"
            ) as client,
        ):
            yield client, simulator


async def solved(
    settings: Settings, recorded: Recorded, *faults: str, **body: object
) -> dict[str, Any]:
    """The answer to one question."""
    async with traced(settings, recorded, *faults) as (client, _):
        response = await client.post("/solve", json={"question": QUESTION, **body})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


async def test_a_question_has_a_span_for_each_stage_and_engine_call(settings: Settings) -> None:
    recorded = Recorded()
    answer = await solved(settings, recorded)
    root = recorded.root
    assert root.name == "POST /solve"
    assert root.span.kind.name == "SERVER"
    assert root.about["http.response.status_code"] == 200
    question = root.below[0]
    assert question.name == "invoke_workflow glore"
    assert question.names() == {
        "draft": [STUDENT],
        "score": [SORM],
        "refine_globally": [GLOBAL],
        "refine_locally": [LOCAL],
        "rerank": [ORM],
    }
    assert question.about["glore.strategy"] == "glore"
    assert question.about["glore.selected.kind"] == answer["selected"]["kind"]
    assert question.about["gen_ai.usage.output_tokens"] == answer["usage"]["generated_tokens"]
    assert not any(each.failed for each in root.walk())


async def test_the_span_of_an_engine_call_has_the_names_of_the_conventions(
    settings: Settings,
) -> None:
    recorded = Recorded()
    answer = await solved(settings, recorded, strategy="draft", sampling={"max_tokens": 99})
    span = recorded.root.one(STUDENT)
    assert span.span.kind.name == "CLIENT"
    stage = answer["usage"]["stages"][0]
    assert span.about == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "student",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.stream": False,
        "gen_ai.usage.input_tokens": stage["prompt_tokens"],
        "gen_ai.usage.output_tokens": stage["generated_tokens"],
        "gen_ai.response.finish_reasons": ("stop",),
        "server.address": "127.0.0.1",
        "server.port": span.about["server.port"],
        "glore.role": "student",
    }


async def test_samples_are_one_call_beside_the_draft(settings: Settings) -> None:
    recorded = Recorded()
    await solved(settings, recorded, strategy="best_of_n", sampling={"n": 4})
    calls = recorded.root.one("draft").below
    assert [each.about.get("gen_ai.request.choice.count") for each in calls] == [None, 3]


async def test_a_local_refinement_waits_for_the_step_scores(settings: Settings) -> None:
    recorded = Recorded()
    await solved(settings, recorded, strategy="local")
    question = recorded.root.below[0]
    assert list(question.names()) == ["draft", "score", "refine_locally"]
    assert question.one("refine_locally").about["glore.first_error"] >= 0


async def test_rounds_are_reported_apart(settings: Settings) -> None:
    recorded = Recorded()
    answer = await solved(
        settings.model_copy(update={"gate": 1.0}), recorded, strategy="adaptive", rounds=2
    )
    assert answer["rounds"] == 2
    question = recorded.root.below[0]
    rounds = [
        (each.name, each.about["glore.round"])
        for each in question.below
        if "glore.round" in each.about
    ]
    assert ("refine_globally", 1) in rounds
    assert ("refine_globally", 2) in rounds
    assert question.about["glore.rounds"] == 2


async def test_a_stream_tells_when_its_first_text_came(settings: Settings) -> None:
    recorded = Recorded()
    async with traced(settings, recorded) as (client, _):
        body = {"question": QUESTION, "strategy": "draft"}
        await client.post("/solve", json=body, headers={"Accept": "text/event-stream"})
    span = recorded.root.one(STUDENT)
    assert span.about["gen_ai.request.stream"] is True
    assert span.about["gen_ai.response.time_to_first_chunk"] > 0


async def test_a_fault_is_an_error_of_its_call_its_stage_and_its_question(
    settings: Settings,
) -> None:
    recorded = Recorded()
    answer = await solved(settings, recorded, "global_refiner:500")
    assert [each["stage"] for each in answer["degraded"]] == ["refine_globally"]
    root = recorded.root
    assert not root.failed  # it was answered
    failed = {each.name: each.about["error.type"] for each in root.walk() if each.failed}
    assert failed == {
        "invoke_workflow glore": "degraded",
        "refine_globally": "failed",
        GLOBAL: "failed",
    }
    question = root.below[0]
    assert question.about["glore.degraded"] == ("refine_globally:failed",)
    assert question.span.status.description == "refine_globally:failed"


async def test_without_a_draft_the_request_is_an_error(settings: Settings) -> None:
    recorded = Recorded()
    async with traced(settings, recorded, "student:500") as (client, _):
        response = await client.post("/solve", json={"question": QUESTION})
        assert response.status_code == 503
    root = recorded.root
    assert {each.name: each.about["error.type"] for each in root.walk() if each.failed} == {
        "POST /solve": "student-unavailable",
        "invoke_workflow glore": "failed",
        "draft": "failed",
        STUDENT: "failed",
    }


async def test_a_refusal_has_a_span_that_is_no_error(settings: Settings) -> None:
    recorded = Recorded()
    async with traced(settings, recorded) as (client, _):
        await client.post("/solve", json={"question": ""})
        await client.get("/livez")
    root = recorded.root
    assert not root.failed
    assert root.below == []
    assert root.about["http.response.status_code"] == 422
    assert root.about["error.type"] == "invalid-request"


async def test_each_question_of_a_batch_has_a_span(settings: Settings) -> None:
    recorded = Recorded()
    async with traced(settings, recorded) as (client, _):
        body = {"questions": [{"question": QUESTION, "strategy": "draft"}] * 3}
        await client.post("/solve/batch", json=body, headers={"X-Request-ID": "many"})
    root = recorded.root
    assert root.name == "POST /solve/batch"
    assert {each.about["glore.request_id"] for each in root.below} == {"many-0", "many-1", "many-2"}
    assert [each.names() for each in root.below] == [{"draft": [STUDENT]}] * 3


async def test_the_trace_comes_from_the_client_and_goes_on_to_the_engines(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = Recorded()
    caplog.set_level(logging.INFO, logger="glore")
    async with traced(settings, recorded) as (client, simulator):
        headers = {"traceparent": PARENT, "tracestate": "shop=1"}
        await client.post("/solve", json={"question": QUESTION}, headers=headers)
        called = list(simulator.called)
    calls = [each for each in recorded.root.walk() if each.span.kind.name == "CLIENT"]
    sent = {given["traceparent"] for _, given in called}
    assert sent == {f"00-{TRACE}-{span_id(each):016x}-01" for each in calls}
    assert {given["tracestate"] for _, given in called} == {"shop=1"}
    (line,) = [each for each in caplog.records if each.getMessage() == "request"]
    assert line.__dict__["fields"]["trace_id"] == TRACE


async def test_without_traces_nothing_of_them_is_sent_or_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="glore")
    async with running(Simulated()) as (simulator, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        app = create_app(settings.model_copy(update={"generation": engine, "scoring": engine}))
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
        ):
            headers = {"traceparent": PARENT}
            await client.post("/solve", json={"question": QUESTION}, headers=headers)
        assert not any("traceparent" in given for _, given in simulator.called)
    (line,) = [each for each in caplog.records if each.getMessage() == "request"]
    assert "trace_id" not in line.__dict__["fields"]


async def test_every_candidate_has_an_event_for_each_of_its_scores(settings: Settings) -> None:
    recorded = Recorded()
    answer = await solved(settings, recorded)
    question = recorded.root.below[0]
    written_by = {
        "draft": question.one("draft"),
        "global_refinement": question.one("refine_globally"),
        "local_refinement": question.one("refine_locally"),
    }
    outcome = {}
    for judged, about in recorded.events():
        assert judged == span_id(written_by[about["glore.candidate.kind"]])
        if about["gen_ai.evaluation.name"] == "glore.outcome_score":
            outcome[about["glore.candidate"]] = (
                about["gen_ai.evaluation.score.value"],
                about["gen_ai.evaluation.score.label"],
            )
    winner = answer["selected"]["candidate"]
    assert outcome == {
        index: (each["outcome_score"], "selected" if index == winner else "not_selected")
        for index, each in enumerate(answer["candidates"])
        if each["outcome_score"] is not None
    }
    assert len(outcome) == 3
    steps = [
        about
        for _, about in recorded.events()
        if about["gen_ai.evaluation.name"] == "glore.lowest_step_score"
    ]
    scores = [each["score"] for each in answer["draft"]["steps"]]
    assert steps[0]["glore.candidate"] == 0
    assert steps[0]["gen_ai.evaluation.score.value"] == min(scores)
    assert steps[0]["glore.step"] == scores.index(min(scores))
    assert steps[0]["gen_ai.evaluation.score.label"] == "error"


async def test_what_a_verifier_refutes_is_an_event_of_its_candidate(settings: Settings) -> None:
    recorded = Recorded()
    async with traced(settings, recorded, verifiers=("arithmetic",)) as (client, _):
        answer = (await client.post("/solve", json={"question": QUESTION})).json()
    refuted = {
        about["glore.candidate"]: (about["glore.step"], about["gen_ai.evaluation.score.label"])
        for _, about in recorded.events()
        if about["gen_ai.evaluation.name"] == "glore.verifier.arithmetic"
    }
    assert refuted == {
        index: (each["findings"][0]["step"], "refuted")
        for index, each in enumerate(answer["candidates"])
        if each["findings"]
    }
    assert refuted


async def test_the_log_line_of_a_fault_has_the_id_of_its_trace(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with traced(settings, Recorded(), "orm:garbage") as (client, _):
        headers = {"traceparent": PARENT}
        await client.post("/solve", json={"question": QUESTION}, headers=headers)
    (line,) = [each for each in caplog.records if each.getMessage() == "engine fault"]
    assert line.__dict__["fields"]["trace_id"] == TRACE


@pytest.mark.parametrize("fault", [None, "student:500", "orm:garbage"])
async def test_no_text_is_in_a_span_or_event(settings: Settings, fault: str | None) -> None:
    recorded = Recorded()
    async with traced(settings, recorded, *([fault] if fault else [])) as (client, _):
        response = await client.post("/solve", json={"question": QUESTION})
    sent = recorded.text()
    assert "sweets" not in sent
    assert "####" not in sent
    assert "simulated fault" not in sent
    for each in response.json().get("draft", {}).get("steps", ()):
        assert each["text"] not in sent


async def test_texts_are_there_where_they_are_wanted(settings: Settings) -> None:
    recorded = Recorded(captures=True)
    answer = await solved(settings, recorded, strategy="draft")
    question = recorded.root.below[0]
    assert messages(question, "input") == [("user", QUESTION)]
    assert messages(question, "output") == [("assistant", answer["solution"])]
    ((role, prompt),) = messages(question.one(STUDENT), "input")
    assert role == "user"
    assert QUESTION in prompt


async def test_a_client_that_leaves_ends_its_spans(settings: Settings) -> None:
    recorded = Recorded()
    async with traced(settings, recorded, "student:hang") as (client, simulator):
        requested = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
        while not simulator.running:
            await asyncio.sleep(0.01)
        requested.cancel()
        await asyncio.gather(requested, return_exceptions=True)
    root = recorded.root
    assert {each.about.get("glore.outcome") for each in root.walk()} == {"cancelled"}
    assert not any(each.failed for each in root.walk())


def span_id(node: Node) -> int:
    assert node.span.context is not None
    number: int = node.span.context.span_id
    return number


def messages(node: Node, direction: str) -> list[tuple[str, str]]:
    given = json.loads(node.about[f"gen_ai.{direction}.messages"])
    return [(each["role"], each["parts"][0]["content"]) for each in given]
