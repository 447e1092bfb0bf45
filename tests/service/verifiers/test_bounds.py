"""Whatever the text is: an answer in bounded time, and findings that point into the text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.verifiers.arithmetic import Arithmetic

LENGTH = 100_000
LIMIT = 0.1  # seconds of CPU time, on a core that takes no longer than this for an addition:
ADDITION = 40e-9

FRAGMENTS = (
    *("1=", "=", "1+1=2 ", "1+1=3 ", "1+1=3\n", "3+4=8. ", "(1+", "1+(2*", "((((", "))))", "2^"),
    *("{", "}", r"\frac{1}{2}=", r"\frac", r"\text{", r"\text", "<<", "<<1+1=3>>", "<<1=", "\n"),
    *(
        "\n- ",
        "- ",
        "1.",
        "1,",
        "1,234",
        "1:",
        "x ",
        "x2",
        "5 x ",
        "a",
        "ab ",
        "ab'",
        "é",
        "$",
        "%",
    ),
    *(
        "20% of ",
        "_",
        "^{",
        "\\",
        "\\\\",
        "&",
        "**",
        "*",
        "'",
        "-",
        "=-",
        "!",
        "5!",
        "?",
        ".",
        "..",
    ),
    *("\t", " ", "\0", "½", "1 1/2 ", "3 apples + ", "1/", "1/2/", "about 1+1=3 ", "9^9=1 ", "|"),
    *("3+4=8 apples and ", "= 3 remainder 2 ", "twice 3+4=8, ", "0.333*3=2 ", "99999*99999*"),
    *("12345678901234567890", "\u2028", "\u0663", "\U0001d7d8", "1+1=3?", "5-3=9 minutes, ", "~"),
    *("$5.67 x 3 = $18 ", "if 1+1=3, ", "1 = 1 = ", "+ ", "9^", "9**9**", "(((1)))=2 ", "-(", "x^"),
)
# Lines of 100 characters and one of all; with an equals sign at the end of every line, and without.
SHAPES = {
    "one line": lambda fragment: [(fragment * LENGTH)[:LENGTH] + "=2"],
    "lines": lambda fragment: [(fragment * 100)[:100]] * (LENGTH // 100),
    "equations": lambda fragment: [(fragment * 98)[:98] + "=2"] * (LENGTH // 100),
}


def slowness() -> float:
    """How much longer than `ADDITION` an addition takes here and now; 1 at least."""
    total, start = 0, time.process_time()
    for number in range(200_000):
        total += number
    return max(1.0, (time.process_time() - start) / 200_000 / ADDITION)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fragment", FRAGMENTS, ids=repr)
def test_long_texts_take_little_time(fragment: str, shape: str) -> None:
    steps = SHAPES[shape](fragment)
    shares = []
    for _ in range(4):
        start = time.process_time()
        Arithmetic().check("", steps)
        shares.append((time.process_time() - start) / LIMIT)
        if shares[-1] < 1:
            return
        shares[-1] /= slowness()
    assert min(shares) < 1


def test_numbers_that_cannot_be_computed_are_left_alone() -> None:
    steps = ["9^9^9 = 1", "9^(9^9) = 1", "9**9999 = 1", "(9^99)^99 = 1", f"1{'0' * 99} + 1 = 2"]
    steps += ["5 / 0 = 1", "5 / (3 - 3) = 1", "0^-1 = 5", "2^0.5 = 3", "2^(1/2) = 7"]
    steps += [f"{'99999999 * ' * 60}1 = 2", f"{'1 + ' * 70}1 = 2", f"{'(' * 20}1 + 1{')' * 20} = 3"]
    assert Arithmetic().check("", steps) == ()


SOUP = st.lists(
    st.sampled_from([fragment for fragment in FRAGMENTS if len(fragment) < 20])
    | st.sampled_from([" = ", " + ", " x ", "3", "40", " apples ", "\n", "(", ")", "1/2", "so "])
    | st.characters(),
    max_size=40,
).map("".join)


@given(question=SOUP, text=SOUP)
def test_any_text_has_an_answer_that_points_into_it(question: str, text: str) -> None:
    steps = text.split("\n")
    findings = Arithmetic().check(question, steps)
    for finding in findings:
        claimed = steps[finding.step][finding.start : finding.end]
        assert " ".join(claimed.split()) == finding.claimed != finding.expected
    assert list(findings) == sorted(findings, key=lambda each: (each.step, each.start))
    assert findings == Arithmetic().check(question, steps)


@given(first=SOUP, second=SOUP)
def test_steps_may_hold_several_lines(first: str, second: str) -> None:
    """Where a solution is cut into steps changes where findings are, not what is found."""
    whole = Arithmetic().check("", [f"{first}\n{second}"])
    cut = Arithmetic().check("", [first, second])
    assert [(each.claimed, each.expected) for each in whole] == [
        (each.claimed, each.expected) for each in cut
    ]
