"""Equations between numbers, found in a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from glore.verifiers.expressions import Node, Reading, divides, last_place, value_of
from glore.verifiers.reading import Reader
from glore.verifiers.tokens import Kind, Token, tokenize

MOST_EQUATIONS: Final = 200  # of a text; what follows is not read
_FIRST: Final = (Kind.NUMBER, Kind.FRACTION, Kind.OPEN, Kind.MONEY)


@dataclass(frozen=True, slots=True)
class Side:
    """An expression beside an equals sign: tokens `first` up to, not including, `after`."""

    node: Node
    first: int
    after: int


@dataclass(frozen=True, slots=True)
class Equation:
    """Two sides with an equals sign between them. Either may belong to the next one too."""

    left: Side
    right: Side

    def holds(self, reading: Reading, right_reading: Reading | None = None) -> bool:
        """Whether both sides have one value, up to rounding. Raises UnreadableError.

        A result may be rounded to the digits that it shows, up or down. The right side may be
        read in another way than the left one.
        """
        left = value_of(self.left.node, reading)
        reading = right_reading or reading
        right = value_of(self.right.node, reading)
        slack = last_place(self.right.node, reading)
        if slack is None:  # 10/3 + 1 = 3 + 1
            slack = right.slack + (left.exact.denominator > 1 and not divides(self.right.node))
        difference = abs(left.exact - right.exact)
        exactly = reading is Reading.COMMA_AS_POINT
        return not difference or (not exactly and difference < left.slack + slack)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, its tokens and the equations in it."""

    text: str
    tokens: Sequence[Token]
    equations: Sequence[Equation]


def read(text: str, *, x_multiplies: bool = True) -> Passage:
    """Read `text`, which begins and ends with a newline."""
    tokens = tokenize(text, x_multiplies=x_multiplies)
    reader = Reader(text, tokens)
    equations: list[Equation] = []
    left: Side | None = None
    at = 0
    while at < len(tokens) and len(equations) < MOST_EQUATIONS:
        found = reader.read(at) if _may_begin(tokens[at]) else None
        if found is None:
            at += 1
            continue
        side = Side(found[0], at, found[1])
        if left is not None and _are_joined(tokens, left, side):
            equations.append(Equation(left, side))
        left, at = side, side.after
    return Passage(text, tokens, equations)


def _may_begin(token: Token) -> bool:
    return token.kind in _FIRST or (token.kind is Kind.OPERATOR and token.text == "-")


def _are_joined(tokens: Sequence[Token], left: Side, right: Side) -> bool:
    """Whether just an equals sign stands between; it may begin the second one's line."""
    start = left.after + (tokens[left.after].kind is Kind.LINE)
    return start + 1 == right.first and tokens[start].kind is Kind.EQUALS
