"""The `[BAD]` critique."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glore.formats.critique import BAD, mark
from glore.formats.steps import split_steps

texts = st.text(st.sampled_from("ab. \t\n\r\v\x1c\x85\u2028é🍬"))


def test_the_mark_stands_before_the_step() -> None:
    assert mark("One\nTwo\nThree", 1) == "One\n[BAD] Two\nThree"
    assert mark("One\nTwo", 0) == "[BAD] One\nTwo"


@pytest.mark.parametrize(("solution", "index"), [("One\nTwo", 2), ("One\n", -1), ("", 0)])
def test_a_step_that_is_not_there_cannot_be_marked(solution: str, index: int) -> None:
    with pytest.raises(IndexError):
        mark(solution, index)


@given(texts, st.data())
def test_the_mark_adds_no_step_and_changes_nothing_else(solution: str, data: st.DataObject) -> None:
    steps = split_steps(solution)
    assume(steps)
    index = data.draw(st.integers(0, len(steps) - 1))
    marked = mark(solution, index)
    assert marked.count(BAD) == 1
    assert marked.replace(f"{BAD} ", "") == solution
    texts_after = [step.text for step in split_steps(marked)]
    assert len(texts_after) == len(steps)
    assert texts_after[index].startswith(BAD)
    assert [i for i, text in enumerate(texts_after) if BAD in text] == [index]
