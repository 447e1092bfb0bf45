"""Doubts from what stands around an equation: it may be a part of more, or nobody claims it."""

import re
from collections.abc import Sequence
from typing import Final

from glore.verifiers.claims import Claim
from glore.verifiers.expressions import Number, Sum, literal, value_of
from glore.verifiers.tokens import Kind, Token
from glore.verifiers.units import units_in
from glore.verifiers.words import BEGINS_CLAUSE, CHANGES, JOINS, NAMES, SUPPOSES, TAKES_PART

_MOST_WORDS: Final = 6
_DELIMITERS: Final = (Kind.EQUALS, Kind.ABOUT, Kind.RELATION)
_NUMERIC: Final = (Kind.NUMBER, Kind.PERCENT, Kind.CLOSE, Kind.SYMBOL)
_AMOUNT: Final = (Kind.NUMBER, Kind.MONEY)
_APPROXIMATE: Final = re.compile(
    r"\b(?:about|approx\w*|around|roughly|nearly|almost|round(?:s|ed|ing)?|estimat\w+|nearest"
    r"|closest|truncat\w+|floor|ceil\w*)\b|[≈~]|\\approx",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    r"\b(?:said|says|claim(?:s|ed)?|thought|thinks|believe[sd]?|false|wrong|incorrect\w*|untrue"
    r"|contradict\w*|impossible|invalid|mistake\w*|error"
    r"|not (?:true|correct|equal|possible|right|valid)|wait|oops|hmm|hold on|actually|instead of"
    r"|let me re|re-?check|recalculat\w*|correction|sorry)\b|\bno[,.]|≠|\\neq?\b",
    re.IGNORECASE,
)


def is_cut_off_before(claim: Claim) -> bool:
    """Something before the left side belongs to it: `x + 3 + 4 = 9`, `twice 3 + 4 = 14`."""
    tokens, first = claim.passage.tokens, claim.equation.left.first
    token, prior = tokens[first - 1], tokens[max(0, first - 2)]
    if _begins_with_label(claim):
        return True
    match token.kind:
        case Kind.LINE:
            return prior.kind in {Kind.OPERATOR, Kind.OPEN} or _is_minus(claim, token, prior)
        case Kind.STOP:
            return prior.kind in {Kind.OPERATOR, Kind.OPEN} or _is_separator(claim, token, prior)
        case Kind.OPEN:
            return prior.kind in {Kind.OPERATOR, Kind.FRACTION, *_NUMERIC}
        case Kind.WORD:
            return _belongs_to_words(claim)
    return token.kind not in _DELIMITERS


def _begins_with_label(claim: Claim) -> bool:
    """Whether `1 - 5 x 3 = 15` is the item 1 of a list."""
    match claim.equation.left.node:
        case Sum((("+", Number() as label), ("-", term), *more)) if more or not literal(term):
            rest = claim.left - value_of(label).exact + 2 * value_of(term).exact
            return rest == claim.right
    return False


def _is_separator(claim: Claim, stop: Token, prior: Token) -> bool:
    """Whether a comma or colon is part of a number or a ratio: `14, 400`, `10 : 2 + 3`."""
    tokens, first = claim.passage.tokens, claim.equation.left.first
    if stop.text == ",":
        touches = stop.end == tokens[first].start
        thousands = re.match("[0-9]{3}(?![0-9])", tokens[first].text) is not None
        return touches or (thousands and prior.kind is Kind.NUMBER)
    label = stop.start == prior.end and tokens[max(0, first - 3)].kind in {
        Kind.WORD,
        Kind.LINE,
    }
    return stop.text == ":" and prior.kind is Kind.NUMBER and not label


def _is_minus(claim: Claim, line: Token, prior: Token) -> bool:
    """Whether the bullet of `- 3 + 4 = 1` is a minus, or goes on from the line before."""
    if not _ends_with_dash(line):
        return False
    first = claim.equation.left.node
    first = first.terms[0][1] if isinstance(first, Sum) else first
    negative = claim.left - 2 * value_of(first).exact
    return negative == claim.right or prior.kind in {
        Kind.NUMBER,
        Kind.CLOSE,
        Kind.PERCENT,
    }


def _belongs_to_words(claim: Claim) -> bool:
    """Whether the words before the left side take part in it."""
    tokens, first = claim.passage.tokens, claim.equation.left.first
    start = first
    while tokens[start - 1].kind is Kind.WORD and first - start < _MOST_WORDS:
        start -= 1
    words, outside = _split(tokens[start:first]), tokens[start - 1].kind
    is_result = any(token.kind is Kind.EQUALS for token in tokens[start - 3 : start - 1])
    if outside is Kind.NUMBER and is_result:  # 5 x 3 = 15 and 15 + 2 = 17
        outside = Kind.STOP
    function = tokens[first].kind is Kind.OPEN and tokens[first].start == tokens[first - 1].end
    if tokens[first].text == "-" or function or not SUPPOSES.isdisjoint(words):
        return True
    clause = max((at + 1 for at, word in enumerate(words) if word in BEGINS_CLAUSE), default=0)
    return (
        outside is Kind.OPERATOR
        or not NAMES.isdisjoint(words[-1:])
        or not TAKES_PART.isdisjoint(words[clause:])
        or (outside in _NUMERIC and not clause)
    )


def is_cut_off_behind(claim: Claim) -> bool:
    """Something behind the right side belongs to it: `= 3 remainder 2`, `= 7 + x`."""
    tokens, after = claim.passage.tokens, claim.equation.right.after
    token, following = tokens[after], tokens[min(after + 1, len(tokens) - 1)]
    match token.kind:
        case Kind.LINE:
            begun = tokens[claim.equation.left.first - 1]
            minus = _ends_with_dash(token) and not _ends_with_dash(begun)
            return following.kind is Kind.OPERATOR or (minus and following.kind in _AMOUNT)
        case Kind.STOP:  # 7:30, and 1, 200
            thousands = re.fullmatch("[0-9]{3}", following.text) is not None
            amount = following.kind is Kind.NUMBER
            return (token.text == "," and thousands) or (token.text == ":" and amount)
        case Kind.OPEN:
            return following.kind in {Kind.OPERATOR, *_AMOUNT}
        case Kind.OPERATOR:  # a dash goes on with words
            return token.text != "-" or following.kind is not Kind.WORD
        case Kind.WORD:
            return _is_changed_by_words(claim)
    return token.kind not in {Kind.CLOSE, *_DELIMITERS}


def _is_changed_by_words(claim: Claim) -> bool:
    """Whether the words behind the right side make another number of it."""
    tokens, after = claim.passage.tokens, claim.equation.right.after
    end = after
    while tokens[end].kind is Kind.WORD and end - after < _MOST_WORDS:
        end += 1
    words, outside = _split(tokens[after:end]), tokens[end].kind
    if tokens[end].text == ",":
        outside = tokens[end + 1].kind
    if outside in _AMOUNT and units_in(words[:1]) and set(words[1:]) <= JOINS:
        return True  # 5 hours 30 minutes, 5 hours and 30 minutes
    alone = outside in _AMOUNT and tokens[min(end + 1, len(tokens) - 1)].text not in {*"+-*"}
    return (
        outside is Kind.OPERATOR
        or words[0] in CHANGES
        or (words[0] in JOINS and (alone or not CHANGES.isdisjoint(words[1:3])))
    )


def is_not_claimed(claim: Claim) -> bool:
    """The text asks for it, denies it or rounds: `5 + 3 = 9?`, `5 + 3 = 9 is wrong`."""
    before, behind = claim.sentence
    return bool(
        "?" in behind
        or _APPROXIMATE.search(before)
        or _APPROXIMATE.search(behind)
        or _DENIED.search(before)
        or _DENIED.search(claim.behind)
    )


def _ends_with_dash(line: Token) -> bool:
    return line.text.rstrip(" \t")[-1:] in {"-", "\N{EN DASH}", "\N{MINUS SIGN}"}


def _split(tokens: Sequence[Token]) -> list[str]:
    return [word for token in tokens for word in re.split(r"[\s-]+", token.text)]
