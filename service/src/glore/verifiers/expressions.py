"""Arithmetic expressions and their exact values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

_MOST_BITS: Final = 1024  # of a numerator or denominator
_MOST_DECIMALS: Final = 12
_GLYPHS: Final = dict(
    zip("½⅓⅔¼¾⅛⅜⅝⅞", ("1/2", "1/3", "2/3", "1/4", "3/4", "1/8", "3/8", "5/8", "7/8"), strict=True)
)
_THIRDS: Final = re.compile(r"33+4?|66+7?|67|16+7?|17|83+")  # the digits of n/3 and n/6
_EXACT: Final = frozenset({1, 2, 4, 5, 8, 10, 20})  # denominators of decimals that seldom round


class UnreadableError(ValueError):
    """The value of an expression is not certain, or too large to compute."""


class Reading(Enum):
    """How to compute what people do not write alike, by the pattern of what it concerns."""

    STANDARD = re.compile(r"\A")  # always
    PERCENT_AS_UNIT = re.compile(r"%+|percent")  # 100% - 20% = 80
    FRACTIONS_FIRST = re.compile(r"(?:[/÷]|div)[^=]*(?:[/÷]|div)")  # 14 / 1 / 4 is 14 / (1/4)
    # 11 ÷ 2/5 is (11 ÷ 2)/5
    LEFT_TO_RIGHT = re.compile(r"(?:^|=)[^=/÷d]*+(?>(?:d(?!iv)[^=/÷d]*+)*)(?:[/÷]|div)[^=/]*+/")
    MIXED_AS_PRODUCT = re.compile(r"[0-9]\s*(?:[0-9]/|[½-¾⅓-⅞]|\\)")  # 20 1/2 is 10
    COMMA_AS_POINT = re.compile(r"[0-9][.,][0-9]{3}(?![0-9])")  # 1.500 is 1,500 and 1,500 is 1.5


class Number(NamedTuple):
    """A literal, its offsets in the text, and the words of its unit."""

    text: str
    start: int
    end: int
    percent: bool = False
    money: bool = False
    unit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms, each with its sign. A single term with a minus is a negative."""

    terms: tuple[tuple[str, "Node"], ...]


class Factor(NamedTuple):
    """A part of a product. `operator` is * / of, or empty where no sign stands, as in 2(3)."""

    operator: str
    node: "Node"
    tight: bool = False  # written as a fraction: 2/5


@dataclass(frozen=True, slots=True)
class Product:
    """Factors, from left to right."""

    factors: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class MixedNumber:
    """A whole number with a fraction behind it."""

    whole: "Node"
    fraction: "Node"


@dataclass(frozen=True, slots=True)
class Power:
    """A base with its exponent."""

    base: "Node"
    exponent: "Node"


Node: TypeAlias = Number | Sum | Product | MixedNumber | Power


class Value(NamedTuple):
    """A value, and how far off it may be because a number in it looks rounded."""

    exact: Fraction
    slack: Fraction = Fraction(0)


def numbers(node: Node) -> Iterator[Number]:
    """The literals of an expression, in order."""
    match node:
        case Number():
            yield node
        case Sum(terms):
            for _, term in terms:
                yield from numbers(term)
        case Product(factors):
            for factor in factors:
                yield from numbers(factor.node)
        case MixedNumber(left, right) | Power(left, right):
            yield from numbers(left)
            yield from numbers(right)


def literal(node: Node) -> Number | None:
    """The number that an expression is, perhaps with a minus before it; None for any other."""
    match node:
        case Number() as number:
            return number
        case Sum((("-", Number() as number),)):
            return number
    return None


def has_of(node: Node) -> bool:
    """Whether `of` multiplies in an expression, outside of its fractions and powers."""
    match node:
        case Sum(terms):
            return any(has_of(term) for _, term in terms)
        case Product(factors):
            return any(factor.operator == "of" or has_of(factor.node) for factor in factors)
    return False


def divides(node: Node) -> bool:
    """Whether an expression has a division or a fraction in it."""
    match node:
        case Sum(terms):
            return any(divides(term) for _, term in terms)
        case Product(factors):
            return any(factor.operator == "/" or divides(factor.node) for factor in factors)
        case MixedNumber():
            return True
    return False


def value_of(node: Node, reading: Reading = Reading.STANDARD) -> Value:
    """Compute an expression. Raises UnreadableError."""
    match node:
        case Number():
            return _literal(node, reading)
        case Sum(terms):
            value = _sum(terms, reading)
        case Product(factors):
            value = _product(factors, reading)
        case MixedNumber(whole, fraction):
            value = _mixed(value_of(whole, reading), value_of(fraction, reading), reading)
        case Power(base, exponent):
            value = _power(value_of(base, reading), value_of(exponent, reading).exact)
    if _bits(value) > _MOST_BITS:
        raise UnreadableError
    return value


def last_place(node: Node, reading: Reading) -> Fraction | None:
    """What one more in the last digit adds to a literal, as it is or times a power of ten.

    None for any other expression.
    """
    match node:
        case Number():
            place = Fraction(1, 10 ** _parse(node.text, reading)[1])
            unit = reading is Reading.PERCENT_AS_UNIT or not node.percent
            return place if unit else place / 100
        case Sum((("-", Number() as number),)):
            return last_place(number, reading)
        case Product((Factor(_, Number() as number), Factor("*", Power(Number("10"), _) as power))):
            return Fraction(1, 10 ** _parse(number.text, reading)[1]) * value_of(power).exact
    return None


def plain(value: Fraction, *, percent: bool = False) -> str:
    """An integer, a decimal when it ends soon, else a fraction; a percentage is rounded then."""
    if percent:
        exact = plain(value * 100)
        return f"{plain(round(value * 100, 2)) if '/' in exact else exact}%"
    for decimals in range(_MOST_DECIMALS):
        shifted = value * 10**decimals
        if shifted.denominator == 1:
            digits = str(abs(shifted.numerator)).rjust(decimals + 1, "0")
            point = len(digits) - decimals
            return "-" * (value < 0) + f"{digits[:point]}.{digits[point:]}".rstrip(".")
    return str(value)


def _literal(number: Number, reading: Reading) -> Value:
    exact, decimals = _parse(number.text, reading)
    slack = Fraction(0)
    if _looks_rounded(number, exact, decimals):
        slack = Fraction(1, 10**decimals)
    if number.percent and reading is not Reading.PERCENT_AS_UNIT:
        return Value(exact / 100, slack / 100)
    return Value(exact, slack)


def _parse(text: str, reading: Reading) -> tuple[Fraction, int]:
    """The value of a literal, and its number of decimals. Raises UnreadableError."""
    if text.isdigit():
        return Fraction(int(text)), 0
    text = text.replace("{,}", ",")
    whole, _, part = text.rpartition(" ")
    if text[-1] in _GLYPHS:
        whole, part = text[:-1].strip(), _GLYPHS[text[-1]]
    elif text.startswith("\\"):
        part = "/".join(re.findall("[0-9]", text))
    if "/" in part:
        fraction = Fraction(part)
        if whole and fraction >= 1:
            raise UnreadableError
        return int(whole or 0) + fraction, 0
    if reading is Reading.COMMA_AS_POINT and re.fullmatch(r"[0-9]{1,3}[.,][0-9]{3}", text):
        text = text.translate({ord(","): ".", ord("."): ","})
    digits, _, decimals = re.sub(r"[^0-9.]", "", text).partition(".")
    return Fraction(int(digits + decimals), 10 ** len(decimals)), len(decimals)


def _looks_rounded(number: Number, exact: Fraction, decimals: int) -> bool:
    """Whether a literal may stand for a longer number: 0.33, 33%, 5.77, but not 0.25 or $5.77."""
    if number.percent:
        return _THIRDS.fullmatch(number.text.replace(".", "")) is not None
    if number.money:
        return _THIRDS.fullmatch(number.text.partition(".")[2]) is not None
    return decimals > 1 and exact.denominator not in _EXACT


def _sum(terms: tuple[tuple[str, Node], ...], reading: Reading) -> Value:
    if len(terms) == 1 and isinstance(terms[0][1], Power):
        raise UnreadableError  # -2^2: 4 to some, -4 to others
    exact, slack = Fraction(0), Fraction(0)
    for sign, term in terms:
        value = value_of(term, reading)
        exact = exact + value.exact if sign == "+" else exact - value.exact
        slack += value.slack
    return Value(exact, slack)


def _product(factors: tuple[Factor, ...], reading: Reading) -> Value:
    signs = "".join(operator or "?" for operator, _, _ in factors)
    if "/" in signs[: signs.rfind("?") + 1]:
        raise UnreadableError  # 1/2(3): 3/2 to some, 1/6 to others
    parts: list[tuple[str, bool, Value]] = []
    for operator, node, tight in factors:
        value = value_of(node, reading)
        before, glued, over = parts[-1] if parts else ("", False, value)
        grouped = tight and before == "/" and not glued and reading is not Reading.LEFT_TO_RIGHT
        if grouped or (reading is Reading.FRACTIONS_FIRST and (tight or before == operator == "/")):
            parts[-1] = before, glued, _quotient(over, value)
        else:
            parts.append((operator, tight, value))
    result = parts[0][2]
    for operator, _, value in parts[1:]:
        result = _quotient(result, value) if operator == "/" else _times(result, value)
    return result


def _mixed(whole: Value, fraction: Value, reading: Reading) -> Value:
    if reading is Reading.MIXED_AS_PRODUCT:
        return _times(whole, fraction)
    return Value(whole.exact + fraction.exact, whole.slack + fraction.slack)


def _times(left: Value, right: Value) -> Value:
    exact = left.exact * right.exact
    if not left.slack and not right.slack:
        return Value(exact)
    most = (abs(left.exact) + left.slack) * (abs(right.exact) + right.slack)
    return Value(exact, most - abs(exact))


def _quotient(over: Value, under: Value) -> Value:
    least = abs(under.exact) - under.slack
    if least <= 0:
        raise UnreadableError
    exact = over.exact / under.exact
    return Value(exact, (over.slack + abs(exact) * under.slack) / least)


def _power(base: Value, exponent: Fraction) -> Value:
    if exponent.denominator != 1 or abs(exponent) * _bits(base) > _MOST_BITS:
        raise UnreadableError
    times = abs(int(exponent))
    most = (abs(base.exact) + base.slack) ** times
    power = Value(base.exact**times, most - abs(base.exact) ** times)
    return power if exponent >= 0 else _quotient(Value(Fraction(1)), power)


def _bits(value: Value) -> int:
    return max(value.exact.numerator.bit_length(), value.exact.denominator.bit_length())
