"""What a finding of `arithmetic` says, and what the question and the other steps change."""

import pytest

from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.ports import Finding


def test_a_finding_points_at_the_claim_and_says_what_is_right() -> None:
    steps = ["There are 6*2 = 12 green bricks.", "There are 29-6-12 = 12 white bricks."]
    assert Arithmetic().check("How many?", steps) == (
        Finding(
            verifier="arithmetic",
            step=1,
            start=20,
            end=22,
            claimed="12",
            expected="11",
            expression="29-6-12",
        ),
    )


def test_every_false_equation_is_found_in_the_order_of_the_text() -> None:
    steps = ["2 x 3 = 7 and 7 + 1 = 9", "3 + 4 = 7", "9 - 1 = <<9-1=7>>7"]
    found = Arithmetic().check("", steps)
    assert [(each.step, each.start, each.expected) for each in found] == [
        (0, 8, "6"),
        (0, 22, "8"),
        (2, 14, "8"),
        (2, 17, "8"),
    ]


def test_in_a_chain_the_false_link_is_found() -> None:
    found = Arithmetic().check("", ["2 x 3 + 4 x 5 = 6 + 21 = 27"])
    assert [(each.expression, each.claimed, each.expected) for each in found] == [
        ("2 x 3 + 4 x 5", "6 + 21", "26")
    ]


def test_an_equation_may_go_on_in_the_next_step() -> None:
    (found,) = Arithmetic().check("", ["She has 3 + 4", "= 8 apples."])
    assert (found.step, found.start, found.claimed, found.expression) == (1, 2, "8", "3 + 4")


@pytest.mark.parametrize(
    ("expected", "step"),
    [
        ("7.5", "2.5 x 3 = 8.5"),
        ("1203.5", "$1,200.50 + $3 = $1,204.50"),
        ("10/3", "10 / 3 = 4.33"),
        ("-3", "5 - 8 = -4"),
        ("25%", "5 / 20 = 20%"),
        ("33.79%", "98 / 290 = 40%"),
        ("0.75", "3/4 + 0/4 = 0.5"),
        ("1000000", "1,000 x 1,000 = 100,000"),
    ],
)
def test_what_is_right_is_exact_and_plain(expected: str, step: str) -> None:
    (found,) = Arithmetic().check("", [step])
    assert found.expected == expected


@pytest.mark.parametrize(
    "question",
    [
        "What is 9 + 5 modulo 12?",
        "Find the sum in base eight.",
        r"Solve $x \equiv 3 + 4 \pmod 7$.",
        "A clock shows 9. What does it show 5 hours later?",
        "Let a * b mean a + 2b. What is 9 * 5?",
        "If 2 * 3 = 10 and 4 * 1 = 9 by a new rule, what is 9 * 5?",
        "All digits are of base 12. What is 9 + 5?",
    ],
)
def test_a_question_of_another_arithmetic_is_left_alone(question: str) -> None:
    steps = ["9 + 5 = 2", "9 * 5 = 19"]
    assert len(Arithmetic().check("What is it?", steps)) == len(steps)
    assert Arithmetic().check(question, steps) == ()


def test_figures_have_a_base_too() -> None:
    steps = ["9 + 5 = 2"]
    assert Arithmetic().check("A triangle has the base 12 and the height 3.", steps) != ()


@pytest.mark.parametrize("elsewhere", ["Let x be the price.", "2x + 3 = 9", "so x = 3"])
def test_where_x_is_a_variable_it_does_not_multiply(elsewhere: str) -> None:
    assert len(Arithmetic().check("", ["2 x 3 = 7"])) == 1
    assert Arithmetic().check("", ["2 x 3 = 7", "He thinks.", elsewhere]) == ()
    assert Arithmetic().check(elsewhere, ["2 x 3 = 7"]) == ()
    assert len(Arithmetic().check("", ["2 * 3 = 7", elsewhere])) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("4 + 5 +", "3 + 2 = 14"), ("= 5 + 3 = 4", "+ 4"), ("5 + 3 = 9", "This is wrong.")],
)
def test_the_next_and_the_last_step_count(first: str, second: str) -> None:
    assert Arithmetic().check("", [first, second]) == ()
