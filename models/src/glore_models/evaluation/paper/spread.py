"""Intervals over questions, and over the templates that the questions were made from. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from glore_models.evaluation.estimates import Estimate
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.stats import Interval

FEWEST_TEMPLATES = 20  # of fewer nobody can say how much templates differ


@dataclass(frozen=True, slots=True)
class Spread:
    """A value with its 95% interval, were other questions drawn of the same templates.

    `by_template` is that were other templates drawn too; None where there are too few, or none.
    """

    value: float
    interval: Interval
    by_template: Interval | None


def templates(records: Sequence[Record]) -> int:
    """How many templates of gsm_symbolic the questions were made from."""
    return len({record.template for record in records} - {None})


def groups_of(records: Sequence[Record]) -> tuple[str, ...] | None:
    """Each question's template; None if not all are known, or fewer than `FEWEST_TEMPLATES`."""
    named = tuple(record.template for record in records if record.template)
    enough = len(named) == len(records) and templates(records) >= FEWEST_TEMPLATES
    return named if enough else None


def spread(estimate: Estimate, groups: Sequence[str] | None) -> Spread:
    """An estimate as it is told; `groups` as in `groups_of`."""
    by_template = None if groups is None else estimate.interval(groups)
    return Spread(estimate.value, estimate.interval(), by_template)
