"""What a language model that ranks by likelihood reads and answers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.formats.likelihood import LikelihoodScores
from glore.formats.prompts import student_prompt

SCORES = LikelihoodScores()


def test_the_solution_stands_behind_the_students_prompt() -> None:
    text, start = SCORES.encode(" How\nmany?", "\nOne.\n#### 1\n")
    assert text == student_prompt("How many?") + "One.\n#### 1"
    assert text[start:] == "One.\n#### 1"


def test_the_score_is_the_geometric_mean_over_the_solutions_tokens() -> None:
    values = [None, math.log(0.01), math.log(0.5), math.log(0.125)]
    assert SCORES.decode(values, [0, 4, 9, 12], 9) == pytest.approx(0.25)
    assert SCORES.decode(values, [0, 4, 9, 12], 12) == pytest.approx(0.125)


def test_a_logarithm_that_rounding_left_above_0_is_that_of_1() -> None:
    assert SCORES.decode([1e-6, 1e-6], [0, 1], 0) == 1.0


@given(st.lists(st.floats(-9999, 0), min_size=1), st.floats(-9999, 0))
def test_a_score_is_in_range_and_grows_with_every_token(values: list[float], more: float) -> None:
    offsets = list(range(len(values)))
    score = SCORES.decode(values, offsets, 0)
    assert 0 <= score <= 1
    assert SCORES.decode([max(values[0], more), *values[1:]], offsets, 0) >= score


@pytest.mark.parametrize(
    ("values", "offsets"),
    [
        ([None, -1.0], [0, 5, 9]),
        ([None, -1.0], [0, 4]),
        ([], []),
        ([None, None], [0, 5]),
        ([None, 0.5], [0, 5]),
        ([None, -math.inf], [0, 5]),
        ([None, math.nan], [0, 5]),
    ],
)
def test_scores_are_never_guessed_at(values: list[float | None], offsets: list[int]) -> None:
    with pytest.raises(ValueError, match=r"log-probabilities for \d tokens"):
        SCORES.decode(values, offsets, 5)
