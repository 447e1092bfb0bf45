"""Table D: every strategy over the same questions: its answers, what they cost, paired tests.

Costs are those of the stages a strategy runs: generated tokens, and the engines' seconds
for generating and scoring. A lone candidate is not ranked. GLoRe, section 5.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

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
from glore_models.evaluation.paper.records import Record, Solution, StepScores, groups_of
from glore_models.evaluation.provenance import Machines, describe_machines, is_single

TABLE_D_NOTE = (
    "Solutions: generated at most (on average); equal: at most the same number. Tokens are "
    "generated ones; seconds are the engines' (of the processor on a CPU, batches shared), "
    "generating and scoring. Selector regret: how many points more a perfect selector of the same "
    "candidates has. Intervals: Wilson, 95%; of differences as in table A."
)
_WITHOUT_SCORE = -1.0  # below every score


@dataclass(frozen=True, slots=True)
class StrategyAnswer:
    """One question answered by one strategy; `solutions` were generated for it."""

    right: bool
    solutions: int
    tokens: int
    seconds: float


AnswerRule: TypeAlias = Callable[[Record, Thresholds], StrategyAnswer]


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A row: its name, how many solutions it generates at most, and how it answers.

    `equals` are the rows it is compared with at the same number of solutions, `perfect` the row
    of a perfect selector of the same candidates.
    """

    name: str
    solutions: int
    answer: AnswerRule
    equals: tuple[str, ...] = ()
    gated: bool = False  # needs the gate's threshold
    perfect: str | None = None


def of_samples(count: int) -> AnswerRule:
    """The first `count` samples; the ORM picks."""
    return lambda record, _: _orm_picks(record.samples[:count])


def of_draft_and_samples(count: int) -> AnswerRule:
    """The draft and the first `count` samples; the ORM picks."""
    return lambda record, _: _orm_picks([record.draft, *record.samples[:count]])


def greedy(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """The draft alone."""
    return _answered(record.draft, [record.draft])


def majority(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """The most common answer of the samples, the earliest of equals; no answer has no vote."""
    votes = Counter(sample.answer for sample in record.samples)
    votes[None] = 0
    picked = max(record.samples, key=lambda sample: votes[sample.answer])
    return _answered(picked, record.samples)


def draft_and_global(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """The draft and its global refinement; the ORM picks."""
    return _orm_picks(_there(record.draft, record.global_refinement))


def draft_and_local(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """The draft and its local refinement after the SORM's critique; the ORM picks."""
    return _orm_picks(_there(record.draft, record.local("sorm")), _seconds(record.draft.sorm))


def glore(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """Draft, global and local refinement; the ORM picks."""
    return _orm_picks(_candidates(record), _seconds(record.draft.sorm))


def gated(record: Record, thresholds: Thresholds) -> StrategyAnswer:
    """The draft when every step's SORM score is at least the gate, else GLoRe."""
    scores = record.draft.sorm
    if thresholds.gate is None or not scores or not scores.steps:
        return glore(record, thresholds)
    if min(scores.steps) >= thresholds.gate:
        return _answered(record.draft, [record.draft], scores.seconds)
    return glore(record, thresholds)


def sorm_final(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """GLoRe's candidates; the highest SORM score of the last step wins."""
    return _sorm_picks(_candidates(record), lambda steps: steps[-1])


def sorm_lowest(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """GLoRe's candidates; the highest of their lowest SORM step scores wins."""
    return _sorm_picks(_candidates(record), min)


def sorm_of_samples(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """The samples; the highest SORM score of the last step wins."""
    return _sorm_picks(record.samples, lambda steps: steps[-1])


def sorm_of_draft_and_samples(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """The draft and the first two samples; the highest SORM score of the last step wins."""
    return _sorm_picks([record.draft, *record.samples[:2]], lambda steps: steps[-1])


def perfect(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """GLoRe's candidates; a right one if there is any."""
    candidates = _candidates(record)
    picked = max(candidates, key=lambda written: written.right)
    return _answered(picked, candidates, _seconds(record.draft.sorm))


def perfect_of_samples(record: Record, _thresholds: Thresholds) -> StrategyAnswer:
    """The samples; a right one if there is any."""
    picked = max(record.samples, key=lambda written: written.right)
    return _answered(picked, record.samples)


GREEDY = "greedy draft"
BEST_OF_2, BEST_OF_3 = "ORM best of 2", "ORM best of 3"
DRAFT_1, DRAFT_2 = "ORM of draft, 1 sample", "ORM of draft, 2 samples"
SORM_DRAFT_2 = "SORM of draft, 2 samples (last step)"
GLORE = "GLoRe"
PERFECT, PERFECT_OF_3 = "perfect selector of GLoRe", "perfect selector of 3 samples"
_TWO, _THREE = (BEST_OF_2, DRAFT_1), (BEST_OF_3, DRAFT_2)
_PICKED_BY_SORM = (*_THREE, SORM_DRAFT_2, GLORE)

STRATEGIES: tuple[StrategySpec, ...] = (
    StrategySpec(GREEDY, 1, greedy),
    StrategySpec(BEST_OF_2, 2, of_samples(2)),
    StrategySpec(DRAFT_1, 2, of_draft_and_samples(1), (BEST_OF_2,)),
    StrategySpec("draft + global", 2, draft_and_global, _TWO),
    StrategySpec("draft + local", 2, draft_and_local, _TWO),
    StrategySpec("majority of 3", 3, majority, (BEST_OF_3,), perfect=PERFECT_OF_3),
    StrategySpec(BEST_OF_3, 3, of_samples(3), perfect=PERFECT_OF_3),
    StrategySpec(
        "SORM best of 3 (last step)", 3, sorm_of_samples, (BEST_OF_3,), perfect=PERFECT_OF_3
    ),
    StrategySpec(DRAFT_2, 3, of_draft_and_samples(2), (BEST_OF_3,)),
    StrategySpec(SORM_DRAFT_2, 3, sorm_of_draft_and_samples, (BEST_OF_3, DRAFT_2)),
    StrategySpec(GLORE, 3, glore, _THREE, perfect=PERFECT),
    StrategySpec("gated GLoRe", 3, gated, _THREE, gated=True),
    StrategySpec("GLoRe, SORM picks (last step)", 3, sorm_final, _PICKED_BY_SORM, perfect=PERFECT),
    StrategySpec(
        "GLoRe, SORM picks (lowest step)", 3, sorm_lowest, _PICKED_BY_SORM, perfect=PERFECT
    ),
    StrategySpec(PERFECT, 3, perfect),
    StrategySpec(PERFECT_OF_3, 3, perfect_of_samples),
)


def _candidates(record: Record) -> list[Solution]:
    return _there(record.draft, record.global_refinement, record.local("sorm"))


def _there(*candidates: Solution | None) -> list[Solution]:
    return [candidate for candidate in candidates if candidate is not None]


def _orm_picks(candidates: Sequence[Solution], before: float = 0.0) -> StrategyAnswer:
    """The highest ORM score of the last step wins, the earlier of equals."""
    if len(candidates) == 1:
        return _answered(candidates[0], candidates, before)
    picked = max(candidates, key=lambda written: _score(written.orm, lambda steps: steps[-1]))
    scoring = sum(_seconds(written.orm) for written in candidates)
    return _answered(picked, candidates, before + scoring)


def _sorm_picks(
    candidates: Sequence[Solution], of: Callable[[tuple[float, ...]], float]
) -> StrategyAnswer:
    picked = max(candidates, key=lambda written: _score(written.sorm, of))
    return _answered(picked, candidates, sum(_seconds(written.sorm) for written in candidates))


def _score(scores: StepScores | None, of: Callable[[tuple[float, ...]], float]) -> float:
    return of(scores.steps) if scores and scores.steps else _WITHOUT_SCORE


def _seconds(scores: StepScores | None) -> float:
    return scores.seconds if scores else 0.0


def _answered(picked: Solution, made: Sequence[Solution], scoring: float = 0.0) -> StrategyAnswer:
    return StrategyAnswer(
        right=picked.right,
        solutions=len(made),
        tokens=sum(written.tokens for written in made),
        seconds=scoring + sum(written.seconds for written in made),
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
    return [*grid(header, cells), "", _made_on(machines), "", *tests]


def _made_on(machines: Machines) -> str:
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
