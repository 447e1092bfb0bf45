"""What an equation claims, and the text around it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from glore.verifiers.equations import Equation, Passage
from glore.verifiers.expressions import Number, literal, plain
from glore.verifiers.tokens import Kind, Token
from glore.verifiers.words import BEHIND_UNIT

_NEAR: Final = 160  # characters around an equation that may speak of it
_MOST_UNIT_WORDS: Final = 6
_SENTENCE_END: Final = re.compile(r"[.;?!]\s|\n")


@dataclass(frozen=True, slots=True)
class Claim:
    """An equation whose sides have different values, `left` and `right`."""

    passage: Passage
    equation: Equation
    left: Fraction
    right: Fraction

    @property
    def left_tokens(self) -> Sequence[Token]:
        """The tokens of the left side."""
        return self.passage.tokens[self.equation.left.first : self.equation.left.after]

    @property
    def right_tokens(self) -> Sequence[Token]:
        """The tokens of the right side."""
        return self.passage.tokens[self.equation.right.first : self.equation.right.after]

    @property
    def ratio(self) -> Fraction:
        """The right value in terms of the left one; zero when that is zero."""
        return self.right / self.left if self.left else Fraction(0)

    @property
    def span(self) -> tuple[int, int]:
        """The offsets of the claimed value: of the number alone where it is one."""
        number, tokens = self.equation.right.node, self.right_tokens
        if not isinstance(number, Number):
            return _ends(tokens)
        percent = (token.end for token in tokens if token.kind is Kind.PERCENT)
        return number.start, next(percent, number.end)

    @property
    def claimed(self) -> str:
        """The claimed value as the text has it."""
        return _source(self.passage.text, *self.span)

    @property
    def expression(self) -> str:
        """The left side as the text has it."""
        return _source(self.passage.text, *_ends(self.left_tokens))

    @property
    def expected(self) -> str:
        """The value of the left side, in percent if the claim is."""
        number = literal(self.equation.right.node)
        return plain(self.left, percent=number is not None and number.percent)

    @property
    def before(self) -> str:
        """What stands before the equation."""
        start = self.left_tokens[0].start
        return self.passage.text[max(0, start - _NEAR) : start]

    @property
    def behind(self) -> str:
        """What stands behind the equation."""
        end = self.right_tokens[-1].end
        return self.passage.text[end : end + _NEAR]

    @property
    def sentence(self) -> tuple[str, str]:
        """The sentence around the equation, before and behind it."""
        end = _SENTENCE_END.search(self.behind)
        return (
            _SENTENCE_END.split(self.before)[-1],
            self.behind[: end.start() + 1] if end else self.behind,
        )

    @property
    def computed_words(self) -> list[str]:
        """The words on the left side."""
        return _words(self.left_tokens)

    @property
    def claimed_words(self) -> list[str]:
        """The words on the right side, with the unit behind it."""
        right, tokens = self.equation.right, self.passage.tokens
        end = right.after
        while tokens[end].kind is Kind.WORD and BEHIND_UNIT.isdisjoint(tokens[end].text.split()):
            end += 1
        return _words(tokens[right.first : min(end, right.after + _MOST_UNIT_WORDS)])


def _words(tokens: Sequence[Token]) -> list[str]:
    """The words among the tokens; a currency sign counts as `dollar`."""
    money = any(token.kind is Kind.MONEY for token in tokens)
    words = (word for token in tokens if token.kind is Kind.WORD for word in token.text.split())
    return [*words, "dollar"] if money else [*words]


def _ends(tokens: Sequence[Token]) -> tuple[int, int]:
    """The offsets of an expression, without the one `$` that begins or ends a formula."""
    signs = [index for index, token in enumerate(tokens) if token.text == "$"]
    if signs == [0]:
        tokens = tokens[1:]
    elif signs and signs[-1] == len(tokens) - 1:
        tokens = tokens[:-1]
    return tokens[0].start, tokens[-1].end


def _source(text: str, start: int, end: int) -> str:
    return " ".join(text[start:end].split())
