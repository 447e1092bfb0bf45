"""How long collecting will still take, over all phases, sets and students.

What is left is counted in the engines' seconds: rows that are not there yet, times what a row
of that phase took, here or wherever the rows on disk were made. What a second of engines
takes on the wall is what it took since this process began; one second, as long as little
is known.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.evaluation.paper.counting import PHASES, read_rows, seconds_of
from models.evaluation.paper.thresholds import COMPARED
from models.recipes.progress import spoken


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of a student and a set.

    `rows` are expected for each question in the file of `phase`, beyond `after` that are made
    before it; for each labelled question when `labelled`.
    """

    name: str
    phase: str
    rows: float
    after: float = 0.0
    labelled: bool = False


# The numbers that are not whole are those of the kept run (models/kept/paper, set easy).
STEPS = (
    Step("drafts", "drafts", 1.0),
    Step("samples", "samples", 1.0),
    Step("sorm of drafts", "sorm", 1.0),
    Step("orm of drafts", "orm", 1.0),
    Step("rollouts", "rollouts", 0.9, labelled=True),
    Step("global", "global", 1.0),
    Step("local", "local", 0.5),
    Step("sorm of candidates", "sorm", 1.3, after=1.0),
    Step("orm of candidates", "orm", 1.3, after=1.0),
)
_PRIOR = 300.0  # so many seconds of engines, each a second of wall, are taken as seen


@dataclass(frozen=True, slots=True)
class Share:
    """One student's part of one set: `questions`, the first `labelled` of them with labels."""

    student: str
    set: str
    questions: int
    labelled: int


@dataclass(slots=True)
class Seen:
    """Rows on disk; `seconds` of the `timed` ones."""

    rows: int = 0
    timed: int = 0
    seconds: float = 0.0

    def add(self, other: "Seen") -> None:
        """Count another's rows too."""
        self.rows += other.rows
        self.timed += other.timed
        self.seconds += other.seconds


class TimeLeft:
    """Estimates from the folder of all phases, `<folder>/<student>/<set>/<phase>.jsonl`.

    `shares` stand in the order they are collected in; `clock` gives wall seconds; `compared`
    are those of `COMPARED` that score drafts too.
    """

    def __init__(
        self,
        folder: Path,
        shares: Sequence[Share],
        clock: Callable[[], float] = time.monotonic,
        compared: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        steps = (*STEPS, *(Step(f"{role} of drafts", role, 1.0) for role in compared))
        self.units = [(share, step) for share in shares for step in steps]
        self.clock = clock
        self._started = clock()
        self._before = sum(seen.seconds for seen in self._read().values())

    def line(self, student: str, set_: str, step: str) -> str:
        """What is said before the step of a student and set: it and all after it are left."""
        names = [(share.student, share.set, each.name) for share, each in self.units]
        seconds, unknown = self._left(self.units[names.index((student, set_, step)) :])
        without = f", without {', '.join(unknown)} (not known yet)" if unknown else ""
        left = "not known" if seconds is None else f"{spoken(seconds)}{without}"
        return f"{student}/{set_} {step}: time left {left}"

    def _left(self, units: Sequence[tuple[Share, Step]]) -> tuple[float | None, list[str]]:
        """Wall seconds, None when nothing is known of any phase; and the phases not known."""
        seen = self._read()
        added = sum(each.seconds for each in seen.values()) - self._before
        pace = (_PRIOR + self.clock() - self._started) / (_PRIOR + added)
        known: list[float] = []
        unknown: dict[str, None] = {}
        for share, step in units:
            rows = _rows_left(share, step, seen[share.student, share.set, step.phase].rows)
            rate = _rate(seen, share.set, step.phase)
            if rate is not None:
                known.append(rows * rate)
            elif rows:
                unknown[step.phase] = None
        return (pace * sum(known) if known else None), list(unknown)

    def _read(self) -> dict[tuple[str, str, str], Seen]:
        seen: dict[tuple[str, str, str], Seen] = defaultdict(Seen)
        for path in self.folder.glob("*/*/*.jsonl"):
            if path.stem in (*PHASES, *COMPARED):
                key = (path.parent.parent.name, path.parent.name, path.stem)
                seen[key] = _count(path)
        return seen


def _count(path: Path) -> Seen:
    seen = Seen()
    for row in read_rows(path):
        spent = seconds_of(row)
        seen.add(Seen(1, int(spent is not None), spent or 0.0))
    return seen


def _rows_left(share: Share, step: Step, there: int) -> float:
    questions = min(share.labelled, share.questions) if step.labelled else share.questions
    made = max(0.0, there - step.after * questions)
    return max(0.0, step.rows * questions - made)


def _rate(seen: dict[tuple[str, str, str], Seen], set_: str, phase: str) -> float | None:
    """Seconds for a row of a phase: of that set's rows, else of all; None without any."""

    def of(rows: Iterator[Seen]) -> float | None:
        total = Seen()
        for each in rows:
            total.add(each)
        return total.seconds / total.timed if total.timed else None

    of_set = of(each for (_, name, kind), each in seen.items() if (name, kind) == (set_, phase))
    if of_set is not None:
        return of_set
    return of(each for (_, _, kind), each in seen.items() if kind == phase)
