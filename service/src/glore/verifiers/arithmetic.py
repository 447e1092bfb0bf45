"""The verifier `arithmetic`: equations between numbers, computed exactly."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Final

from glore.verifiers.claims import Claim
from glore.verifiers.context import is_cut_off_before, is_cut_off_behind, is_not_claimed
from glore.verifiers.equations import MOST_EQUATIONS, Equation, Passage, read
from glore.verifiers.expressions import Reading, UnreadableError, literal, value_of
from glore.verifiers.meaning import (
    adds_prices,
    converts_units,
    has_loose_of,
    is_part_of_whole,
    is_reversed,
    is_running,
    mixes_percents,
)
from glore.verifiers.ports import Finding
from glore.verifiers.tokens import has_variable_x

_MOST_FINDINGS: Final = 100
_MOST_OF_QUESTION: Final = 10_000  # characters
_ANNOTATION: Final = re.compile(r"<<([^<>\n]{0,200})>>")  # GSM8K: 48/2 = <<48/2=24>>24
# Where one of these stands, 9 + 5 may be 2; most begin with a space, so as to begin a word.
_OTHER_ARITHMETIC: Final = (
    *(" mod ", "(mod ", "modulo", "modular", "\\mod", "\\pmod", "\\bmod", "\\equiv", "\u2261"),
    *(" clock", " binary", " octal", "hexadecimal", "boolean", " xor ", " base-"),
    *(f"{word} base" for word in ("in", "to", "from", "into")),
    *(f" base {count}" for count in ("two", "three", "four", "five", "six", "seven", "eight")),
)
# A number behind it: of a numeral system, unless there are figures that have a base.
_BASE: Final = re.compile(r"\bbase\s?\d")
_FIGURES: Final = ("triang", "heigh", "area", "parallelo", "pyramid", "prism", "trapez", "rectang")
_DEFINES_TIMES: Final = re.compile(r"\b[A-Za-z]\s?(?:\\?\*|\\ast|\u2217)\s?[A-Za-z]\b")

# Reasons not to call an equation false though its sides differ; any of them is enough.
DOUBTS: Final[tuple[Callable[[Claim], bool], ...]] = (
    is_cut_off_before,
    is_cut_off_behind,
    is_not_claimed,
    is_running,
    is_reversed,
    is_part_of_whole,
    has_loose_of,
    mixes_percents,
    converts_units,
    adds_prices,
)


class Arithmetic:
    """Finds false equations such as `22-6-12 = 8`; says nothing where it is not sure."""

    name: Final = "arithmetic"

    def check(self, question: str, steps: Sequence[str]) -> tuple[Finding, ...]:
        """The false equations of `steps`, each with the span of the value it claims."""
        text = "\n".join(["", *steps, ""])
        problem = f" {question[:_MOST_OF_QUESTION]} "
        if _DEFINES_TIMES.search(problem) or _is_other_arithmetic((problem + text).lower()):
            return ()
        x_multiplies = not has_variable_x(problem) and not has_variable_x(text)
        if _has_other_rules(problem, x_multiplies=x_multiplies):
            return ()
        starts = [*accumulate((len(step) + 1 for step in steps), initial=1)]
        found = []
        claims = _false_claims(_readable(text), x_multiplies=x_multiplies)
        for offset, claim in islice(claims, _MOST_FINDINGS):
            start, end = (index + offset for index in claim.span)
            step = bisect_right(starts, start) - 1
            found.append(
                Finding(
                    verifier=self.name,
                    step=step,
                    start=start - starts[step],
                    end=end - starts[step],
                    claimed=claim.claimed,
                    expected=claim.expected,
                    expression=claim.expression,
                )
            )
        return tuple(sorted(found, key=lambda finding: (finding.step, finding.start)))


def _is_other_arithmetic(text: str) -> bool:
    if any(mark in text for mark in _OTHER_ARITHMETIC):
        return True
    return _BASE.search(text) is not None and not any(figure in text for figure in _FIGURES)


def _has_other_rules(question: str, *, x_multiplies: bool) -> bool:
    """Whether the question itself says equal what is not: `if 2 * 3 = 10, what is 3 * 4`."""
    passage = read(_readable(f"\n{question}\n"), x_multiplies=x_multiplies)
    return any(
        _differs(passage, equation) is not None
        for equation in passage.equations
        if not literal(equation.left.node)
    )


def _readable(text: str) -> str:
    """`text` with blanks for the lines that have no equals sign nor a neighbour with one."""
    lines = text.split("\n")
    equal = [False, *("=" in line for line in lines), False]
    near = map(any, zip(equal, equal[1:], equal[2:], strict=False))
    return "\n".join(
        line if is_near else " " * len(line) for line, is_near in zip(lines, near, strict=True)
    )


def _false_claims(text: str, *, x_multiplies: bool) -> Iterator[tuple[int, Claim]]:
    """The false equations of `text` and what to add to their offsets.

    An annotation is read by itself, and the text as if it were not there.
    """
    for match in islice(_ANNOTATION.finditer(text), MOST_EQUATIONS):
        for claim in _refuted(read(f"\n{match[1]}\n", x_multiplies=x_multiplies)):
            yield match.start(1) - 1, claim
    plain = _ANNOTATION.sub(lambda match: " " * len(match[0]), text)
    for claim in _refuted(read(plain, x_multiplies=x_multiplies)):
        yield 0, claim


def _refuted(passage: Passage) -> Iterator[Claim]:
    for equation in passage.equations:
        claim = None if literal(equation.left.node) else _differs(passage, equation)
        if claim is not None and not any(doubt(claim) for doubt in DOUBTS):
            yield claim


def _differs(passage: Passage, equation: Equation) -> Claim | None:
    """What a false equation claims; None for a true one, and for one that cannot be computed."""
    try:
        start = passage.tokens[equation.left.first].start
        source = passage.text[start : passage.tokens[equation.right.after].start]
        readings = (reading for reading in Reading if reading.value.search(source))
        if any(equation.holds(reading) for reading in readings):
            return None
        left, right = value_of(equation.left.node), value_of(equation.right.node)
    except UnreadableError:
        return None
    return Claim(passage, equation, left.exact, right.exact)
