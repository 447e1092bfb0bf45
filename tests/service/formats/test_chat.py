"""What a chat model is told, and how its text is read."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glore.formats.answers import parse_answer
from glore.formats.chat import ChatPrompts
from glore.formats.steps import prefix_before, split_steps
from glore.formats.writing import PromptFormat, TrainedPrompts

CHAT = ChatPrompts()
texts = st.text(st.sampled_from("ab. \t\n\r\v\x1c\x85\u2028é🍬"))


def said(prompt: object) -> str:
    assert hasattr(prompt, "messages")
    (turn,) = prompt.messages
    assert turn.role == "user"
    return str(turn.content)


def test_every_role_reads_the_question_and_how_to_end() -> None:
    for prompt in (
        CHAT.student("How\nmany?"),
        CHAT.global_refiner("How\nmany?", "One\n#### 1"),
        CHAT.local_refiner("How\nmany?", "One\n#### 1", 1),
    ):
        assert "Problem: How many?" in said(prompt)
        assert said(prompt).endswith("\n#### 42")
        assert parse_answer(said(prompt)) == "42"


def test_a_student_and_a_global_refiner_start_anew() -> None:
    assert CHAT.student("How many?").begun == ""
    prompt = CHAT.global_refiner("How many?", "One\nTwo\n")
    assert prompt.begun == ""
    assert "Draft:\nOne\nTwo\n\n" in said(prompt)


def test_the_local_refiner_sees_the_mark_and_goes_on_after_the_stored_steps() -> None:
    prompt = CHAT.local_refiner("How many?", "One\nTwo\nThree\n", 1)
    assert "Draft:\nOne\n[BAD] Two\nThree\n\n" in said(prompt)
    assert prompt.begun == "One\n"
    assert CHAT.local_refiner("How many?", "One\nTwo", 0).begun == ""
    with pytest.raises(IndexError):
        CHAT.local_refiner("How many?", "One\nTwo", 2)


@given(texts, texts, st.data())
def test_what_is_begun_is_the_stored_text_byte_for_byte(
    question: str, draft: str, data: st.DataObject
) -> None:
    steps = split_steps(draft)
    assume(steps)
    index = data.draw(st.integers(0, len(steps) - 1))
    assert CHAT.local_refiner(question, draft, index).begun == prefix_before(draft, index)


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("  One.\n\nTwo.\n", ["One.", "Two."]),
        ("So\n\\[\n3 \\times 4 = 12\n\\]\n\n#### 12", ["So \\[ 3 \\times 4 = 12 \\]", "#### 12"]),
        ("So\n\n$$\n3 + 4\n$$\nThen $5$ is.", ["So $$ 3 + 4 $$", "Then $5$ is."]),
        ("\\[ 1 + 1 = 2 \\]\n#### 2", ["\\[ 1 + 1 = 2 \\]", "#### 2"]),
        ("It costs $5\nand $6.", ["It costs $5", "and $6."]),
        ("So\n\\[ 3 + 4\nand\n$$ 5 $$", ["So", "\\[ 3 + 4", "and $$ 5 $$"]),
        ("So\n$$ 3 $$\n$$ 4 $$\n\\]", ["So $$ 3 $$ $$ 4 $$", "\\]"]),
        ("", []),
    ],
)
def test_a_displayed_formula_is_no_step_of_its_own(written: str, steps: list[str]) -> None:
    assert [step.text for step in split_steps(CHAT.read(written))] == steps


@given(st.text())
def test_reading_changes_nothing_but_white_space(written: str) -> None:
    assert "".join(CHAT.read(written).split()) == "".join(written.split())


@pytest.mark.parametrize("family", [ChatPrompts(), TrainedPrompts()])
def test_both_families_fill_the_port(family: PromptFormat) -> None:
    assert family.read(" One.\n#### 1\n") == "One.\n#### 1"
    assert family.student("How many?")
