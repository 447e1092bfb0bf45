"""Table A: how well a scorer judges steps and answers, and where it sees the first error.

ProcessBench (Zheng et al. 2024) for the F1; GLoRe, section 3, for step and final-answer
accuracy of ORM and SORM.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glore.formats.steps import first_error
from glore_models.evaluation.estimates import Estimate, auc, pairs_won
from glore_models.evaluation.paper.joining import ranked
from glore_models.evaluation.paper.measures import Assessed, Measure, differences, measures
from glore_models.evaluation.paper.records import Record, Scores, Written
from glore_models.evaluation.paper.spread import Spread, spread
from glore_models.evaluation.paper.thresholds import COMPARED, Thresholds
from glore_models.evaluation.steps import Labelled, StepFigures, figures

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
class Located:
    """What one scorer made of solutions with labels (steps) and with answers (final)."""

    role: str
    at: StepFigures
    offsets: Offsets
    final: FinalAnswers
    same_question: SameQuestion | None  # None without such pairs
    measures: Mapping[Measure, Estimate]


@dataclass(frozen=True, slots=True)
class Difference:
    """What the measures of one scorer are above those of another, on the same questions."""

    role: str
    than: str
    measures: Mapping[Measure, Spread]


def locate(records: Sequence[Record], thresholds: Thresholds) -> tuple[Located, ...]:
    """SORM and ORM: steps on labelled drafts, final answers on every draft with a step.

    So too those of `COMPARED` that have a threshold and have scored every draft.
    """
    compared = (
        role
        for role in COMPARED
        if role in thresholds.compared and all(role in record.compared for record in records)
    )
    return tuple(
        judge(role, [_assessed(record, role) for record in records], thresholds.of(role))
        for role in (*ROLES, *compared)
    )


def judge(role: str, assessed: Sequence[Assessed], threshold: float) -> Located:
    """One scorer's figures, of a solution for each question."""
    solutions = [labelled for each in assessed for labelled in each.labelled]
    return Located(
        role,
        figures(solutions, threshold),
        offsets(solutions, threshold),
        final([of for each in assessed for of in each.final], threshold),
        same_question(assessed),
        measures(assessed, threshold),
    )


def difference(this: Located, other: Located, groups: Sequence[str] | None) -> Difference:
    """How much higher `this` is, in everything that both measure."""
    found = differences(this.measures, other.measures)
    spreads = {measure: spread(estimate, groups) for measure, estimate in found.items()}
    return Difference(this.role, other.role, spreads)


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


def _of(role: str, written: Written) -> Scores | None:
    """None too for a role that scores drafts alone."""
    return {"sorm": written.sorm, "orm": written.orm}.get(role)
