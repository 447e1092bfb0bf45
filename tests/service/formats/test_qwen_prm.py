"""What Qwen2.5-Math-PRM reads and answers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.formats.qwen_prm import SEPARATOR, QwenPrmScores
from glore.formats.scores import ScoreCountError, ScoreFormat

SCORES: ScoreFormat = QwenPrmScores()
steps = st.lists(st.text(st.characters(blacklist_characters="<>")), max_size=5)


def test_the_chat_is_the_model_cards() -> None:
    assert SCORES.encode("How many?\n", ["One. ", "#### 36"]) == (
        "<|im_start|>system\n"
        "Please reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
        "<|im_start|>user\nHow many?<|im_end|>\n"
        "<|im_start|>assistant\n"
        "One.<extra_0>The final answer is \\boxed{36}.<extra_0><|im_end|>\n"
    )


@given(st.text(st.characters(blacklist_characters="<>")), steps)
def test_there_is_one_separator_per_step(question: str, texts: list[str]) -> None:
    assert SCORES.encode(question, texts).count(SEPARATOR) == len(texts)


@given(st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40))))
def test_a_score_is_the_softmax_of_the_second_label(rows: list[tuple[float, float]]) -> None:
    expected = [math.exp(right) / (math.exp(wrong) + math.exp(right)) for wrong, right in rows]
    assert SCORES.decode(rows, len(rows)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_scores_is_never_guessed_at(count: int) -> None:
    with pytest.raises(ScoreCountError, match=f"{count} scores for 2 steps"):
        SCORES.decode([(0.0, 1.0)] * count, 2)


@pytest.mark.parametrize("row", [(), (1.0,), (1.0, 2.0, 3.0)])
def test_a_row_of_another_width_is_reported(row: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="the family has 2"):
        SCORES.decode([row], 1)


@pytest.mark.parametrize("row", [(math.nan, 0.0), (math.inf, 0.0), (0.0, -math.inf)])
def test_logits_are_finite(row: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        SCORES.decode([row], 1)
