import asyncio
import json
import re
import time
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from glore.app import create_app
from glore.engines.ports import FaultReason
from glore.refinement.types import Strategy
from glore.settings import Settings
from tests.service.api.asgi import Exchange
from tests.service.fakes import DRAFT, GLOBAL, LOCAL, QUESTION, FakeEngines

BODY = {"question": QUESTION}


async def solve(client: httpx2.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await client.post("/solve", json=BODY | fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize("named", [{}, {"strategy": None}])
async def test_a_request_that_names_no_strategy_gets_the_servers(
    settings: Settings, engines: FakeEngines, named: dict[str, object]
) -> None:
    chosen = settings.model_copy(update={"strategy": Strategy.GATED})
    app = create_app(chosen, connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        answer = await solve(client, **named)
        assert answer["strategy"] == "gated"
        assert (await solve(client, strategy="draft"))["strategy"] == "draft"
        batch = await client.post("/solve/batch", json={"questions": [BODY | named]})
        assert json.loads(batch.text.splitlines()[0])["result"]["strategy"] == "gated"
        metrics = (await client.get("/metrics")).text
    assert 'glore_requests_total{route="/solve",status="200",strategy="gated"} 1.0' in metrics


async def test_glore_answers_with_the_best_of_three(client: httpx2.AsyncClient) -> None:
    response = await client.post("/solve", json=BODY, headers={"X-Request-ID": "mine-1"})
    assert response.status_code == 200
    assert response.headers["X-Request-ID"] == "mine-1"
    answer = response.json()
    assert re.fullmatch(r"solve_[0-9a-f]{32}", answer.pop("id"))
    usage = answer.pop("usage")
    assert answer == {
        "request_id": "mine-1",
        "strategy": "glore",
        "answer": "12",
        "solution": LOCAL,
        "selected": {
            "candidate": [c["solution"] for c in answer["candidates"]].index(LOCAL),
            "kind": "local_refinement",
            "reason": "outcome_score",
            "explanation": "The local refinement has the highest outcome score, 0.80, of "
            "2 candidates that no verifier refutes; the draft is refuted, with 13 for 3 * 4 in "
            "place of 12.",
        },
        "candidates": answer["candidates"],
        "draft": {
            "steps": [
                {"index": 0, "text": "Tom has 3 bags.", "score": 0.9},
                {"index": 1, "text": "3 * 4 = 13", "score": 0.1},
                {"index": 2, "text": "#### 13", "score": 0.9},
            ],
            "first_error": 1,
            "first_error_by": "arithmetic",
            "threshold": 0.5,
            "critique": "Tom has 3 bags.\n[BAD] 3 * 4 = 13\n#### 13",
        },
        "rounds": 1,
        "degraded": [],
    }
    assert answer["candidates"][0] == {
        "kind": "draft",
        "solution": DRAFT,
        "answer": "13",
        "outcome_score": None,
        "finish_reason": "stop",
        "findings": [
            {
                "verifier": "arithmetic",
                "step": 1,
                "start": 8,
                "end": 10,
                "claimed": "13",
                "expected": "12",
                "expression": "3 * 4",
            }
        ],
        "base": None,
    }
    assert {c["solution"]: c["outcome_score"] for c in answer["candidates"]} == {
        DRAFT: None,
        GLOBAL: 0.6,
        LOCAL: 0.8,
    }
    assert usage["engine_calls"] == 5
    assert usage["prompt_tokens"] == 3 * 20 + 30 + 40
    assert usage["generated_tokens"] == 30
    assert sorted(stage["stage"] for stage in usage["stages"]) == [
        "draft",
        "refine_globally",
        "refine_locally",
        "rerank",
        "score",
    ]
    assert set(usage["stages"][0]) == {
        "stage",
        "started",
        "seconds",
        "engine_calls",
        "prompt_tokens",
        "generated_tokens",
    }


async def test_a_draft_is_neither_scored_nor_ranked(client: httpx2.AsyncClient) -> None:
    answer = await solve(client, strategy="draft")
    assert answer["solution"] == DRAFT
    assert [step["score"] for step in answer["draft"]["steps"]] == [None, None, None]
    assert (answer["draft"]["first_error"], answer["draft"]["first_error_by"]) == (1, "arithmetic")
    assert answer["candidates"][0]["outcome_score"] is None
    assert answer["selected"]["reason"] == "strategy"
    answer = await solve(client, strategy="draft", verify=False)
    assert answer["draft"]["first_error"] is None
    assert answer["draft"]["critique"] is None
    assert answer["candidates"][0]["findings"] == []


@pytest.mark.parametrize(
    ("strategy", "kind"), [("global", "global_refinement"), ("local", "local_refinement")]
)
async def test_one_refinement_alone(client: httpx2.AsyncClient, strategy: str, kind: str) -> None:
    answer = await solve(client, strategy=strategy)
    assert answer["selected"]["kind"] == kind
    assert answer["answer"] == "12"


async def test_best_of_n_draws_n_candidates(client: httpx2.AsyncClient) -> None:
    answer = await solve(client, strategy="best_of_n", sampling={"temperature": 1, "n": 5})
    assert [c["kind"] for c in answer["candidates"]] == ["draft", *["sample"] * 4]


async def test_a_missing_stage_is_reported(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.orm.fault = "unreachable"
    answer = await solve(client)
    assert {"stage": "rerank", "reason": "unreachable"} in answer["degraded"]
    assert answer["selected"]["reason"] == "step_score"


async def test_a_solution_without_an_answer_is_still_one(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.student.text = "I do not know."
    assert (await solve(client, strategy="draft"))["answer"] is None


@pytest.mark.parametrize("reason", ["unreachable", "overloaded", "failed", "bad_response"])
async def test_no_draft_is_503_worth_a_retry(
    client: httpx2.AsyncClient, engines: FakeEngines, reason: FaultReason
) -> None:
    engines.student.fault = reason
    response = await client.post("/solve", json=BODY)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "/problems/student-unavailable",
        "title": "No draft: the student is unavailable",
        "status": 503,
        "detail": f"The student gave no draft: {reason}.",
        "request_id": response.headers["X-Request-ID"],
        "retry_after": 1,
    }


async def test_a_question_that_the_engine_refuses_is_502_and_not_worth_a_retry(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.student.fault = "rejected"
    response = await client.post("/solve", json=BODY)
    assert response.status_code == 502
    assert response.json()["type"] == "/problems/student-rejected"
    assert "Retry-After" not in response.headers


async def test_no_draft_in_time_is_504(client: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.student.hangs = True
    response = await client.post("/solve", json=BODY | {"deadline_ms": 100})
    assert response.status_code == 504
    assert response.json()["type"] == "/problems/no-draft-in-time"
    assert "Retry-After" not in response.headers
    assert engines.student.cancelled or not engines.student.calls


async def test_the_caps_of_a_request_hold(client: httpx2.AsyncClient) -> None:
    answer = (await client.post("/solve", json=BODY | {"max_engine_calls": 2})).json()
    assert answer["usage"]["engine_calls"] <= 2
    assert {item["reason"] for item in answer["degraded"]} == {"call_cap"}
    sampling = {"n": 8, "max_tokens": 100}
    body = BODY | {"strategy": "best_of_n", "sampling": sampling, "max_generated_tokens": 250}
    answer = (await client.post("/solve", json=body)).json()
    assert len(answer["candidates"]) == 2  # the fan-out gives way to the cap
    assert {"stage": "draft", "reason": "token_cap"} in answer["degraded"]


@pytest.mark.parametrize(("header", "body"), [("500", 30_000), ("30000", 500), (None, 500)])
async def test_the_smaller_deadline_of_body_and_header_counts(
    client: httpx2.AsyncClient,
    engines: FakeEngines,
    header: str | None,
    body: int,
) -> None:
    engines.student.hangs = True
    started = time.monotonic()
    headers = {} if header is None else {"Glore-Deadline-Ms": header}
    answer = await client.post("/solve", json=BODY | {"deadline_ms": body}, headers=headers)
    assert answer.status_code == 504
    assert 0.5 <= time.monotonic() - started < 15


@pytest.mark.parametrize("header", ["99", "-1", "soon", "1e3", ""])
async def test_a_deadline_header_that_is_none_is_refused(
    client: httpx2.AsyncClient, header: str
) -> None:
    headers = {"Glore-Deadline-Ms": header}
    response = await client.post("/solve", json=BODY, headers=headers)
    assert response.status_code == 422
    assert "Glore-Deadline-Ms" in response.json()["detail"]


# --- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": " \n\t "}, "question"),
        ({"question": "\u2003\ufeff\x1f"}, "question"),
        (BODY | {"url": "http://elsewhere"}, "url"),
        ({"question": "x" * 4001}, "question"),
        ({"question": None}, "question"),
        ({"question": 7}, "question"),
        ({"question": ["x"]}, "question"),
        (BODY | {"strategy": "magic"}, "strategy"),
        (BODY | {"sampling": None}, "sampling"),
        (BODY | {"sampling": []}, "sampling"),
        (BODY | {"sampling": {"temperature": -0.1}}, "sampling.temperature"),
        (BODY | {"sampling": {"temperature": 2.1}}, "sampling.temperature"),
        (BODY | {"sampling": {"temperature": "0"}}, "sampling.temperature"),
        (BODY | {"sampling": {"temperature": True}}, "sampling.temperature"),
        (BODY | {"sampling": {"top_p": 0}}, "sampling.top_p"),
        (BODY | {"sampling": {"top_p": 1.1}}, "sampling.top_p"),
        (BODY | {"sampling": {"max_tokens": 0}}, "sampling.max_tokens"),
        (BODY | {"sampling": {"max_tokens": 1025}}, "sampling.max_tokens"),
        (BODY | {"sampling": {"max_tokens": 10.5}}, "sampling.max_tokens"),
        (BODY | {"sampling": {"n": 1}}, "sampling.n"),
        (BODY | {"sampling": {"n": 9}}, "sampling.n"),
        (BODY | {"sampling": {"n": "3"}}, "sampling.n"),
        (BODY | {"sampling": {"seed": 1}}, "sampling.seed"),
        (BODY | {"deadline_ms": 99}, "deadline_ms"),
        (BODY | {"deadline_ms": 120_001}, "deadline_ms"),
        (BODY | {"deadline_ms": 1e30}, "deadline_ms"),
        (BODY | {"deadline_ms": "1000"}, "deadline_ms"),
        (BODY | {"max_engine_calls": 0}, "max_engine_calls"),
        (BODY | {"max_engine_calls": 17}, "max_engine_calls"),
        (BODY | {"max_generated_tokens": 8193}, "max_generated_tokens"),
        (BODY | {"max_generated_tokens": 10.5}, "max_generated_tokens"),
        (BODY | {"sede": 1}, "sede"),
        ([], "body"),
        ("x", "body"),
    ],
)
async def test_a_field_that_is_not_acceptable_is_named(
    client: httpx2.AsyncClient, engines: FakeEngines, body: object, field: str
) -> None:
    response = await client.post("/solve", json=body)
    assert response.status_code == 422, response.text
    problem = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["type"] == "/problems/invalid-request"
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["message"]
    assert field in problem["detail"]
    assert engines.student.calls == 0


async def test_all_faults_are_named_at_once_without_the_values(client: httpx2.AsyncClient) -> None:
    body = {"question": ["secret"], "sampling": {"n": 99, "top_p": 7.25}}
    response = await client.post("/solve", json=body)
    fields = {error["field"] for error in response.json()["errors"]}
    assert fields == {"question", "sampling.n", "sampling.top_p"}
    assert "secret" not in response.text
    assert "7.25" not in response.text


async def test_more_values_than_any_question_has_are_one_fault(client: httpx2.AsyncClient) -> None:
    chat = {"model": "glore", "messages": [{}] * 4000}
    many = await client.post("/solve", json=BODY | {"sampling": [0] * 4000})
    wide = await client.post("/solve", json=BODY | {f"f{i}": i for i in range(200)})
    answer = await client.post("/v1/chat/completions", json=chat)
    assert (many.status_code, wide.status_code, answer.status_code) == (422, 422, 400)
    assert many.json()["errors"] == [{"field": "body", "message": "More than 4000 values"}]
    assert wide.json()["errors"] == [
        {"field": "body", "message": "An object of more than 200 members"}
    ]
    assert answer.json()["error"]["message"] == "body: More than 4000 values"


async def test_of_many_wrong_messages_the_first_is_reported(client: httpx2.AsyncClient) -> None:
    right = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    wrong = {"role": "user", "content": [*[{"type": "text", "text": "x"}] * 2, *[{}] * 90]}
    chat = {"model": "glore", "messages": [right, *[wrong] * 20]}
    answer = await client.post("/v1/chat/completions", json=chat)
    assert answer.status_code == 400
    indices = {part.split(":")[0] for part in answer.json()["error"]["message"].split("; ")}
    assert indices == {"messages.1.content.2.type", "messages.1.content.2.text"}


async def test_many_unknown_fields_give_a_short_answer(client: httpx2.AsyncClient) -> None:
    body = BODY | {"x" * 200 + str(index): 1 for index in range(100)}
    problem = (await client.post("/solve", json=body)).json()
    assert len(problem["errors"]) == 20
    assert all(len(error["field"]) <= 100 for error in problem["errors"])


@pytest.mark.parametrize(
    "question",
    ["x", "x" * 4000, "\ufeffx", "🍎" * 4000, "  padded  ", "two\nlines", "Äpfel und 🍎?", '"}\\'],
)
async def test_any_other_question_is_taken(client: httpx2.AsyncClient, question: str) -> None:
    await solve(client, question=question)


async def test_a_whole_number_may_be_written_with_a_fraction(client: httpx2.AsyncClient) -> None:
    sampling = {"n": 3.0, "max_tokens": 50.0}
    answer = await solve(client, strategy="best_of_n", sampling=sampling, deadline_ms=9e3)
    assert len(answer["candidates"]) == 3


@pytest.mark.parametrize(("limit", "length"), [(1, 2), (5000, 5001), (4000, 20_001)])
async def test_the_length_of_a_question_is_the_servers(
    settings: Settings, engines: FakeEngines, limit: int, length: int
) -> None:
    app = create_app(settings.model_copy(update={"max_question": limit}), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        await solve(client, question="x" * limit)
        body: dict[str, object] = {"question": "x" * length, "deadline_ms": 200_000}
        response = await client.post("/solve", json=body)
        batch = await client.post("/solve/batch", json={"questions": [{"question": "x"}, body]})
    assert response.status_code == 422
    assert response.json()["detail"] == "2 fields are not acceptable: question, deadline_ms"
    assert response.json()["errors"][0] == {
        "field": "question",
        "message": f"This model's maximum context length is {limit} characters. "
        f"The prompt is too long: it has {length}.",
    }
    assert batch.json()["errors"] == [
        {**error, "field": f"questions.1.{error['field']}"} for error in response.json()["errors"]
    ]


async def post_raw(
    client: httpx2.AsyncClient, content: bytes, media_type: str = "application/json"
) -> httpx2.Response:
    return await client.post("/solve", content=content, headers={"Content-Type": media_type})


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b"null", b"{'question': 'x'}", b'{"question": "x",}', b'{"question": "x"} extra'],
)
async def test_json_that_is_none_is_422(client: httpx2.AsyncClient, content: bytes) -> None:
    response = await post_raw(client, content)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize("content", [b'{"question": "\xff"}', b"[" * 60_000])
async def test_a_body_that_cannot_be_read_is_400(
    client: httpx2.AsyncClient, content: bytes
) -> None:
    response = await post_raw(client, content)
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/bad-request"


@pytest.mark.parametrize(
    "content",
    [
        b'{"question": "\\ud800"}',
        b'{"question": "x", "sampling": {"temperature": NaN}}',
        b'{"question": "x", "sampling": {"temperature": Infinity}}',
        b'{"question": "x", "deadline_ms": 1' + b"0" * 400 + b"}",
    ],
)
async def test_odd_values_are_422(client: httpx2.AsyncClient, content: bytes) -> None:
    assert (await post_raw(client, content)).status_code == 422


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_content_type_is_415(client: httpx2.AsyncClient, media_type: str) -> None:
    response = await post_raw(client, json.dumps(BODY).encode(), media_type)
    assert response.status_code == 415
    assert response.json()["type"] == "/problems/unsupported-media-type"


async def test_json_with_a_charset_or_suffix_is_json(client: httpx2.AsyncClient) -> None:
    content = json.dumps(BODY).encode()
    assert (await post_raw(client, content, "application/json; charset=utf-8")).status_code == 200
    assert (await post_raw(client, content, "application/vnd.x+json")).status_code == 200


async def test_the_default_deadline_gives_way_to_the_servers(
    settings: Settings, engines: FakeEngines
) -> None:
    strict = settings.model_copy(update={"max_deadline": 30.0})
    app = create_app(strict, connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        await solve(client)
        response = await client.post("/solve", json=BODY | {"deadline_ms": 30_001})
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"field": "deadline_ms", "message": "Input should be less than or equal to 30000"}
    ]


# --- leaving early -----------------------------------------------------------------------


async def test_a_client_that_leaves_cancels_the_work(app: FastAPI, engines: FakeEngines) -> None:
    engines.student.hangs = True
    exchange = Exchange()
    exchange.body(json.dumps(BODY).encode())
    answer = asyncio.create_task(
        exchange.run(app, "POST", "/solve", content_type="application/json")
    )
    async with asyncio.timeout(30):
        await engines.student.called.wait()
        assert not answer.done()
        exchange.leave()
        await answer
    assert engines.student.cancelled
    assert exchange.status == 499
