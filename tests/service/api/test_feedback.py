"""Answers that callers judge, and what the metrics make of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from glore.app import create_app
from glore.keys import new_key
from glore.settings import Settings
from tests.service.fakes import QUESTION, FakeEngines
from tests.service.telemetry.test_recorded import scraped

RIGHT, WRONG = "3 * 4 = 12\n#### 12", "3 * 4 = 13\n#### 13"
OTHER_WRONG = "3 * 4 = 14\n#### 14"


async def solved(client: httpx2.AsyncClient, **options: object) -> dict[str, Any]:
    body = {"question": QUESTION, "verify": False, **options}
    response = await client.post("/solve", json=body)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


async def judged(
    client: httpx2.AsyncClient, answer_id: str, *, status: int = 200, **verdict: object
) -> dict[str, Any]:
    response = await client.post("/feedback", json={"id": answer_id, **verdict})
    assert response.status_code == status, response.text
    reported: dict[str, Any] = response.json()
    return reported


@asynccontextmanager
async def gateway(
    settings: Settings, engines: FakeEngines, **changes: object
) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        yield client


def written(engines: FakeEngines, draft: str, rewritten: str, best: str) -> None:
    """A draft, the same text of both refiners, and the text that the ORM prefers."""
    engines.student.text, engines.global_refiner.text = draft, rewritten
    engines.local_refiner.text = rewritten
    engines.orm.scores = {best: 0.9}


@pytest.mark.parametrize(
    ("draft", "rewritten", "best", "expected", "change", "choice"),
    [
        (WRONG, RIGHT, RIGHT, "12", "mended", "right"),
        (RIGHT, WRONG, WRONG, "12", "spoilt", "regret"),
        (RIGHT, WRONG, RIGHT, "12.0", "kept_right", "right"),
        (WRONG, OTHER_WRONG, OTHER_WRONG, "12", "kept_wrong", "none_right"),
        (WRONG, RIGHT, WRONG, "12", "kept_wrong", "regret"),
    ],
)
async def test_an_expected_answer_says_everything(
    client: httpx2.AsyncClient,
    engines: FakeEngines,
    draft: str,
    rewritten: str,
    best: str,
    expected: str,
    change: str,
    choice: str,
) -> None:
    written(engines, draft, rewritten, best)
    answer = await solved(client)
    reported = await judged(client, answer["id"], expected_answer=expected)
    assert reported["correct"] is (change in {"mended", "kept_right"})
    assert reported["draft_correct"] is (draft == RIGHT)
    assert (reported["change"], reported["choice"], reported["repeated"]) == (change, choice, False)
    assert reported["kind"] == answer["selected"]["kind"]
    value = await scraped(client)
    labels = {"strategy": "glore", "kind": reported["kind"]}
    verdict = "right" if reported["correct"] else "wrong"
    assert value("feedback_total", verdict=verdict, **labels) == value("feedback_total") == 1
    assert value("feedback_changes_total", change=change, **labels) == 1
    assert value("feedback_choices_total", choice=choice, strategy="glore") == 1


@pytest.mark.parametrize(
    ("draft", "rewritten", "best", "correct", "change", "choice"),
    [
        (WRONG, RIGHT, RIGHT, True, "mended", "right"),  # there is one right answer
        (RIGHT, WRONG, WRONG, False, "unknown", "unknown"),  # the draft may be right, or not
        (RIGHT, WRONG, RIGHT, True, "kept_right", "right"),
        (WRONG, WRONG, WRONG, False, "kept_wrong", "none_right"),
        (WRONG, RIGHT, WRONG, False, "kept_wrong", "unknown"),
    ],
)
async def test_a_verdict_says_what_can_be_known(
    client: httpx2.AsyncClient,
    engines: FakeEngines,
    draft: str,
    rewritten: str,
    best: str,
    correct: bool,
    change: str,
    choice: str,
) -> None:
    written(engines, draft, rewritten, best)
    reported = await judged(client, (await solved(client))["id"], correct=correct)
    assert (reported["correct"], reported["change"], reported["choice"]) == (
        correct,
        change,
        choice,
    )


async def test_the_same_verdict_again_changes_nothing_and_another_is_refused(
    client: httpx2.AsyncClient,
) -> None:
    answer = await solved(client)
    first = await judged(client, answer["id"], correct=True)
    again = await judged(client, answer["request_id"], expected_answer="12")
    assert again == {**first, "repeated": True}
    reported = await judged(client, answer["id"], correct=False, status=409)
    assert reported["type"] == "/problems/feedback-conflict"
    value = await scraped(client)
    assert value("feedback_total") == 1


async def test_a_request_with_several_answers_is_judged_by_theirs(
    client: httpx2.AsyncClient,
) -> None:
    questions = [{"question": QUESTION}, {"question": QUESTION}]
    response = await client.post(
        "/solve/batch", json={"questions": questions}, headers={"X-Request-ID": "mine"}
    )
    reported = await judged(client, "mine", correct=True, status=409)
    assert reported["type"] == "/problems/ambiguous-id"
    for line in response.text.splitlines()[:2]:
        answer_id = httpx2.Response(200, text=line).json()["result"]["id"]
        assert (await judged(client, answer_id, correct=True))["request_id"] == "mine"


@pytest.mark.parametrize("strategy", ["glore", "draft", "best_of_n"])
async def test_answers_of_streams_and_chats_too(client: httpx2.AsyncClient, strategy: str) -> None:
    sent = {"X-Request-ID": "streamed", "Accept": "text/event-stream"}
    await client.post("/solve", json={"question": QUESTION, "strategy": strategy}, headers=sent)
    assert (await judged(client, "streamed", correct=False))["strategy"] == strategy
    body = {"model": "glore", "messages": [{"role": "user", "content": QUESTION}]}
    response = await client.post("/v1/chat/completions", json=body)
    assert (await judged(client, response.json()["glore"]["id"], correct=True))["correct"]


async def test_an_id_that_nobody_gave_is_not_found(client: httpx2.AsyncClient) -> None:
    reported = await judged(client, "solve_none", correct=True, status=404)
    assert reported["type"] == "/problems/answer-not-found"


async def test_a_caller_judges_its_own_answers_only(
    settings: Settings, engines: FakeEngines
) -> None:
    keys = {name: new_key() for name in ("alice", "bob")}
    listed = ",".join(f"{name}:{key}" for name, key in keys.items())
    async with gateway(settings, engines, api_keys=SecretStr(listed)) as client:
        alice, bob = ({"Authorization": f"Bearer {key}"} for key in keys.values())
        response = await client.post("/solve", json={"question": QUESTION}, headers=alice)
        body = {"id": response.json()["id"], "correct": True}
        statuses = [
            (await client.post("/feedback", json=body, headers=headers)).status_code
            for headers in ({}, bob, alice)
        ]
    assert statuses == [401, 404, 200]


async def test_the_oldest_answers_are_forgotten(settings: Settings, engines: FakeEngines) -> None:
    async with gateway(settings, engines, feedback_remembered=2) as client:
        answers = [await solved(client) for _ in range(3)]
        await judged(client, answers[0]["id"], correct=True, status=404)
        await judged(client, answers[0]["request_id"], correct=True, status=404)
        for answer in answers[1:]:
            await judged(client, answer["id"], correct=True)
        value = await scraped(client)
        assert value("feedback_remembered") == value("limit_feedback_remembered") == 2


async def test_0_switches_it_off(settings: Settings, engines: FakeEngines) -> None:
    async with gateway(settings, engines, feedback_remembered=0) as client:
        answer = await solved(client)
        await judged(client, answer["id"], correct=True, status=404)
        assert (await scraped(client))("feedback_remembered") == 0


async def test_nothing_of_forgotten_answers_stays(
    client: httpx2.AsyncClient,
) -> None:
    memory = client._transport.app.state.context.answers  # type: ignore[attr-defined]
    memory._most = 3
    await asyncio.gather(*(solved(client) for _ in range(20)))
    assert len(memory) == len(memory._by_request) == 3


@pytest.mark.parametrize(
    "body",
    [
        {"id": "solve_1"},
        {"id": "solve_1", "correct": True, "expected_answer": "1"},
        {"id": "solve_1", "correct": "yes"},
        {"id": "", "correct": True},
        {"correct": True},
        {"id": "solve_1", "expected_answer": "1" * 101},
        {"id": "solve_1", "correct": True, "more": 1},
    ],
)
async def test_what_is_no_verdict_is_refused(
    client: httpx2.AsyncClient, body: dict[str, object]
) -> None:
    response = await client.post("/feedback", json=body)
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-request"


async def test_a_long_answer_equals_nothing(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    long = "#### " + "1" * 200
    written(engines, long, long, long)
    reported = await judged(client, (await solved(client))["id"], expected_answer="1" * 100)
    assert (reported["correct"], reported["choice"]) == (False, "none_right")
