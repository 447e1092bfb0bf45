"""A language model that ranks by likelihood behind the OutcomeScorer port."""

import json
import math
from typing import Any

import pytest

from glore.engines.likelihood import VllmLikelihoodScorer
from glore.engines.ports import EngineError, FaultReason, Lease, Scores
from glore.engines.vllm import VllmEngine
from glore.formats.likelihood import LikelihoodScores
from glore.formats.prompts import student_prompt
from tests.service.engines.fake_vllm import FakeVllm, echoed

QUESTION = "1 + 1?"
START = len(student_prompt(QUESTION))


async def score(engine: VllmEngine, *solutions: str) -> Scores:
    scorer = VllmLikelihoodScorer(engine, "orm", LikelihoodScores())
    return await scorer.score_outcomes(QUESTION, solutions, lease=Lease(30.0))


async def test_one_call_scores_all_and_each_score_is_in_its_place(
    server: FakeVllm, engine: VllmEngine
) -> None:
    answer = echoed([(0, -9.0), (START, math.log(0.5))], [(0, -9.0), (START, math.log(0.25))])
    answer["choices"].reverse()
    server.gives("/v1/completions", answer)
    scores = await score(engine, "", "#### 2\n", " \n", "#### 3")
    assert scores.values == pytest.approx((0.0, 0.5, 0.0, 0.25))
    assert scores.prompt_tokens == 11
    prompt = student_prompt(QUESTION)
    assert server.bodies == [
        {
            "model": "orm",
            "prompt": [f"{prompt}#### 2", f"{prompt}#### 3"],
            "echo": True,
            "logprobs": 0,
            "max_tokens": 0,
        }
    ]


async def test_solutions_without_steps_are_not_sent(server: FakeVllm, engine: VllmEngine) -> None:
    assert await score(engine, "", "\n") == Scores((0.0, 0.0), 0)
    assert server.bodies == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (echoed(), "wrong_scores"),
        (echoed([(0, -1.0), (START, -1.0)], [(0, -1.0)]), "wrong_scores"),
        (echoed([(0, -1.0), (START - 1, -1.0)]), "wrong_scores"),
        (echoed([(START, 0.7)]), "wrong_scores"),
        (echoed([(START, float("nan"))]), "bad_response"),
        (echoed([(START, -1.0)], usage=None), "bad_response"),
        (echoed([(START, -1.0)], usage={"prompt_tokens": 10**400}), "bad_response"),
    ],
)
async def test_scores_are_never_guessed_at(
    server: FakeVllm, engine: VllmEngine, answer: dict[str, Any], reason: FaultReason
) -> None:
    server.gives("/v1/completions", answer)
    with pytest.raises(EngineError) as caught:
        await score(engine, "#### 2")
    assert (caught.value.role, caught.value.reason) == ("orm", reason)


async def test_one_text_that_is_echoed_twice_is_no_answer(
    server: FakeVllm, engine: VllmEngine
) -> None:
    answer = echoed([(START, -1.0)], [(START, -1.0)])
    answer["choices"][1]["index"] = 0
    server.gives("/v1/completions", answer)
    with pytest.raises(EngineError):
        await score(engine, "#### 2", "#### 3")


async def test_long_solutions_have_long_answers_and_longer_ones_are_refused(
    server: FakeVllm, engine: VllmEngine
) -> None:
    solution = "word " * 800
    tokens = [(START + 5 * index, -1.0) for index in range(800)]
    answer = echoed([(0, -1.0), *tokens], [(0, -1.0), *tokens])
    assert json.dumps(answer).count(",") > 10_000  # more than answers of other calls may have
    server.gives("/v1/completions", answer)
    assert (await score(engine, solution, solution)).values == pytest.approx((1 / math.e,) * 2)
    server.gives("/v1/completions", echoed([(0, -1.0)] * 9000))
    with pytest.raises(EngineError) as caught:
        await score(engine, "#### 2")
    assert caught.value.reason == "bad_response"
