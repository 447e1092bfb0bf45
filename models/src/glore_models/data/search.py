"""The first bad step by binary search: fewer prefixes rolled out, at the price of some labels.

After OmegaPRM (Luo et al. 2024), on rollouts that are there already, so that what it would
save and what it would change can be counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from glore_models.data.labels import (
    BAD,
    GOOD,
    by_solution,
    make_consistent,
    raw_labels,
    sample_is_right,
)
from glore_models.data.rollouts import PrefixRollouts


@dataclass(frozen=True, slots=True)
class Searched:
    """What a binary search for the first bad step finds, and what it rolls out for that.

    `error` is the index of a step, or None; `rolled_out` prefixes of those `prefixes` there are.
    """

    error: int | None
    rolled_out: int
    prefixes: int


def search_first_error(group: Sequence[PrefixRollouts]) -> Searched:
    """The first bad step as a binary search would find it.

    It takes for granted that no good prefix follows a bad one, so it needs about log2 of the
    prefixes. A right sample is not searched: all its steps are good.
    """
    if sample_is_right(group[0]):
        return Searched(None, 0, len(group))
    low, high, rolled_out = 0, len(group), 0  # the error is in low..high; the last step is bad
    while low < high:
        middle = (low + high) // 2
        rolled_out += 1
        if any(group[middle].right):
            low = middle + 1
        else:
            high = middle
    return Searched(low, rolled_out, len(group))


def searched_labels(group: Sequence[PrefixRollouts]) -> tuple[int, ...]:
    """Labels by binary search: good before the first bad step, bad from it on."""
    error = search_first_error(group).error
    return tuple(GOOD if error is None or place < error else BAD for place in range(len(group) + 1))


def compare(rollouts: Sequence[PrefixRollouts]) -> dict[str, int]:
    """What binary search saves and changes against rolling out every prefix, in counts.

    Labels are compared with those made consistent: the search knows no others.
    """
    groups = by_solution(rollouts)
    pairs = [(searched_labels(group), make_consistent(raw_labels(group))) for group in groups]
    return {
        "prefixes": sum(len(group) for group in groups),
        "rolled_out": sum(search_first_error(group).rolled_out for group in groups),
        "labels": sum(len(labels) for labels, _ in pairs),
        "labels_changed": sum(
            a != b for found, full in pairs for a, b in zip(found, full, strict=True)
        ),
        "first_errors": sum(BAD in full for _, full in pairs),
        "first_errors_changed": sum(_first_bad(found) != _first_bad(full) for found, full in pairs),
    }


def _first_bad(labels: Sequence[int]) -> int | None:
    return labels.index(BAD) if BAD in labels else None
