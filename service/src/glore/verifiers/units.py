"""Units of measure, as far as it takes to see that a conversion may explain a difference."""

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, NamedTuple


class Unit(NamedTuple):
    """A unit of measure and the family within which it converts."""

    family: str
    name: str


# Family: units with their spellings (plurals in -s and -es are understood), usual factors.
_FAMILIES: Final = {
    "time": (
        "second sec/minute min/hour hr/day/week wk/month/year yr/decade/century centuries",
        (60, 3600, 24, 1440, 7, 168, 12, 52, 4, 28, 29, 30, 31, 360, 365, 366, 10, 100),
    ),
    "length": (
        "inch/foot feet ft/yard yd/mile mi/mm millimeter/cm centimeter centimetre/meter metre/km",
        (12, 3, 36, 5280, 1760, 10, 100, 1000, 144, 9),
    ),
    "weight": (
        "ounce oz/pound lb/ton tonne/mg milligram/g gram/kg kilogram kilo",
        (16, 2000, 1000),
    ),
    "volume": (
        "teaspoon tsp/tablespoon tbsp/cup/pint/quart/gallon gal/ml milliliter/liter litre",
        (2, 3, 4, 8, 16, 48, 128, 10, 100, 1000),
    ),
    "money": ("dollar buck/cent ¢ penny pennies pence", (100,)),
    "coins": ("nickel/dime/quarter", (4, 5, 10, 20, 25)),
    "count": (
        "pair/couple/dozen/gross/hundred/thousand/million/billion/trillion",
        (2, 12, 100, 144, 1000, 10**6, 10**9),
    ),
}
_UNITS: Final = {
    word + plural: Unit(family, spellings.split()[0])
    for family, (units, _) in _FAMILIES.items()
    for spellings in units.split("/")
    for word in spellings.split()
    for plural in ("", "s", "es")
}


def units_in(words: Iterable[str]) -> set[Unit]:
    """The units of measure that `words` name; `miles/hour` names two."""
    parts = (part for word in words for part in re.split(r"[^\w¢]", word))
    return {_UNITS[part] for part in parts if part in _UNITS}


def are_mixed(units: set[Unit]) -> bool:
    """Whether two of them belong to one family: hours and minutes."""
    return len({unit.family for unit in units}) < len(units)


def may_convert(claimed: set[Unit], computed: set[Unit], ratio: Fraction) -> bool:
    """Whether a conversion may explain that two values differ by `ratio`.

    `claimed` are the units at the claimed value, `computed` those in what it is the value of.
    """
    families = {unit.family for unit in claimed | computed}
    factors = {factor for family in families for factor in _FAMILIES[family][1]}
    if ratio and (abs(ratio) in factors or 1 / abs(ratio) in factors):
        return True
    shared = {unit.family for unit in claimed} & {unit.family for unit in computed}
    return any(all(u.family != family for u in claimed & computed) for family in shared)
