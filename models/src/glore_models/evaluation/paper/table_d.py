"""Table D: every strategy over the same questions, with intervals and paired tests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.intervals import (
    FEWEST,
    Interval,
    ValueWithIntervals,
    mcnemar_exact,
    ratio,
    wilson,
    with_intervals,
)
from glore_models.evaluation.markdown import ends, grid, points, value_as_json
from glore_models.evaluation.paper.records import Record, groups_of
from glore_models.evaluation.paper.strategies import BEST_OF_3, GREEDY, STRATEGIES, StrategyAnswer
from glore_models.evaluation.provenance import Machines, describe_machines, is_single

TABLE_D_NOTE = (
    "Solutions: generated at most (on average); equal: at most the same number. Tokens are "
    "generated ones; seconds are the engines' (of the processor on a CPU, batches shared), "
    "generating and scoring. Selector regret: how many points more a perfect selector of the same "
    "candidates has. Intervals: Wilson, 95%; of differences as in table A."
)


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """One strategy over `n` questions.

    `most` solutions are generated for a question, `solutions` on average (fewer where there
    was nothing to refine); `tokens` generated and engine `seconds` are means per question.
    `regret` is how much more accurate a perfect selector of the same candidates is, 0..1; None
    where there is no such row.
    """

    name: str
    most: int
    solutions: float
    n: int
    right: int
    tokens: float
    seconds: float
    regret: float | None = None

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0..1."""
        return self.right / self.n if self.n else 0.0

    @property
    def interval(self) -> Interval:
        """Wilson's 95% interval of the accuracy."""
        return wilson(self.right, self.n)

    @property
    def right_per_1000_tokens(self) -> float | None:
        """Right answers for every 1,000 generated tokens; None when none were generated."""
        return 1000 * self.accuracy / self.tokens if self.tokens else None


@dataclass(frozen=True, slots=True)
class StrategyPair:
    """Two strategies on the same questions: how many only one of them got right.

    `equal` says whether both generate at most the same number of solutions; `p` is
    McNemar's exact two-sided test, not corrected for the number of tests. `difference` is that of
    their accuracies, -1..1; None where fewer than `FEWEST` questions tell them apart.
    """

    name: str
    against: str
    equal: bool
    only_this: int
    only_other: int
    p: float
    difference: ValueWithIntervals | None


@dataclass(frozen=True, slots=True)
class StrategyTable:
    """The rows; and each against the draft alone, best-of-3, and rows of as many solutions."""

    rows: tuple[StrategyRow, ...]
    paired: tuple[StrategyPair, ...]


def table_d(records: Sequence[Record], thresholds: Thresholds) -> StrategyTable:
    """Every strategy on the same records; without a gate there is no gated row."""
    compared = [s for s in STRATEGIES if thresholds.gate is not None or not s.gated]
    answered = {s.name: [s.answer(record, thresholds) for record in records] for s in compared}
    most = {s.name: s.solutions for s in compared}
    groups = groups_of(records)
    paired = [
        _pair(s.name, other, answered, groups, equal=most[s.name] == most[other])
        for s in compared
        for other in dict.fromkeys((GREEDY, BEST_OF_3, *s.equals))
        if other != s.name
    ]
    perfect = {s.name: answered[s.perfect] for s in compared if s.perfect}
    rows = [
        _row(name, most[name], outcomes, perfect.get(name)) for name, outcomes in answered.items()
    ]
    return StrategyTable(tuple(rows), tuple(paired))


def _row(
    name: str,
    most: int,
    outcomes: Sequence[StrategyAnswer],
    perfect: Sequence[StrategyAnswer] | None,
) -> StrategyRow:
    count = max(1, len(outcomes))
    right = sum(outcome.right for outcome in outcomes)
    return StrategyRow(
        name=name,
        most=most,
        solutions=sum(outcome.solutions for outcome in outcomes) / count,
        n=len(outcomes),
        right=right,
        tokens=sum(outcome.tokens for outcome in outcomes) / count,
        seconds=sum(outcome.seconds for outcome in outcomes) / count,
        regret=(None if perfect is None else (sum(each.right for each in perfect) - right) / count),
    )


def _pair(
    name: str,
    other: str,
    answered: dict[str, list[StrategyAnswer]],
    groups: Sequence[str] | None,
    *,
    equal: bool,
) -> StrategyPair:
    pairs = list(zip(answered[name], answered[other], strict=True))
    first = sum(this.right and not that.right for this, that in pairs)
    second = sum(that.right and not this.right for this, that in pairs)
    found = ratio([this.right - that.right for this, that in pairs], [1] * len(pairs))
    difference = with_intervals(found, groups) if found and first + second >= FEWEST else None
    return StrategyPair(name, other, equal, first, second, mcnemar_exact(first, second), difference)


def strategies_as_markdown(comparison: StrategyTable, machines: Machines) -> list[str]:
    """Table D: the rows, then the paired tests; no seconds when they do not compare."""
    timed = is_single(machines)
    header = (
        "strategy", "solutions", "right", "accuracy", "95% interval", "tokens", "seconds",
        "right per 1,000 tokens", "selector regret",
    )  # fmt: skip
    cells = [
        (
            row.name,
            f"{row.most} ({row.solutions:.2f})",
            f"{row.right}/{row.n}",
            f"{100 * row.accuracy:.1f}%",
            f"{100 * row.interval.low:.1f} - {100 * row.interval.high:.1f}%",
            f"{row.tokens:.0f}",
            f"{row.seconds:.2f}" if timed else "-",
            "-" if row.right_per_1000_tokens is None else f"{row.right_per_1000_tokens:.2f}",
            "-" if row.regret is None else f"{100 * row.regret:.1f}",
        )
        for row in comparison.rows
    ]
    pairs = [
        (
            pair.name,
            pair.against,
            "yes" if pair.equal else "no",
            f"{pair.only_this} : {pair.only_other}",
            f"{pair.p:.2g}",
            points(pair.difference),
            points(pair.difference, by_template=True),
        )
        for pair in comparison.paired
    ]
    names = (
        "strategy", "against", "equal solutions", "right alone", "McNemar p",
        "points, 95% over questions", "over templates",
    )  # fmt: skip
    tests = grid(names, pairs)
    return [*grid(header, cells), "", _machines_line(machines), "", *tests]


def _machines_line(machines: Machines) -> str:
    """Where the seconds of table D come from, or why there are none."""
    kinds = describe_machines(machines)
    if is_single(machines):
        return f"Seconds: {kinds}."
    if machines == (None,):
        return "Seconds are left out: on which machine they were measured was not recorded."
    if None in machines:
        return f"Seconds are left out: some are of a machine that was not recorded ({kinds})."
    return f"Seconds are left out: they are of more than one kind of machine ({kinds})."


def pair_as_json(pair: StrategyPair) -> dict[str, Any]:
    """A paired test."""
    return {**asdict(pair), "difference": pair.difference and value_as_json(pair.difference)}


def row_as_json(row: StrategyRow, *, timed: bool) -> dict[str, Any]:
    """A row; no seconds unless `timed`, that is when they compare."""
    return {
        **asdict(row),
        "seconds": row.seconds if timed else None,
        "accuracy": row.accuracy,
        "interval95": ends(row.interval),
        "right_per_1000_tokens": row.right_per_1000_tokens,
    }
