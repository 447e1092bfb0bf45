"""A sequence-classification reward model behind the OutcomeScorer port."""

import asyncio
import math
from typing import Any

import pytest
from aiohttp import web

from glore.engines.classify import VllmSequenceScorer
from glore.engines.ports import EngineError, FaultReason, Lease, NoCallLeftError, Scores
from glore.engines.vllm import VllmEngine
from glore.formats.sequence_scores import SequenceScores
from tests.service.engines.fake_vllm import FakeVllm, classification
from tests.service.leases import FakeLease

LEASE = Lease(30.0)


async def score(engine: VllmEngine, *solutions: str, lease: Lease = LEASE) -> Scores:
    scorer = VllmSequenceScorer(engine, "orm", SequenceScores())
    return await scorer.score_outcomes("1 + 1?", solutions, lease=lease)


def rewards(server: FakeVllm, by_solution: dict[str, float]) -> None:
    """Answer each conversation with the reward of its solution."""

    async def answer(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        return web.json_response(classification(by_solution[body["messages"][1]["content"]]))

    server.answers["/classify"] = answer


async def test_each_solution_is_a_conversation_and_its_score_is_in_its_place(
    server: FakeVllm, engine: VllmEngine
) -> None:
    rewards(server, {"#### 2": 3.0, "#### 3": -1.0})
    scores = await score(engine, "#### 3\n", "#### 2")
    assert scores.values == pytest.approx((1 / (1 + math.e), 1 / (1 + math.exp(-3))))
    assert scores.prompt_tokens == 22
    requested = sorted(server.bodies, key=lambda body: str(body["messages"][1]["content"]))
    assert requested[0] == {
        "model": "orm",
        "messages": [
            {"role": "user", "content": "1 + 1?"},
            {"role": "assistant", "content": "#### 2"},
        ],
        "use_activation": False,
    }


async def test_a_solution_without_steps_scores_nothing(
    server: FakeVllm, engine: VllmEngine
) -> None:
    rewards(server, {"#### 2": 0.0})
    assert await score(engine, "", "#### 2", " \n") == Scores((0.0, 0.5, 0.0), 11)
    assert await score(engine, "\n") == Scores((0.0,), 0)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (classification(), "wrong_scores"),
        (classification(0.1, 0.9), "wrong_scores"),
        (classification(0.1, data=[]), "wrong_scores"),
        (classification(float("nan")), "bad_response"),
        (classification(10**400), "bad_response"),
        (classification(0.1, usage={"prompt_tokens": 10**400}), "bad_response"),
        (classification(0.1, usage=None), "bad_response"),
    ],
)
async def test_scores_are_never_guessed_at(
    server: FakeVllm, engine: VllmEngine, answer: dict[str, Any], reason: FaultReason
) -> None:
    server.gives("/classify", answer)
    with pytest.raises(EngineError) as caught:
        await score(engine, "#### 2", "#### 3")
    assert (caught.value.role, caught.value.reason) == ("orm", reason)


async def test_wrong_scores_are_described_without_any_text(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.gives("/classify", classification(0.1, 0.9))
    with pytest.raises(EngineError) as caught:
        await score(engine, "#### 2")
    assert caught.value.details == {"problem": "a row of 2 values where the family has 1"}


async def test_one_failure_fails_the_call_and_ends_those_beside_it(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.hangs("/classify")
    hang = server.answers["/classify"]

    async def refuse_the_last(request: web.Request) -> web.StreamResponse:
        if len(server.bodies) < 2:
            return await hang(request)
        await server.hanging.wait()
        return web.Response(status=503)

    server.answers["/classify"] = refuse_the_last
    async with asyncio.timeout(10):
        with pytest.raises(EngineError) as caught:
            await score(engine, "#### 2", "#### 3")
        await server.aborted.wait()
    assert (caught.value.role, caught.value.reason) == ("orm", "overloaded")


@pytest.mark.parametrize("left", [0, 1, 2])
async def test_each_solution_is_one_of_the_calls_that_the_request_may_make(
    server: FakeVllm, engine: VllmEngine, left: int
) -> None:
    rewards(server, dict.fromkeys(("#### 1", "#### 2", "#### 3"), 0.0))
    lease = FakeLease(calls=left)
    if left < 2:
        with pytest.raises(NoCallLeftError):
            await score(engine, "#### 1", "#### 2", "#### 3", lease=lease)
    else:
        scores = await score(engine, "#### 1", "#### 2", "#### 3", lease=lease)
        assert scores.values == (0.5,) * 3
    assert (await score(engine, "#### 1", "", lease=lease)).values == (0.5, 0.0)
    assert len(server.bodies) == (4 if left == 2 else 1)
