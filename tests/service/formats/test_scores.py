"""What the reward models read and answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.formats.prompts import student_prompt
from glore.formats.scores import (
    ORM_COLUMN,
    SORM_COLUMN,
    NewlineScores,
    ScoreCountError,
    ScoreFormat,
)
from glore.formats.steps import split_steps

scores = st.floats(0.0, 1.0)


def test_a_step_is_a_line_after_the_students_prompt() -> None:
    sorm: ScoreFormat = NewlineScores(SORM_COLUMN)
    text = sorm.encode("How many?", ["One ", " Two"])
    assert text == "Question: How many?\nSolution:\nOne\nTwo\n"


@given(st.text(), st.text())
def test_there_is_one_newline_per_row(question: str, solution: str) -> None:
    steps = [step.text for step in split_steps(solution)]
    text = NewlineScores(SORM_COLUMN).encode(question, steps)
    assert text.startswith(student_prompt(question))
    assert text.count("\n") == NewlineScores.prompt_rows + len(steps)


@given(st.lists(st.tuples(scores, scores)))
def test_each_role_reads_its_column(rows: list[tuple[float, float]]) -> None:
    answer = [(0.0, 0.0), (1.0, 1.0), *rows]
    for column in (SORM_COLUMN, ORM_COLUMN):
        expected = tuple(row[column] for row in rows)
        assert NewlineScores(column).decode(answer, len(rows)) == expected


@pytest.mark.parametrize("count", [0, 2, 3, 5])
def test_another_number_of_scores_is_never_guessed_at(count: int) -> None:
    with pytest.raises(ScoreCountError):
        NewlineScores(SORM_COLUMN).decode([(0.5, 0.5)] * count, 2)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_score_is_a_probability(bad: float) -> None:
    rows = [(0.5, 0.5), (0.5, 0.5), (bad, 0.5)]
    with pytest.raises(ValueError, match="probability"):
        NewlineScores(SORM_COLUMN).decode(rows, 1)
    assert NewlineScores(ORM_COLUMN).decode(rows, 1) == (0.5,)


def test_a_row_without_the_column_is_a_bad_value() -> None:
    with pytest.raises(ValueError, match="column 1"):
        NewlineScores(ORM_COLUMN).decode([(0.5,)] * 3, 1)
