"""Cells and tables of Markdown, and intervals as JSON has them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glore_models.evaluation.intervals import Interval, ValueWithIntervals, wilson


def points(found: ValueWithIntervals | None, *, by_template: bool = False) -> str:
    """`+1.2 (-0.3 to +2.7)`, in hundredths: a difference and its 95% interval, or a dash."""
    interval = found and (found.by_template if by_template else found.interval)
    if not (found and interval):
        return "-"
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * found.value:+.1f} ({low:+.1f} to {high:+.1f})"


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; the first column on the left, the others on the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def share(part: int, whole: int) -> str:
    """`3/4 75% (30-95)`: count, share and Wilson's 95% interval; a dash for none."""
    return share_with(part, whole, wilson(part, whole))


def share_with(part: int, whole: int, interval: Interval | None) -> str:
    """As `share`, with this interval, or with none."""
    if not whole:
        return "-"
    text = f"{part}/{whole} {100 * part / whole:.0f}%"
    return f"{text} ({100 * interval.low:.0f}-{100 * interval.high:.0f})" if interval else text


def value_as_json(found: ValueWithIntervals) -> dict[str, Any]:
    """Intervals as [low, high]."""
    return {
        "value": found.value,
        "interval95": ends(found.interval),
        "interval95_by_template": found.by_template and ends(found.by_template),
    }


def share_as_json(part: int, whole: int) -> list[float]:
    """Wilson's 95% interval of a share."""
    return ends(wilson(part, whole))


def ends(interval: Interval) -> list[float]:
    """[low, high]."""
    return [interval.low, interval.high]


def configuration(settings: Mapping[str, Any]) -> list[str]:
    """The last lines of a card: all that a run was made with."""
    return ["The whole configuration:", "", "```json", json.dumps(settings, indent=1), "```"]
