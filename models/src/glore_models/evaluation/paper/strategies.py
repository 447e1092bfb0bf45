"""The rows of table D: how each strategy answers one question, and what that costs.

Costs are those of the stages a strategy runs: generated tokens, and the engines' seconds
for generating and scoring. A lone candidate is not ranked. GLoRe, section 5.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.paper.records import Record, Solution, TimedStepScores

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
    """The most common answer of the samples, of several the earliest; no answer has no vote."""
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
    """The highest ORM score of the last step wins, the earlier where two are equal."""
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


def _score(scores: TimedStepScores | None, of: Callable[[tuple[float, ...]], float]) -> float:
    return of(scores.steps) if scores and scores.steps else _WITHOUT_SCORE


def _seconds(scores: TimedStepScores | None) -> float:
    return scores.seconds if scores else 0.0


def _answered(picked: Solution, texts: Sequence[Solution], scoring: float = 0.0) -> StrategyAnswer:
    return StrategyAnswer(
        right=picked.right,
        solutions=len(texts),
        tokens=sum(written.tokens for written in texts),
        seconds=scoring + sum(written.seconds for written in texts),
    )
