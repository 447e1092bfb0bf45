"""Doubts from what an equation may mean: units, percents, parts, a result that goes on."""

import re
from fractions import Fraction
from itertools import permutations, takewhile
from typing import Final

from glore.verifiers.claims import Claim
from glore.verifiers.expressions import (
    Node,
    Number,
    Product,
    Reading,
    Sum,
    has_of,
    literal,
    numbers,
    value_of,
)
from glore.verifiers.tokens import Kind
from glore.verifiers.units import are_mixed, may_convert, units_in
from glore.verifiers.words import BEHIND_UNIT, POINTS

_SLIP: Final = Fraction(3, 2)  # a slip seldom takes a sum further than this factor


def is_running(claim: Claim) -> bool:
    """The right side goes on with the result: `5 + 3 = 8 - 2 = 6`."""
    right = claim.equation.right.node
    parts = () if literal(right) else tuple(numbers(right))
    return any(value_of(part, Reading.PERCENT_AS_UNIT).exact == claim.left for part in parts)


def is_reversed(claim: Claim) -> bool:
    """`pages 5-10 = 6 pages`: a range, or a difference or ratio written the other way round."""
    if claim.left * claim.right == 1:
        return True
    match claim.equation.left.node:
        case Sum((("+", Number() as first), ("-", Number() as second))):
            between = claim.passage.text[first.end : second.start]
            ranges = claim.right in (-claim.left, 1 - claim.left)  # without or with both ends
            plausible = ranges or not re.search(r"\s", between)
            return claim.left < 0 < claim.right and plausible
    return False


def is_part_of_whole(claim: Claim) -> bool:
    """A part or the whole is said to be so many: `1/3 = 20 apples`."""
    divides = any(token.kind is Kind.FRACTION or token.text == "/" for token in claim.left_tokens)
    whole = claim.left == 1 and isinstance(claim.equation.left.node, Product)
    return divides and (whole or 0 < claim.left < 1) and claim.right > 1


def has_loose_of(claim: Claim) -> bool:
    """How far `of` reaches is not certain: `1/3 of $150`, `10% of the $400 + $1580`."""
    left = claim.equation.left.node
    return has_of(claim.equation.right.node) or (isinstance(left, Sum) and has_of(left))


def mixes_percents(claim: Claim) -> bool:
    """`50 + 10% = 55`, or a value that is or is not divided by 100."""
    tokens = [*claim.left_tokens, *claim.right_tokens]
    if all(token.kind is not Kind.PERCENT for token in tokens):
        return False
    left = claim.equation.left.node
    terms = left.terms if isinstance(left, Sum) else ()
    kinds = {isinstance(term, Number) and term.percent for _, term in terms}
    readings = (Reading.STANDARD, Reading.PERCENT_AS_UNIT)
    return len(kinds) > 1 or any(
        claim.equation.holds(left_reading, right_reading)
        for left_reading, right_reading in permutations(readings)
    )


def converts_units(claim: Claim) -> bool:
    """Units may explain the difference: `5 x 12 inches = 5 feet`, `2 hours + 30 minutes = 150`."""
    left = claim.equation.left.node
    if isinstance(left, Sum):
        terms = {unit for _, term in left.terms for unit in units_in(_unit(term))}
        terms |= {unit for unit in units_in(claim.computed_words) if unit.family == "money"}
        if are_mixed(terms) or any(unit.family == "count" for unit in terms):
            return True
    scales = {u for u in units_in(" ".join(claim.sentence).lower().split()) if u.family == "count"}
    claimed, computed = units_in(claim.claimed_words), units_in(claim.computed_words)
    return may_convert(claimed | scales, computed, claim.ratio)


def adds_prices(claim: Claim) -> bool:
    """Words stand for prices or parts: `2 apples + 3 pears = 13`, `3 + 5 parts = 64 apples`."""
    left = claim.equation.left.node
    terms = [_things(term) for _, term in left.terms] if isinstance(left, Sum) else []
    named = [things for things in terms if things]
    claimed = set(claim.claimed_words)
    if not named or any(things & claimed for things in named):
        return False
    close = 1 / _SLIP < claim.ratio < _SLIP
    if claimed:  # of other things, or the price of these
        return not close or bool(units_in(claimed) or claimed & POINTS)
    alike = not any(terms[:-1]) or (len(named) == len(terms) and set.intersection(*named))
    return not (close and alike)


def _things(term: Node) -> set[str]:
    """The words of a term's unit that measure nothing."""
    return {word for word in _unit(term) if not units_in([word])}


def _unit(term: Node) -> list[str]:
    """The words behind the numbers of a term, without `per hour` and its like."""
    return [
        word.partition("/")[0]
        for number in numbers(term)
        for word in takewhile(lambda word: word not in BEHIND_UNIT, number.unit)
    ]
