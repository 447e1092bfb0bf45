"""The prompts, as the models were trained to read them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glore.formats.prompts import (
    continuation_prompt,
    global_refiner_prompt,
    local_refiner_prompt,
    normalise_question,
    student_prompt,
)
from glore.formats.steps import prefix_before, split_steps

texts = st.text(st.sampled_from("ab. \t\n\r\v\x1c\x85\u2028é🍬"))


def test_student() -> None:
    assert student_prompt("How\nmany?") == "Question: How many?\nSolution:\n"


def test_continuation() -> None:
    expected = "Question: How many?\nSolution:\nOne\n"
    assert continuation_prompt("How many?", "One\n") == expected
    assert continuation_prompt("How many?", "One") == expected
    assert continuation_prompt("How many?", "") == student_prompt("How many?")


def test_global_refiner() -> None:
    assert (
        global_refiner_prompt("How many?", "One\nTwo\n")
        == "Question: How many?\nDraft:\nOne\nTwo\nSolution:\n"
    )


def test_local_refiner() -> None:
    assert (
        local_refiner_prompt("How many?", "One\nTwo\nThree\n", 1)
        == "Question: How many?\nDraft:\nOne\n[BAD] Two\nThree\nSolution:\nOne\n"
    )


def test_local_refiner_from_the_start() -> None:
    assert (
        local_refiner_prompt("How many?", "One\nTwo", 0)
        == "Question: How many?\nDraft:\n[BAD] One\nTwo\nSolution:\n"
    )


def test_local_refiner_needs_a_step_to_mark() -> None:
    with pytest.raises(IndexError):
        local_refiner_prompt("How many?", "One\nTwo", 2)


@given(texts)
def test_a_question_becomes_one_line(question: str) -> None:
    line = normalise_question(question)
    assert "\n" not in line
    assert line.split() == question.split()
    assert normalise_question(line) == line


@given(texts, texts, st.data())
def test_prompts_end_with_a_line_and_the_stored_text(
    question: str, draft: str, data: st.DataObject
) -> None:
    steps = split_steps(draft)
    assume(steps)
    index = data.draw(st.integers(0, len(steps) - 1))
    prompt = local_refiner_prompt(question, draft, index)
    assert prompt.endswith("Solution:\n" + prefix_before(draft, index))
    for text in (prompt, student_prompt(question), global_refiner_prompt(question, draft)):
        assert text.endswith("\n")


@given(texts)
def test_both_reward_models_and_the_student_read_the_same_two_lines(question: str) -> None:
    assert student_prompt(question).count("\n") == 2
