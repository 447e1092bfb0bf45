"""Table A: how well a scorer judges steps and answers, and where it sees the first error.

ProcessBench (Zheng et al. 2024) for the F1; GLoRe, section 3, for step and final-answer
accuracy of ORM and SORM.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from glore.formats.steps import first_error
from glore_models.data.run_folder import COMPARED, Thresholds
from glore_models.evaluation.intervals import (
    FEWEST,
    Estimate,
    Interval,
    ValueWithIntervals,
    auc,
    harmonic_mean,
    pairs_won,
    ratio,
    with_intervals,
)
from glore_models.evaluation.markdown import (
    ends,
    grid,
    points,
    share,
    share_as_json,
    share_with,
    value_as_json,
)
from glore_models.evaluation.paper.records import Record, Solution, TimedStepScores, ranked
from glore_models.evaluation.steps import Labelled, StepFigures, figures

Measure: TypeAlias = Literal["steps", "exact", "clean", "f1", "final", "auc", "within"]

TITLES: Final[Mapping[Measure, str]] = {
    "steps": "steps judged rightly",
    "exact": "first error exact",
    "clean": "right drafts left alone",
    "f1": "F1",
    "final": "final answers judged rightly",
    "auc": "AUC",
    "within": "AUC within questions",
}


@dataclass(frozen=True, slots=True)
class Assessed:
    """One question: the scores of its solution, and what is known of that.

    `labels` is empty where nobody labelled the steps, `scores` where there is no step; `right` is
    None where it is not known. `won` of `pairs` of a right and a wrong solution of the question,
    the right one scored higher.
    """

    scores: tuple[float, ...]
    labels: tuple[int, ...] = ()
    right: bool | None = None
    won: float = 0.0
    pairs: int = 0

    @property
    def labelled(self) -> tuple[Labelled, ...]:
        """The solution with its labels, if it has both scores and labels."""
        return (Labelled(self.labels, self.scores),) if self.labels and self.scores else ()

    @property
    def final(self) -> tuple[tuple[float, bool], ...]:
        """The score of the last step and whether the answer is right, if both are known."""
        known = self.right is not None and self.scores
        return ((self.scores[-1], bool(self.right)),) if known else ()


def measures(assessed: Sequence[Assessed], threshold: float) -> dict[Measure, Estimate]:
    """The measures that enough questions add to; each estimate is in their order.

    Shares and areas in 0..1. "exact", "clean" and "f1" are ProcessBench's at `threshold`, "steps"
    and "final" the shares judged rightly there, "auc" that of the last step's score over all
    questions, "within" that among the solutions of one question.
    """
    at = [figures(each.labelled, threshold) for each in assessed]
    finals = [each.final for each in assessed]
    ok = [sum((score >= threshold) == right for score, right in final) for final in finals]
    last = [final[0][0] if final else None for final in finals]
    right = [final[0][1] if final else None for final in finals]
    found: dict[Measure, Estimate | None] = {
        "steps": _ratio([f.steps_right for f in at], [f.steps for f in at]),
        "exact": _ratio([f.exact for f in at], [f.wrong_solutions for f in at]),
        "clean": _ratio([f.clean for f in at], [f.right_solutions for f in at]),
        "final": _ratio(ok, [len(final) for final in finals]),
        "auc": auc(last, right) if min(right.count(True), right.count(False)) >= FEWEST else None,
        "within": _ratio([each.won for each in assessed], [each.pairs for each in assessed]),
    }
    exact, clean = found["exact"], found["clean"]
    found["f1"] = harmonic_mean(exact, clean) if exact and clean else None
    return {measure: estimate for measure, estimate in found.items() if estimate}


def _minus(
    this: Mapping[Measure, Estimate], other: Mapping[Measure, Estimate]
) -> dict[Measure, Estimate]:
    """How much `this` is above `other`, of the same questions, in what both measure."""
    return {name: this[name].minus(other[name]) for name in this if name in other}


def _ratio(parts: Sequence[float], wholes: Sequence[float]) -> Estimate | None:
    enough = sum(whole > 0 for whole in wholes) >= FEWEST
    return ratio(parts, wholes) if enough else None


TABLE_A_NOTE = (
    "Steps and first errors on labelled drafts, final answers (the last step's score) on every "
    "draft. Offset: named minus true place, in steps. ORM_MATCHED, where there is one, has the "
    "ORM's labels on what the SORM learnt from. Intervals of steps, F1 and AUC, and of "
    "differences: over questions, and over templates where there are 20 or more."
)
ROLES = ("sorm", "orm")
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Offsets:
    """Named minus true place of the first error, over wrong solutions where one was named.

    `counts` is sorted (offset, solutions); `unnamed` wrong solutions had no error named.
    """

    counts: tuple[tuple[int, int], ...]
    unnamed: int

    @property
    def mean(self) -> float | None:
        """The mean offset in steps; None when no error was named."""
        named = sum(count for _, count in self.counts)
        return sum(offset * count for offset, count in self.counts) / named if named else None


@dataclass(frozen=True, slots=True)
class FinalAnswers:
    """Whether the score of the last step tells right solutions from wrong ones.

    `judged` were judged rightly at the scorer's threshold, `judged_at_half` at 0.5. `auc` is
    the chance that a right solution scores above a wrong one; None without both kinds.
    """

    solutions: int
    right: int
    judged: int
    judged_at_half: int
    auc: float | None


@dataclass(frozen=True, slots=True)
class SameQuestion:
    """Whether the score of the last step ranks different solutions of one question.

    That is what a verifier is for; `FinalAnswers.auc` is high too if it only knows which questions
    are hard. `auc` is the share of the `pairs`, a right and a wrong solution of a question each,
    in which the right one scores higher (ties are half); `questions` are those that have such.
    """

    questions: int
    pairs: int
    auc: float


@dataclass(frozen=True, slots=True)
class ScorerFigures:
    """What one scorer made of solutions with labels (steps) and with answers (final)."""

    role: str
    at: StepFigures
    offsets: Offsets
    final: FinalAnswers
    same_question: SameQuestion | None  # None without such pairs
    measures: Mapping[Measure, Estimate]


@dataclass(frozen=True, slots=True)
class ScorerDifference:
    """What the measures of one scorer are above those of another, on the same questions."""

    role: str
    than: str
    measures: Mapping[Measure, ValueWithIntervals]


def table_a(records: Sequence[Record], thresholds: Thresholds) -> tuple[ScorerFigures, ...]:
    """SORM and ORM: steps on labelled drafts, final answers on every draft with a step.

    So too those of `COMPARED` that have a threshold and have scored every draft.
    """
    compared = (
        role
        for role in COMPARED
        if role in thresholds.compared and all(role in record.compared for record in records)
    )
    return tuple(
        judge_scorer(role, [_assessed(record, role) for record in records], thresholds.of(role))
        for role in (*ROLES, *compared)
    )


def judge_scorer(role: str, assessed: Sequence[Assessed], threshold: float) -> ScorerFigures:
    """One scorer's figures, of a solution for each question."""
    solutions = [labelled for each in assessed for labelled in each.labelled]
    return ScorerFigures(
        role,
        figures(solutions, threshold),
        offsets(solutions, threshold),
        final([of for each in assessed for of in each.final], threshold),
        same_question(assessed),
        measures(assessed, threshold),
    )


def compare_scorers(
    this: ScorerFigures, other: ScorerFigures, groups: Sequence[str] | None
) -> ScorerDifference:
    """How much higher `this` is, in everything that both measure."""
    found = _minus(this.measures, other.measures)
    spreads = {measure: with_intervals(estimate, groups) for measure, estimate in found.items()}
    return ScorerDifference(this.role, other.role, spreads)


def offsets(solutions: Sequence[Labelled], threshold: float) -> Offsets:
    """How far off the named first errors of the wrong solutions are."""
    wrong = [(s.error, first_error(s.scores, threshold)) for s in solutions if s.error is not None]
    found = Counter(named - true for true, named in wrong if named is not None)
    return Offsets(tuple(sorted(found.items())), len(wrong) - found.total())


def final(finals: Sequence[tuple[float, bool]], threshold: float) -> FinalAnswers:
    """The last step's score as a verdict on the whole solution."""
    return FinalAnswers(
        solutions=len(finals),
        right=sum(right for _, right in finals),
        judged=sum((score >= threshold) == right for score, right in finals),
        judged_at_half=sum((score >= _HALF) == right for score, right in finals),
        auc=_auc(finals),
    )


def same_question(assessed: Sequence[Assessed]) -> SameQuestion | None:
    """What each question adds to it, together."""
    pairs = sum(each.pairs for each in assessed)
    won = sum(each.won for each in assessed)
    questions = sum(each.pairs > 0 for each in assessed)
    return SameQuestion(questions, pairs, won / pairs) if pairs else None


def _assessed(record: Record, role: str) -> Assessed:
    """A draft; its pairs are of different texts: draft, samples, ranked refinements."""
    finals = {
        written.text: (scores.steps[-1], written.right)
        for written in ranked(record)
        if (scores := _of(role, written)) and scores.steps
    }
    won, pairs = pairs_won(list(finals.values()))
    return Assessed(
        scores=_scores(record, role),
        labels=record.labels or (),
        right=record.draft.right,
        won=won,
        pairs=pairs,
    )


def _auc(finals: Sequence[tuple[float, bool]]) -> float | None:
    found = auc([score for score, _ in finals], [right for _, right in finals])
    return found.value if found else None


def _scores(record: Record, role: str) -> tuple[float, ...]:
    scores = _of(role, record.draft) if role in ROLES else record.compared[role]
    return scores.steps if scores else ()


def _of(role: str, written: Solution) -> TimedStepScores | None:
    """None too for a role that scores drafts alone."""
    return {"sorm": written.sorm, "orm": written.orm}.get(role)


def scorers_as_markdown(
    rows: Sequence[ScorerFigures], differences: Sequence[ScorerDifference] = ()
) -> list[str]:
    """Table A: the figures, then the distribution of offsets, then what differs."""
    figures = [
        (
            row.role.upper(),
            f"{row.at.threshold:.2f}",
            _steps(row),
            share(row.at.exact, row.at.wrong_solutions),
            str(row.at.early),
            str(row.at.late - row.offsets.unnamed),
            str(row.offsets.unnamed),
            "-" if row.offsets.mean is None else f"{row.offsets.mean:+.2f}",
            share(row.at.clean, row.at.right_solutions),
            _area(row.at.f1, row.measures.get("f1")),
            share(row.final.judged, row.final.solutions),
            share(row.final.judged_at_half, row.final.solutions),
            _area(row.final.auc, row.measures.get("auc")),
            _within(row.same_question, row.measures.get("within")),
        )
        for row in rows
    ]
    header = (
        "scorer", "threshold", "steps judged rightly", "first error exact", "early", "late",
        "none named", "mean offset", "right drafts left alone", "F1",
        "final answers judged rightly", "at 0.5", "AUC", "AUC within questions",
    )  # fmt: skip
    columns = sorted({offset for row in rows for offset, _ in row.offsets.counts})
    offsets = [
        (row.role.upper(), *(str(dict(row.offsets.counts).get(column, 0)) for column in columns))
        for row in rows
    ]
    distribution = grid(("offset", *(f"{column:+d}" for column in columns)), offsets)
    return [
        *grid(header, figures),
        *(["", *distribution] if columns else []),
        *(["", *differing(differences)] if any(each.measures for each in differences) else []),
    ]


def differing(rows: Sequence[ScorerDifference]) -> list[str]:
    """Table A's differences, in hundredths, over questions and over templates."""
    cells = []
    for row in rows:
        name = f"{row.role.upper()} minus {row.than.upper()}"
        of = row.measures
        cells.append((name, "questions", *(points(of.get(each)) for each in TITLES)))
        if any(each.by_template for each in of.values()):
            over = (points(of.get(each), by_template=True) for each in TITLES)
            cells.append((name, "templates", *over))
    return grid(("difference in hundredths", "95% over", *TITLES.values()), cells)


def _steps(row: ScorerFigures) -> str:
    """As `share`; but the steps of a solution are no strangers, so it is over questions."""
    estimate = row.measures.get("steps")
    interval = _within_0_and_1(estimate) if estimate else None
    return share_with(row.at.steps_right, row.at.steps, interval)


def _area(value: float | None, estimate: Estimate | None) -> str:
    if value is None or estimate is None:
        return "-" if value is None else f"{value:.3f}"
    interval = _within_0_and_1(estimate)
    return f"{value:.3f} ({interval.low:.3f}-{interval.high:.3f})"


def _within(found: SameQuestion | None, estimate: Estimate | None) -> str:
    if found is None:
        return "-"
    return f"{_area(found.auc, estimate)}, {found.pairs} pairs of {found.questions}"


def _within_0_and_1(estimate: Estimate) -> Interval:
    interval = estimate.interval()
    return Interval(max(0.0, interval.low), min(1.0, interval.high))


def scorer_as_json(row: ScorerFigures) -> dict[str, Any]:
    """A row of table A; `measures` are those that have an interval."""
    return {
        "role": row.role,
        "at": asdict(row.at),
        "offsets": asdict(row.offsets),
        "final": asdict(row.final),
        "same_question": row.same_question and asdict(row.same_question),
        "measures": {
            name: {"value": each.value, "interval95": ends(each.interval())}
            for name, each in row.measures.items()
        },
        "f1": row.at.f1,
        "late_named": row.at.late - row.offsets.unnamed,
        "mean_offset": row.offsets.mean,
        "exact_interval95": share_as_json(row.at.exact, row.at.wrong_solutions),
        "final_interval95": share_as_json(row.final.judged, row.final.solutions),
    }


def difference_as_json(row: ScorerDifference) -> dict[str, Any]:
    """What a scorer's measures are above another's."""
    return {
        "role": row.role,
        "than": row.than,
        "measures": {name: value_as_json(each) for name, each in row.measures.items()},
    }
