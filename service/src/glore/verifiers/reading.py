"""Expressions read from tokens.

`sum = product (+|- product)*`, `product = factor (x|/|of factor)*`,
`factor = [-] (number | fraction | group) [^ exponent] [%] [unit]`. Sizes are bounded.
"""

import re
from collections.abc import Sequence
from typing import Final

from glore.verifiers.expressions import Factor, MixedNumber, Node, Number, Power, Product, Sum
from glore.verifiers.tokens import Kind, Token
from glore.verifiers.words import PROSE

_MOST_NUMBERS: Final = 64
_DEEPEST: Final = 8
_MOST_UNIT_WORDS: Final = 5
_FORMULA: Final = re.compile(r"(?<=[\w)}])(\$)(?![\w$])")  # the end of one: $5 + 3 = 8$
_MOST_MONEY: Final = 2  # signs in a row: $$5 + 3$$
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_GOES_ON: Final = (Kind.OPERATOR, Kind.EQUALS, Kind.ABOUT, Kind.CLOSE)


class Reader:
    """Reads expressions from the tokens of `text`, the last of which is a LINE."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._closing = _pairs(tokens)
        self._money = {"\\$", "US$", *"€£¥₹"} | ({"$"} - {*_FORMULA.findall(text)})
        self._at = 0
        self._numbers = 0

    def read(self, start: int) -> tuple[Node, int] | None:
        """The longest expression from token `start` on, and the index of the token behind it."""
        self._at, self._numbers = start, 0
        node = self._sum(0)
        return None if node is None else (node, self._at)

    def _sum(self, depth: int) -> Node | None:
        first = self._product(depth)
        if first is None:
            return None
        terms = [("+", first)]
        while (sign := self._operator("+-")) is not None:
            here, self._at = self._at, self._at + 1
            term = self._product(depth)
            if term is None:
                self._at = here
                break
            terms.append((sign, term))
        return first if len(terms) == 1 else Sum(tuple(terms))

    def _product(self, depth: int) -> Node | None:
        first = self._factor(depth)
        if first is None:
            return None
        factors = [Factor("*", first)]
        while True:
            here = self._at
            operator, tight = self._multiplier(factors[-1])
            node = None if operator is None else self._factor(depth)
            if operator is None or node is None:
                self._at = here
                return first if len(factors) == 1 else Product(tuple(factors))
            factors.append(Factor(operator, node, tight))

    def _multiplier(self, last: Factor) -> tuple[str | None, bool]:
        """Steps over what multiplies or divides, if anything does, and says if it is tight."""
        here, token = self._at, self._peek()
        if (operator := self._operator("*/")) is not None:
            self._at += 1
            slash = self._text[token.start] == "/"
            return operator, slash and self._touches(here) and self._touches(here + 1)
        if token.kind is Kind.OPEN and token.text != "{" and self._touches(here):
            return "", False
        if token.text != "of" or not _is_part(last):
            return None, False
        self._at += 1
        if self._peek().text == "the":
            self._at += 1
        return "of", False

    def _factor(self, depth: int) -> Node | None:
        here = self._at
        money = self._skip_money()
        negative = self._operator("-") is not None
        if negative:
            self._at += 1
            money = self._skip_money() or money
        node = self._base(depth)
        if node is None:
            self._at = here
            return None
        node = self._with_unit(self._with_exponent(node, depth), money=money)
        return Sum((("-", node),)) if negative else node

    def _base(self, depth: int) -> Node | None:
        token, here = self._peek(), self._at
        if token.kind is not Kind.NUMBER:
            return self._fraction(depth) or self._group(depth)
        if self._numbers == _MOST_NUMBERS:
            return None
        self._at += 1
        self._numbers += 1
        number = Number(token.text, token.start, token.end)
        fraction = self._fraction(depth) if token.text.isdigit() else None
        if fraction is not None and _is_proper(fraction):
            return MixedNumber(number, fraction)
        self._at = here + 1
        return number

    def _fraction(self, depth: int) -> Node | None:
        here = self._at
        if self._peek().kind is not Kind.FRACTION:
            return None
        self._at += 1
        over = self._group(depth)
        under = self._group(depth) if over is not None else None
        if over is None or under is None:
            self._at = here
            return None
        return Product((Factor("*", over), Factor("/", under, tight=True)))

    def _group(self, depth: int) -> Node | None:
        here = self._at
        closing = self._closing.get(here)
        if closing is None or depth == _DEEPEST:
            return None
        self._at += 1
        node = self._sum(depth + 1)
        if node is None or self._at != closing:
            self._at = here
            return None
        self._at += 1
        return node

    def _with_exponent(self, base: Node, depth: int) -> Node:
        token, here = self._peek(), self._at
        if self._operator("^²³") is None:
            return base
        self._at += 1
        if token.text != "^":
            return Power(base, Number("2" if token.text == "²" else "3", token.start, token.end))
        exponent = self._base(depth)
        if exponent is None or self._operator("^²³") is not None:
            self._at = here
            return base
        return Power(base, exponent)

    def _with_unit(self, node: Node, *, money: bool) -> Node:
        percent = self._peek().kind is Kind.PERCENT and isinstance(node, Number)
        if percent:
            self._at += 1
        money = self._skip_money(behind=True) or money
        unit = self._unit()
        if isinstance(node, Number) and (percent or money or unit):
            return Number(node.text, node.start, node.end, percent, money, unit)
        return node

    def _unit(self) -> tuple[str, ...]:
        """The words behind a number, stepped over where the expression goes on behind them."""
        words: list[str] = []
        end = self._at
        if self._tokens[end].kind is not Kind.WORD:
            return ()
        while self._tokens[end].kind is Kind.WORD and len(words) <= _MOST_UNIT_WORDS:
            words += self._tokens[end].text.split()
            end += 1
        if len(words) > _MOST_UNIT_WORDS or not PROSE.isdisjoint(words):
            return ()
        if self._tokens[end].kind in _GOES_ON:
            self._at = end
        return tuple(words)

    def _skip_money(self, *, behind: bool = False) -> bool:
        """Steps over signs, `behind` a number only if they touch; says whether one is money."""
        here = self._at
        while (
            self._tokens[self._at].kind is Kind.MONEY
            and self._at - here < _MOST_MONEY
            and (not behind or self._touches(self._at))
        ):
            self._at += 1
        return any(token.text in self._money for token in self._tokens[here : self._at])

    def _operator(self, choice: str) -> str | None:
        token = self._peek()
        return token.text if token.kind is Kind.OPERATOR and token.text in choice else None

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _touches(self, index: int) -> bool:
        """Whether no white space stands before token `index`."""
        between = self._text[self._tokens[index - 1].end : self._tokens[index].start]
        return not between or "\\left" in between


def _pairs(tokens: Sequence[Token]) -> dict[int, int]:
    """The index of the closing bracket by that of the opening one, where both are alike."""
    pairs = {}
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind is Kind.OPEN:
            opened.append(index)
        elif token.kind is Kind.CLOSE and opened:
            begun = opened.pop()
            if token.text == _PAIRS[tokens[begun].text]:
                pairs[begun] = index
    return pairs


def _is_part(factor: Factor) -> bool:
    """Whether `of` behind it multiplies: `20% of 50`, `2/3 of 45`."""
    match factor:
        case Factor(_, Number() as number, tight):
            return number.percent or tight
        case Factor(_, Product(factors)):
            return factors[-1].tight
    return False


def _is_proper(fraction: Node) -> bool:
    match fraction:
        case Product((Factor(_, Number(over)), Factor(_, Number(under)))):
            return over.isdigit() and under.isdigit() and int(over) < int(under)
    return False
