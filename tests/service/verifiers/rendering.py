r"""Random true equations in the notations that `arithmetic` reads, and the prose around them.

The oracle is here: values are computed while the text is drawn, by other code than the verifier's.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from random import Random

DECIMALS = 4
ROUNDINGS = ("up", "down", "half even", "half up")
UNITS = ("apples", "cm", "hours", "red marbles", "km/h", "dollars per hour", "cups of flour")
EVERY_KIND = ("integer", "integer", "decimal", "money", "percent", "mixed", "big", "unit")
CERTAIN_KINDS = ("integer", "integer", "decimal", "big")


@dataclass(frozen=True, slots=True)
class Piece:
    """A rendered expression. `rank`: 3 for a number, 2 for a product, 1 for a sum."""

    text: str
    value: Fraction
    rank: int


@dataclass(frozen=True, slots=True)
class Notation:
    """How operators, groups and fractions are written; `space` stands around an operator."""

    name: str
    times: tuple[str, ...]
    divide: tuple[str, ...]
    minus: str = "-"
    space: str = " "
    opening: str = "("
    closing: str = ")"
    latex: bool = False


NOTATIONS = (
    Notation("plain", ("x", "*"), ("/",)),
    Notation("tight", ("*", "x"), ("/",), space=""),
    Notation(
        "typeset",
        ("\N{MULTIPLICATION SIGN}", "\N{MIDDLE DOT}"),
        ("\N{DIVISION SIGN}", "/"),
        minus="\N{MINUS SIGN}",
    ),
    Notation("escaped", (r"\*",), ("/",)),
    Notation("latex", (r"\times", r"\cdot"), (r"\div",), latex=True),
    Notation(
        "latex brackets",
        (r"\cdot", r"\times"),
        (r"\div",),
        opening=r"\left(",
        closing=r"\right)",
        latex=True,
    ),
)


def decimal(value: Fraction, indices: int = DECIMALS) -> str | None:
    """The exact decimal with at most `places` places, or None."""
    for count in range(indices + 1):
        shifted = value * 10**count
        if shifted.denominator == 1:
            return pointed(int(shifted), count)
    return None


def pointed(shifted: int, indices: int) -> str:
    """The decimal `shifted` / 10 ** `places`."""
    sign, digits = "-" if shifted < 0 else "", str(abs(shifted)).rjust(indices + 1, "0")
    return sign + (f"{digits[:-indices]}.{digits[-indices:]}" if indices else digits)


def rounded(value: Fraction, indices: int, how: str) -> str:
    """The decimal with exactly `places` places, rounded up, down, half up or half even."""
    shifted = value * 10**indices
    whole = {
        "up": ceil(shifted),
        "down": floor(shifted),
        "half even": round(shifted),
        "half up": floor(shifted + Fraction(1, 2)),
    }[how]
    return pointed(whole, indices)


def grouped(digits: str, separator: str) -> str:
    """`digits` with separators between the thousands."""
    whole, point, part = digits.lstrip("-").partition(".")
    sign = "-" if digits.startswith("-") else ""
    return sign + f"{int(whole):,}".replace(",", separator) + point + part


class Writer:
    """Writes random expressions and what they are, in one notation."""

    def __init__(self, seed: int, kinds: tuple[str, ...]) -> None:
        self.random = Random(seed)
        self.kinds = kinds
        self.notation = self.random.choice(NOTATIONS)

    def expression(self, depth: int) -> Piece:
        """An expression with at least one operator."""
        notation, space = self.notation, self.notation.space
        left, right = self._operand(depth), self._operand(depth)
        kind = self.random.choice(["+", "-", "*", "*", "/", "fraction", "power", "implicit"])
        if kind == "fraction" and notation.latex and right.value:
            return Piece(self._fraction(left.text, right.text), left.value / right.value, 3)
        if kind == "power" and left.rank == 1 and abs(left.value) < 100:
            exponent = self.random.randint(0, 4)
            mark = self.random.choice([f"^{exponent}", f"^{{{exponent}}}"])
            return Piece(self._group(left) + mark, left.value**exponent, 2)
        if kind == "implicit" and right.rank < 3 and left.text.isdigit():
            return Piece(left.text + self._group(right), left.value * right.value, 2)
        over = left.text if left.rank == 3 else self._group(left)
        if kind == "/" and right.value:
            sign = self.random.choice(notation.divide)
            alone = right.rank == 3 and "/" not in right.text
            under = right.text if alone else self._group(right)
            return Piece(f"{over}{space}{sign}{space}{under}", left.value / right.value, 2)
        if kind in {"+", "-"}:
            sign, signed = (notation.minus, -1) if kind == "-" else ("+", 1)
            last = right.text if right.rank > 1 or kind == "+" else self._group(right)
            value = left.value + signed * right.value
            return Piece(f"{left.text}{space}{sign}{space}{last}", value, 1)
        sign = self.random.choice(notation.times)
        last = right.text if right.rank == 3 else self._group(right)
        return Piece(f"{over}{space}{sign}{space}{last}", left.value * right.value, 2)

    def result(self, value: Fraction) -> str:
        """A true statement of a value: exact, as a fraction or percentage, or rounded."""
        indices, how = self.random.randint(0, 3), self.random.choice(ROUNDINGS)
        options = [rounded(value, indices, how)]
        exact, percent = decimal(value), decimal(value * 100, 1)
        if exact is not None:
            options += [exact, exact, grouped(exact, self._comma), grouped(exact, self._comma)]
        if percent is not None:
            options.append(percent + self._percent)
        sign, over, under = "-" if value < 0 else "", abs(value.numerator), value.denominator
        if 1 < under < 1000:
            options.append(sign + self._fraction(str(over), str(under)))
        if 1 < under < 100 and under < over < 100 * under and not sign and self.notation.space:
            part = self._fraction(str(over % under), str(under))
            options.append(f"{over // under}{'' if self.notation.latex else ' '}{part}")
        return self.random.choice(options)

    def middle(self, value: Fraction) -> str | None:
        """Another expression of the same value, for a chain; None without short decimals."""
        part, space = Fraction(self.random.randint(0, 999)), self.notation.space
        rest = decimal(abs(value - part), 1)
        sign = self.notation.minus if value < part else "+"
        return None if rest is None else f"{part}{space}{sign}{space}{rest}"

    @property
    def _percent(self) -> str:
        return r"\%" if self.notation.latex else "%"

    @property
    def _comma(self) -> str:
        return "{,}" if self.notation.latex else ","

    def _operand(self, depth: int) -> Piece:
        if depth == 0 or self.random.random() < 0.5:
            return self._number()
        return self.expression(depth - 1)

    def _number(self) -> Piece:
        kind = self.random.choice(self.kinds)
        integer = self.random.randint
        if kind == "decimal":
            value = Fraction(integer(1, 999), 10)
            return Piece(rounded(value, 1, "down"), value, 3)
        if kind == "money":
            sign = r"\$" if self.notation.latex else self.random.choice(["$", "£", "€"])
            value = Fraction(integer(1, 99_999), 100)
            return Piece(sign + rounded(value, 2, "down"), value, 3)
        if kind == "percent":
            value = Fraction(integer(1, 19) * 5)
            return Piece(f"{value}{self._percent}", value / 100, 3)
        if kind == "mixed" and self.notation.space:
            whole, under = integer(1, 20), integer(2, 9)
            over = integer(1, under - 1)
            part = self._fraction(str(over), str(under))
            text = f"{whole}{'' if self.notation.latex else ' '}{part}"
            return Piece(text, whole + Fraction(over, under), 3)
        if kind == "big":
            value = Fraction(integer(1000, 9_999_999))
            return Piece(grouped(str(value), self._comma), value, 3)
        value = Fraction(integer(0, 999))
        return Piece(f"{value}{self._unit() if kind == 'unit' else ''}", value, 3)

    def _unit(self) -> str:
        words = self.random.choice(UNITS)
        return rf" \text{{ {words}}}" if self.notation.latex else f" {words}"

    def _fraction(self, over: str, under: str) -> str:
        return rf"\frac{{{over}}}{{{under}}}" if self.notation.latex else f"{over}/{under}"

    def _group(self, piece: Piece) -> str:
        return f"{self.notation.opening}{piece.text}{self.notation.closing}"
