import asyncio
import json
import logging
import re
import time

import openai as sdk
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI

from glore.api.schemas import SolveResponse
from tests.service.api.asgi import Exchange
from tests.service.api.openai.test_request import MESSAGES, create
from tests.service.api.test_middleware import lines
from tests.service.fakes import DRAFT, GLOBAL, LOCAL, FakeEngines

PATH = "/v1/chat/completions"
BODY = json.dumps({"model": "glore", "messages": MESSAGES}).encode()


async def test_the_answer_is_the_best_of_three_with_its_trace(openai: AsyncOpenAI) -> None:
    before = int(time.time())
    completion = await create(openai, extra_headers={"X-Request-ID": "mine-1"})
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{32}", completion.id)
    assert completion.object == "chat.completion"
    assert completion.model == "glore"
    assert before <= completion.created <= time.time()
    assert completion.system_fingerprint is None
    (choice,) = completion.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.content) == ("assistant", LOCAL)
    assert completion.usage.prompt_tokens == 3 * 20 + 30 + 40
    assert completion.usage.completion_tokens == 30
    assert completion.usage.total_tokens == 160
    assert completion._request_id == "mine-1"
    trace = SolveResponse.model_validate(completion.model_extra["glore"])
    assert trace.request_id == "mine-1"
    assert trace.answer == "12"
    assert trace.draft.first_error == 1
    assert {candidate.solution for candidate in trace.candidates} == {DRAFT, GLOBAL, LOCAL}


@pytest.mark.parametrize(
    ("model", "strategy", "solution"),
    [
        ("glore", "glore", LOCAL),
        ("glore-gated", "gated", LOCAL),
        ("glore-draft", "draft", DRAFT),
        ("glore-global", "global", GLOBAL),
        ("glore-local", "local", LOCAL),
        ("glore-best-of-n", "best_of_n", DRAFT),
    ],
)
async def test_a_model_is_a_strategy(
    openai: AsyncOpenAI, model: str, strategy: str, solution: str
) -> None:
    completion = await create(openai, model=model)
    assert completion.model == model
    assert completion.choices[0].message.content == solution
    assert completion.model_extra["glore"]["strategy"] == strategy


async def test_the_budget_of_the_extension_holds(openai: AsyncOpenAI) -> None:
    completion = await create(openai, extra_body={"glore": {"max_engine_calls": 2}})
    trace = completion.model_extra["glore"]
    assert trace["usage"]["engine_calls"] <= 2
    assert {item["reason"] for item in trace["degraded"]} == {"call_cap"}
    options = {"glore": {"n": 5}}
    completion = await create(openai, model="glore-best-of-n", extra_body=options)
    assert len(completion.model_extra["glore"]["candidates"]) == 5


async def test_a_missing_stage_is_reported(openai: AsyncOpenAI, engines: FakeEngines) -> None:
    engines.orm.fault = "unreachable"
    completion = await create(openai)
    degraded = completion.model_extra["glore"]["degraded"]
    assert degraded == [{"stage": "rerank", "reason": "unreachable"}]


# --- shared with /solve ----------------------------------------------------------------------


async def test_it_is_counted_and_logged_as_a_question(
    openai: AsyncOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "glore"):
        completion = await create(openai)
        with pytest.raises(sdk.BadRequestError):
            await create(openai, n=2)
    answered, refused = lines(caplog)
    assert answered["path"] == PATH
    assert answered["strategy"] == "glore"
    assert answered["id"] == completion.model_extra["glore"]["id"]
    assert (answered["engine_calls"], answered["selected"]) == (5, "local_refinement")
    assert refused["status"] == 400
    assert "sweets" not in json.dumps([answered, refused])
    metrics = (await openai._client.get("http://gateway/metrics")).text
    labels = f'route="{PATH}",status="200",strategy="glore"'
    assert f"glore_requests_total{{{labels}}} 1.0" in metrics
    assert 'glore_candidates_selected_total{kind="local_refinement",strategy="glore"}' in metrics


async def test_a_client_that_leaves_cancels_the_work(app: FastAPI, engines: FakeEngines) -> None:
    engines.student.hangs = True
    exchange = Exchange()
    exchange.body(BODY)
    running = asyncio.create_task(exchange.run(app, "POST", PATH, content_type="application/json"))
    async with asyncio.timeout(30):
        await engines.student.called.wait()
        exchange.leave()
        await running
    assert engines.student.cancelled
    assert exchange.status == 499
