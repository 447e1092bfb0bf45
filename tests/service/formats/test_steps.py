"""Solutions as steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.formats.steps import Step, first_error, prefix_before, split_steps

texts = st.text(st.sampled_from("ab. \t\n\r\v\x1c\x85\u2028é🍬")) | st.text()


def test_a_step_is_a_line_with_its_place() -> None:
    assert split_steps("One.\n\n  Two. \nThree.") == (
        Step(index=0, text="One.", start=0, end=5),
        Step(index=1, text="Two.", start=6, end=14),
        Step(index=2, text="Three.", start=14, end=20),
    )


@pytest.mark.parametrize("blank", ["", "\n", " \n\t\n "])
def test_a_blank_solution_has_no_steps(blank: str) -> None:
    assert split_steps(blank) == ()


@given(texts)
def test_every_step_is_one_stripped_line_at_its_place(solution: str) -> None:
    steps = split_steps(solution)
    for number, step in enumerate(steps):
        line = solution[step.start : step.end]
        assert step.index == number
        assert step.text == line.strip() != ""
        assert "\n" not in step.text
        assert step.start == 0 or solution[step.start - 1] == "\n"


@given(texts)
def test_nothing_but_white_space_lies_outside_the_steps(solution: str) -> None:
    rest, end = "", 0
    for step in split_steps(solution):
        rest += solution[end : step.start]
        end = step.end
    assert (rest + solution[end:]).strip() == ""


@given(texts, st.data())
def test_prefix_and_rest_are_the_solution(solution: str, data: st.DataObject) -> None:
    steps = split_steps(solution)
    index = data.draw(st.integers(0, len(steps)))
    prefix = prefix_before(solution, index)
    assert solution.startswith(prefix)
    assert [step.text for step in split_steps(prefix)] == [step.text for step in steps[:index]]
    if index < len(steps):
        assert not prefix or prefix.endswith("\n")


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_prefix_before_a_step_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError, match="2 steps"):
        prefix_before("One\nTwo", index)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((), None), ((0.9, 0.5), None), ((0.9, 0.49, 0.1), 1), ((0.0,), 0), ((1.0, 1.0), None)],
)
def test_the_first_error_is_the_first_score_below_the_threshold(
    scores: tuple[float, ...], expected: int | None
) -> None:
    assert first_error(scores, 0.5) == expected


@given(st.lists(st.floats(0.0, 1.0)), st.floats(0.0, 1.0))
def test_all_steps_before_the_first_error_pass(scores: list[float], threshold: float) -> None:
    found = first_error(tuple(scores), threshold)
    before = scores if found is None else scores[:found]
    assert all(score >= threshold for score in before)
    assert found is None or scores[found] < threshold
