import math
from collections.abc import Callable
from typing import Any

import pytest

from glore.engines.ports import EngineError, FaultReason, Lease, Scores
from glore.engines.scoring import VllmOutcomeScorer, VllmStepScorer
from glore.engines.vllm import VllmEngine
from glore.formats.qwen_prm import QwenPrmScores
from tests.service.engines.fake_vllm import FakeVllm, pooling

PROMPT_ROWS = [[0.0, 0.0], [0.0, 0.0]]


async def score_steps(engine: VllmEngine, *steps: str) -> Scores:
    return await VllmStepScorer(engine, "sorm").score_steps("1 + 1?", steps, lease=Lease(30.0))


async def test_steps_are_scored_at_their_newlines_in_the_first_column(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.gives("/pooling", pooling([*PROMPT_ROWS, [0.9, 0.5], [0.25, 0.5]]))
    assert await score_steps(engine, "1 + 1 = 3", "#### 3") == Scores((0.9, 0.25), 11)
    assert server.bodies == [
        {
            "model": "sorm",
            "input": ["Question: 1 + 1?\nSolution:\n1 + 1 = 3\n#### 3\n"],
            "task": "token_classify",
        }
    ]


async def test_no_steps_need_no_call(server: FakeVllm, engine: VllmEngine) -> None:
    assert await score_steps(engine) == Scores((), 0)
    assert server.bodies == []


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[0.9, 0.5]], "wrong_scores"),  # one row too few
        ([[0.9, 0.5]] * 3, "wrong_scores"),
        ([[0.9, 0.5], []], "wrong_scores"),
        ([[0.9, 0.5], [1.5, 0.5]], "wrong_scores"),
        ([[0.9, 0.5], [-0.1, 0.5]], "wrong_scores"),
        ([[0.9, 0.5], [float("nan"), 0.5]], "bad_response"),
        ([[0.9, 0.5], [float("inf"), 0.5]], "bad_response"),
        ([[0.9, 0.5], [None, 0.5]], "bad_response"),
        ([[0.9, 0.5], [True, 0.5]], "bad_response"),
        ([[0.9, 0.5], ["0.9", 0.5]], "bad_response"),
        ([[0.9, 0.5], 0.5], "bad_response"),
    ],
)
async def test_scores_are_never_guessed_at(
    server: FakeVllm, engine: VllmEngine, rows: list[Any], reason: FaultReason
) -> None:
    server.gives("/pooling", pooling([*PROMPT_ROWS, *rows]))
    with pytest.raises(EngineError) as caught:
        await score_steps(engine, "a", "b")
    assert (caught.value.role, caught.value.reason) == ("sorm", reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda answer: answer["data"].clear(), "wrong_scores"),
        (lambda answer: answer["data"].append(answer["data"][0]), "wrong_scores"),
        (lambda answer: answer["data"][0].update(index=1), "wrong_scores"),
        (lambda answer: answer["data"][0].update(data="base64"), "bad_response"),
        (lambda answer: answer.pop("usage"), "bad_response"),
        (lambda answer: answer["usage"].update(prompt_tokens=10**400), "bad_response"),
        (lambda answer: answer["data"][0].update(index=10**400), "bad_response"),
        (lambda answer: answer["data"][0]["data"][-1].append(10**400), "bad_response"),
    ],
)
async def test_each_input_is_answered_once(
    server: FakeVllm,
    engine: VllmEngine,
    change: Callable[[dict[str, Any]], object],
    reason: FaultReason,
) -> None:
    answer = pooling([*PROMPT_ROWS, [0.9, 0.5]])
    change(answer)
    server.gives("/pooling", answer)
    with pytest.raises(EngineError) as caught:
        await score_steps(engine, "a")
    assert caught.value.reason == reason


async def test_another_family_asks_for_its_logits_in_its_own_words(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.gives("/pooling", pooling([[0.0, 0.0], [1.0, -1.0]]))
    scorer = VllmStepScorer(engine, "sorm", QwenPrmScores())
    scores = await scorer.score_steps("1 + 1?", ["1 + 1 = 2", "#### 2"], lease=Lease(30.0))
    assert scores.values == pytest.approx((0.5, 1 / (1 + math.exp(2))))
    (body,) = server.bodies
    assert body["use_activation"] is False
    assert body["input"] == [QwenPrmScores().encode("1 + 1?", ["1 + 1 = 2", "#### 2"])]


async def test_a_count_that_does_not_match_is_described(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.gives("/pooling", pooling([*PROMPT_ROWS, [0.9, 0.5]]))
    with pytest.raises(EngineError) as caught:
        await score_steps(engine, "a", "b")
    assert caught.value.details == {"problem": "3 scores for 2 steps and 2 of the prompt"}


async def score_outcomes(engine: VllmEngine, *solutions: str) -> Scores:
    return await VllmOutcomeScorer(engine, "orm").score_outcomes(
        "1 + 1?", solutions, lease=Lease(30.0)
    )


async def test_a_solution_scores_what_its_last_step_does_in_the_second_column(
    server: FakeVllm, engine: VllmEngine
) -> None:
    answer = pooling(
        [*PROMPT_ROWS, [0.1, 0.3], [0.1, 0.75]],
        [*PROMPT_ROWS, [0.1, 0.5]],
    )
    answer["data"].reverse()
    server.gives("/pooling", answer)
    assert await score_outcomes(engine, "1 + 1 = 2\n#### 2", "#### 3") == Scores((0.75, 0.5), 11)
    assert server.bodies[0]["model"] == "orm"
    assert server.bodies[0]["input"] == [
        "Question: 1 + 1?\nSolution:\n1 + 1 = 2\n#### 2\n",
        "Question: 1 + 1?\nSolution:\n#### 3\n",
    ]


async def test_a_solution_without_steps_scores_nothing(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.gives("/pooling", pooling([*PROMPT_ROWS, [0.1, 0.5]]))
    assert await score_outcomes(engine, "", "#### 3", "\n ") == Scores((0.0, 0.5, 0.0), 11)
    assert len(server.bodies[0]["input"]) == 1
    assert await score_outcomes(engine, "", "\n") == Scores((0.0, 0.0), 0)
    assert len(server.bodies) == 1


async def test_an_orm_that_fails_says_so(server: FakeVllm, engine: VllmEngine) -> None:
    server.sends("/pooling", b"", 500)
    with pytest.raises(EngineError) as caught:
        await score_outcomes(engine, "#### 3")
    assert (caught.value.role, caught.value.reason) == ("orm", "failed")
