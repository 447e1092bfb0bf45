"""What a sequence-classification reward model reads and answers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.formats.chat import ChatTurn
from glore.formats.scores import ScoreCountError
from glore.formats.sequence_scores import SequenceScores

SCORES = SequenceScores()


def test_question_and_solution_are_the_two_turns() -> None:
    assert SCORES.encode(" How many?\n", "One.\n#### 1\n") == (
        ChatTurn("user", "How many?"),
        ChatTurn("assistant", "One.\n#### 1"),
    )


@given(st.lists(st.floats(-30, 30), min_size=2))
def test_a_score_is_in_range_and_keeps_the_order(rewards: list[float]) -> None:
    scores = [SCORES.decode([(reward,)]) for reward in rewards]
    assert all(0 <= score <= 1 for score in scores)
    by_reward = sorted(zip(rewards, scores, strict=True))
    assert [score for _, score in by_reward] == sorted(scores)


def test_rewards_of_any_size_are_scored() -> None:
    assert SCORES.decode([(1e6,)]) == 1.0
    assert SCORES.decode([(-1e6,)]) == 0.0
    assert SCORES.decode([(0.0,)]) == 0.5


@pytest.mark.parametrize("rows", [[], [(1.0,), (2.0,)]])
def test_one_text_has_one_score(rows: list[tuple[float, ...]]) -> None:
    with pytest.raises(ScoreCountError):
        SCORES.decode(rows)


@pytest.mark.parametrize("row", [(), (1.0, 2.0), (math.nan,)])
def test_several_labels_are_no_reward(row: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"family has 1|finite"):
        SCORES.decode([row])
