"""Limits of a profile, and whether the measures of a run are within them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

ALL: Final = "all"  # the name of all phases together
Measures: TypeAlias = Mapping[str, Mapping[str, float | None]]  # by phase and name
Bound: TypeAlias = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Limit:
    """`measure` of a phase must be at most, or at least, `value`. Times are in seconds.

    `slow` limits depend on how busy the machine is; short runs widen them.
    """

    measure: str
    value: float
    bound: Bound = "at most"
    phase: str = ALL
    slow: bool = False

    @property
    def name(self) -> str:
        """How it is named on the command line: `answer_p95`, or `recovery.answer_p95`."""
        return self.measure if self.phase == ALL else f"{self.phase}.{self.measure}"

    def widened(self, factor: float) -> "Limit":
        """A limit of times, so many times as wide; others as they are."""
        if not self.slow:
            return self
        wider = self.value * factor if self.bound == "at most" else self.value / factor
        return replace(self, value=wider)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A limit and its measure. A measure that is missing does not pass."""

    limit: Limit
    measured: float | None

    @property
    def passed(self) -> bool:
        """Whether the measure is within the limit."""
        if self.measured is None or math.isnan(self.measured):
            return False
        if self.limit.bound == "at most":
            return self.measured <= self.limit.value
        return self.measured >= self.limit.value


def verdicts(limits: Iterable[Limit], measures: Measures) -> list[Verdict]:
    """Each limit beside its measure."""
    return [Verdict(limit, measures.get(limit.phase, {}).get(limit.measure)) for limit in limits]


def changed(limits: Sequence[Limit], changes: Mapping[str, float]) -> list[Limit]:
    """The limits with other values by name. Raises ValueError for a name that no limit has."""
    unknown = changes.keys() - {limit.name for limit in limits}
    if unknown:
        known = ", ".join(limit.name for limit in limits)
        message = f"no limit is named {', '.join(sorted(unknown))}; the limits are {known}"
        raise ValueError(message)
    return [replace(limit, value=changes.get(limit.name, limit.value)) for limit in limits]
