"""Table D: every strategy over the same questions, with intervals and paired tests."""

from collections.abc import Sequence
from dataclasses import dataclass

from glore_models.evaluation.estimates import ratio
from glore_models.evaluation.paper.measures import FEWEST
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.spread import Spread, groups_of, spread
from glore_models.evaluation.paper.strategies import BEST_OF_3, GREEDY, STRATEGIES, Answered
from glore_models.evaluation.paper.thresholds import Thresholds
from glore_models.evaluation.stats import Interval, mcnemar_exact, wilson


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
class Paired:
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
    difference: Spread | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows; and each against the draft alone, best-of-3, and rows of as many solutions."""

    rows: tuple[StrategyRow, ...]
    paired: tuple[Paired, ...]


def compare(records: Sequence[Record], thresholds: Thresholds) -> Comparison:
    """Every strategy on the same records; without a gate there is no gated row."""
    asked = [s for s in STRATEGIES if thresholds.gate is not None or not s.gated]
    answered = {s.name: [s.answer(record, thresholds) for record in records] for s in asked}
    most = {s.name: s.solutions for s in asked}
    groups = groups_of(records)
    paired = [
        _pair(s.name, other, answered, groups, equal=most[s.name] == most[other])
        for s in asked
        for other in dict.fromkeys((GREEDY, BEST_OF_3, *s.equals))
        if other != s.name
    ]
    perfect = {s.name: answered[s.perfect] for s in asked if s.perfect}
    rows = [
        _row(name, most[name], outcomes, perfect.get(name)) for name, outcomes in answered.items()
    ]
    return Comparison(tuple(rows), tuple(paired))


def _row(
    name: str, most: int, outcomes: Sequence[Answered], perfect: Sequence[Answered] | None
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
    answered: dict[str, list[Answered]],
    groups: Sequence[str] | None,
    *,
    equal: bool,
) -> Paired:
    pairs = list(zip(answered[name], answered[other], strict=True))
    first = sum(this.right and not that.right for this, that in pairs)
    second = sum(that.right and not this.right for this, that in pairs)
    found = ratio([this.right - that.right for this, that in pairs], [1] * len(pairs))
    difference = spread(found, groups) if found and first + second >= FEWEST else None
    return Paired(name, other, equal, first, second, mcnemar_exact(first, second), difference)
