"""What Math-Shepherd reads and answers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.formats.math_shepherd import STEP_TAG, MathShepherdScores
from glore.formats.scores import ScoreCountError, ScoreFormat

SCORES: ScoreFormat = MathShepherdScores()


def test_a_step_is_numbered_and_ends_with_the_tag() -> None:
    text = SCORES.encode("How\nmany?", ["3 x 12 = 36", "Step 2: 36 - 7 = 29 ", "#### 29"])
    assert text == (
        "How many? Step 1: 3 x 12 = 36 ки\nStep 2: 36 - 7 = 29 ки\nStep 3: The answer is: 29 ки"
    )


@given(st.text(st.characters(codec="ascii")), st.lists(st.text(st.characters(codec="ascii"))))
def test_there_is_one_tag_per_step(question: str, texts: list[str]) -> None:
    assert SCORES.encode(question, texts).count(STEP_TAG) == len(texts)


@given(st.lists(st.floats(-700, 700)))
def test_a_score_is_the_softmax_over_the_two_tokens(differences: list[float]) -> None:
    expected = [1 / (1 + math.exp(-difference)) for difference in differences]
    rows = [(difference,) for difference in differences]
    assert SCORES.decode(rows, len(rows)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_scores_is_never_guessed_at(count: int) -> None:
    with pytest.raises(ScoreCountError, match=f"{count} scores for 2 steps"):
        SCORES.decode([(0.5,)] * count, 2)


def test_two_logits_are_another_familys() -> None:
    with pytest.raises(ValueError, match="the family has 1"):
        SCORES.decode([(0.5, 0.5)], 1)
