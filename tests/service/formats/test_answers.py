"""Answers and when they are the same."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.formats.answers import (
    parse_answer,
    plain_number,
    same_answer,
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
    ("solution", "answer"),
    [
        ("### Step 1\n40+2=42\n#### Step 2: Conclude\nThe answer is $\\boxed{42}$.", "42"),
        ("#### Final Answer:\n\n**18**", "18"),
        ("#### Final Answer\nThe final answer is \\boxed{18}", "18"),
        ("#### ✅ **Final Answer: 18**", "18"),
        ("#### **Step 3: Verify**\n\nSo she has **\\boxed{18}** eggs.", "18"),
        ("#### 2. Conclude\nSo \\boxed{42}", "42"),
        ("####\nTherefore, \\boxed{18}", "18"),
        ("**#### 18**", "18"),
        ("Step 1\n#### 18\n---\n", "18"),
        ("#### 18 dollars\nHope this helps!", "18"),
        ("#### 18 dollars\nCheck: 9*2 = 18.", "18"),
        ("#### 3 Friends share\nEach gets 24/3 = 8 apples.", None),
        ("#### Conclusion\nSo 18.", None),
        ("#### 18\n\n#### Explanation\nShe eats three.", None),
        ("So \\boxed{5} a day.\n####", None),
        ("So \\boxed{5} a day.\n#### Step 2: weeks\n5 * 7 = ", None),
        ("#### 5\nSo \\boxed{6}", None),
        ("#### 5\nSo \\boxed{5}", "5"),
        ("#### 1/2\n\\boxed{5}", None),
        ("#### 3 + 15 = \\boxed{18}", "18"),
        ("3*4 = \\boxed{12}\nThen 12+3 = \\boxed{15}", "15"),
        ("It is \\boxed{18}.\n\n\\boxed{18}", "18"),
        ("Apples: \\boxed{3}\nPears: \\boxed{4}", None),
        ("\\begin{aligned}x &= \\boxed{18}\\end{aligned}", None),
        ("#### 18<|im_end|>\n<|im_start|>user", "18"),
        (f"#### {'word ' * 200}18", None),
        (f"#### {'1' * 2000}", "1" * 2000),
    ],
)
def test_a_chat_model_may_have_headings_and_boxes(solution: str, answer: str | None) -> None:
    assert parse_answer(solution) == answer


@pytest.mark.parametrize(
    ("step", "stated"),
    [
        ("#### 18", "18"),
        (" ####18 apples ", "18 apples"),
        ("####", None),
        ("So #### 18", None),
        ("18", None),
        ("#### 1/2", "1/2"),
        ("#### Step 2: Conclude", None),
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
        ("3,5", None),
        ("1,0000", None),
        ("12,34,567", "1234567"),
        ("1 234", "1234"),
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


@given(st.text())
def test_a_line_with_the_answer_ends_any_text(text: str) -> None:
    assert parse_answer(f"{text}\n#### 1,250.50\n") == "1250.5"


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
    same: bool,
) -> None:
    assert same_answer(left, right) is same
