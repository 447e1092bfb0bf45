"""Answers and when they are the same."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.formats.answers import (
    parse_answer,
    plain_number,
    same_answer,
    sole_answer,
    stated_answer,
)

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(
    lambda number: format(number, "f")
)


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("2 * 36 = 72\n#### 72", "72"),
        ("####72", "72"),
        ("#### 1,080.0", "1080"),
        ("#### $1,234.50", "1234.5"),
        ("#### -7 degrees", "-7"),
        ("#### .5", "0.5"),
        ("#### 12.", "12"),
        ("#### 3\n#### 4", "4"),
        ("#### 5\nMore text with a 6.", "5"),
        ("#### The answer is 8 apples", "8"),
        ("", None),
        ("The answer is 72", None),
        ("#### none", None),
        ("#### 3 ####", None),
        ("####\n\nSo there are 5.", None),
        ("####", None),
    ],
)
def test_the_answer_is_the_number_on_the_last_marked_line(
    solution: str, answer: str | None
) -> None:
    assert parse_answer(solution) == answer


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"So the answer is \boxed{18}.", "18"),
        (r"\boxed{\$1,080.0}", "1080"),
        (r"\boxed{1{,}080}", "1080"),
        (r"\boxed{18\text{ apples}}", "18"),
        (r"\boxed{3} and then \boxed{-4}", "-4"),
        (r"\boxed{5}\n#### 6", "6"),
        ("#### none\n\\boxed{5}", None),
        (r"\boxed{\frac{3}{4}}", None),
        (r"\boxed{18\text{ or }20}", None),
        (r"\boxed{x = 3}", None),
        (r"\boxed{}", None),
    ],
)
def test_without_a_mark_the_last_boxed_number_counts(solution: str, answer: str | None) -> None:
    assert parse_answer(solution) == answer


@pytest.mark.parametrize(
    ("step", "stated"),
    [
        ("#### 18", "18"),
        (" ####18 apples ", "18 apples"),
        ("####", None),
        ("So #### 18", None),
        ("18", None),
    ],
)
def test_a_step_that_is_the_answer_is_known_by_its_mark(step: str, stated: str | None) -> None:
    assert stated_answer(step) == stated


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("007", "7"),
        ("+5", "5"),
        (" 5. ", "5"),
        ("1,000,000", "1000000"),
        ("100", "100"),
        ("0.0", "0"),
        ("-0", "0"),
        ("-0.50", "-0.5"),
        ("0.1234567890123456789012345678901234567890", "0.123456789012345678901234567890123456789"),
        ("9" * 50, "9" * 50),
        ("1e5", None),
        ("1_000", None),
        ("nan", None),
        ("sNaN", None),
        ("Infinity", None),
        ("--5", None),
        ("", None),
        (".", None),
        ("3/4", None),
    ],
)
def test_a_plain_number_has_one_form(text: str, plain: str | None) -> None:
    assert plain_number(text) == plain


@pytest.mark.parametrize(
    ("solution", "sole"),
    [
        ("#### 18", "18"),
        ("1/2 of 36\n#### 18 eggs", "18"),
        ("#### 1/2", None),
        ("#### 1/2\n#### 3", "3"),
        ("\\boxed{18}", "18"),
        ("none", None),
        ("####", None),
    ],
)
def test_a_right_answer_is_one_number(solution: str, sole: str | None) -> None:
    assert sole_answer(solution) == sole


@given(st.text())
def test_any_text_has_an_answer_or_none(text: str) -> None:
    assert parse_answer(text) is None or "####" in text or "boxed" in text
    answer = parse_answer(f"{text}\n#### 1,250.50\n")
    assert answer == "1250.5"


@given(numbers)
def test_the_plain_form_names_the_same_number_and_is_its_own_plain_form(number: str) -> None:
    plain = plain_number(number)
    assert plain is not None
    assert Decimal(plain) == Decimal(number)
    assert plain_number(plain) == plain
    assert parse_answer(f"#### {number}") == plain


@given(numbers, numbers)
def test_answers_are_the_same_when_the_numbers_are(left: str, right: str) -> None:
    assert same_answer(left, right) == (Decimal(left) == Decimal(right))
    assert same_answer(left, left + "0")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("72", "72.00", True),
        ("1,080", "1080", True),
        ("0", "-0", True),
        ("72", "73", False),
        (None, "72", False),
        ("72", None, False),
        (None, None, False),
        ("apple", "apple", False),
    ],
)
def test_no_answer_equals_nothing(
    left: str | None,
    right: str | None,
    same: bool,  # noqa: FBT001 - a test parameter
) -> None:
    assert same_answer(left, right) is same
