"""What table A measures of a scorer, with what every solution adds to the error of each measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from glore_models.evaluation.estimates import Estimate, auc, harmonic_mean, ratio
from glore_models.evaluation.steps import Labelled, figures

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
FEWEST = 10  # solutions of a kind; of fewer the normal approximation says nothing


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


def differences(
    this: Mapping[Measure, Estimate], other: Mapping[Measure, Estimate]
) -> dict[Measure, Estimate]:
    """How much `this` is above `other`, of the same questions, in what both measure."""
    return {name: this[name].minus(other[name]) for name in this if name in other}


def _ratio(parts: Sequence[float], wholes: Sequence[float]) -> Estimate | None:
    enough = sum(whole > 0 for whole in wholes) >= FEWEST
    return ratio(parts, wholes) if enough else None
