"""Random equations: no true one is refuted, and every false one that is certain is found."""

from collections import Counter
from fractions import Fraction

from hypothesis import event, given
from hypothesis import strategies as st

from glore.verifiers.arithmetic import Arithmetic
from tests.service.verifiers.rendering import (
    CERTAIN_KINDS,
    EVERY_KIND,
    NOTATIONS,
    Writer,
    decimal,
    rounded,
)

# What may stand around a true equation without making it false; much of it looks odd.
BEFORE = (
    *(
        "",
        "So she has ",
        "There are ",
        "Total: ",
        "n = ",
        "- ",
        "* ",
        "3. ",
        "Step 4: ",
        "Day 2 - ",
    ),
    *("twice ", "half of ", "the average of ", "Subtract 5 from ", "He has 5 apples and ", "not "),
    *("y + ", "10 : ", "(", "(4) ", "f(2) = ", "if ", "about ", "20% off ", "5 hours ", "1, 2, "),
    *("$", r"\(", r"\[", r"\boxed{", r"\begin{aligned} y &= ", r"\sqrt{16} ", "**", "| 3 | ", "<<"),
    *("at 3:30 ", "in room 7 ", '"'),
)
BEHIND = (
    *("", ".", " apples.", " more apples, so he is glad", "?", "!", "; next", " (in all)", "..."),
    *(" remainder 2", " hours 30 minutes", " and a half", " R 2", " dozen", " or 7", "%", " x"),
    *(" and 3 + 4 = 7", "\n- next", "\n+ 3", " (3 x 4)", " - so he goes", " = y", " is wrong", '"'),
    *(")", "$", r"\)", r" \]", "}", r" \end{aligned}", r" \\ &= z", "**", " |", ">>7"),
    *(r" \pmod 7", r"\text{ apples}", " per day", " times as many"),
)
CLEAR_BEFORE = (
    *("", "So she has ", "There are ", "Total: ", "n = ", "- ", "3. ", "Step 4: "),
    *("a total of ", "("),
)
CLEAR_BEHIND = ("", ".", " apples.", ", so he is done.", "; next", "\nThen he is done.", ")")


def true_text(seed: int) -> str:
    writer = Writer(seed, EVERY_KIND)
    choice = writer.random.choice
    left = writer.expression(depth=choice([0, 1, 2]))
    middle = writer.middle(left.value) if choice([True, False]) else None
    sides = [left.text, *([middle] if middle else []), writer.result(left.value)]
    event(f"{writer.notation.name}, {len(sides)} sides")
    return choice(BEFORE) + choice([" = ", " = ", "=", " =\n"]).join(sides) + choice(BEHIND)


@given(st.integers(0, 2**32))
def test_true_equations_are_never_refuted(seed: int) -> None:
    for text in map(true_text, range(seed, seed + 10)):
        assert Arithmetic().check("", text.split("\n")) == (), text


def false_text(seed: int) -> tuple[str, str, str] | None:
    """A text, the claim in it, and what is right; None where a claim would not be certain."""
    writer = Writer(seed, CERTAIN_KINDS)
    choice = writer.random.choice
    left = writer.expression(depth=choice([0, 1, 2]))
    right = decimal(left.value)
    if right is None or abs(left.value) > 10**12:
        return None
    indices = len(right.partition(".")[2])
    wrong = left.value + choice([1, -1, 2, 9, 10, -10, 100, 1000]) * Fraction(1, 10**indices)
    if left.value < 0 < wrong or 0 < left.value <= 1 < wrong:
        return None  # a difference the other way round, a part of a whole
    claim = rounded(wrong, indices, "down")
    return f"{choice(CLEAR_BEFORE)}{left.text} = {claim}{choice(CLEAR_BEHIND)}", claim, right


@given(st.integers(0, 2**32))
def test_a_false_equation_is_found_where_it_is(seed: int) -> None:
    drawn = [text for text in map(false_text, range(seed, seed + 10)) if text is not None]
    event(f"{len(drawn)} false equations")
    for text, claim, right in drawn:
        steps = text.split("\n")
        found = Arithmetic().check("", steps)
        assert [(each.claimed, each.expected) for each in found] == [(claim, right)], text
        assert steps[found[0].step][found[0].start : found[0].end] == claim


def test_every_notation_is_read_when_it_is_true() -> None:
    """What is not refuted above has been computed: made false, the same text is refuted."""
    refuted = Counter[str]()
    for seed in range(600):
        writer = Writer(seed, EVERY_KIND)
        left = writer.expression(depth=1)
        text = f"So {left.text} = {abs(int(left.value)) + 10**9 + 7}."
        refuted[writer.notation.name] += bool(Arithmetic().check("", [text]))
    assert min(refuted.values()) > 50, refuted
    assert len(refuted) == len(NOTATIONS)
