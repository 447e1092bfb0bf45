"""The thresholds, each read from a curve over validation drafts, which is kept beside it.

first error: the SORM's (and, for comparison, the ORM's) highest ProcessBench F1. Gate: a draft
is accepted unrefined when its lowest SORM step score reaches the threshold; the one that
tells right from wrong drafts best (highest balanced accuracy) is taken.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from glore_models.data.files import read_jsonl, write_whole
from glore_models.data.labels import by_solution, make_consistent, raw_labels, sample_is_right
from glore_models.data.rollouts import PrefixRollouts, steps_of
from glore_models.data.run_folder import MATCHED, compared_file
from glore_models.evaluation.steps import Labelled, best_threshold, curve, figures, middle_of_best
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Counts, Run
from glore_models.training.scoring import score_steps


@dataclass(frozen=True, slots=True)
class GatePoint:
    """What a gate at `threshold` accepts of the right and of the wrong drafts."""

    threshold: float
    accepted_right: int
    right: int
    accepted_wrong: int
    wrong: int

    @property
    def balanced_accuracy(self) -> float:
        """The mean of right drafts accepted and wrong ones refined, 0..1; a missing class is 0."""
        accepted = self.accepted_right / self.right if self.right else 0.0
        refined = 1 - self.accepted_wrong / self.wrong if self.wrong else 0.0
        return (accepted + refined) / 2


def gate_curve(drafts: Sequence[tuple[float, bool]]) -> list[GatePoint]:
    """Gates at 0.02 .. 0.98 over (lowest step score, whether the draft is right)."""
    right = sum(good for _, good in drafts)
    return [
        GatePoint(
            threshold=index / 50,
            accepted_right=sum(good and score >= index / 50 for score, good in drafts),
            right=right,
            accepted_wrong=sum(not good and score >= index / 50 for score, good in drafts),
            wrong=len(drafts) - right,
        )
        for index in range(1, 50)
    ]


def best_gate(drafts: Sequence[tuple[float, bool]]) -> float:
    """The gate with the highest balanced accuracy; the middle of the best stretch."""
    return middle_of_best(gate_curve(drafts), lambda point: point.balanced_accuracy).threshold


class ThresholdStages:
    """The stage that chooses thresholds and compares the scorers at them."""

    def __init__(self, recipe: Recipe, run: Run, merged: Path) -> None:
        self.recipe = recipe
        self.run = run
        self.merged = merged

    def choose(self) -> Counts:
        """Thresholds from validation drafts; every scorer on test drafts at its own."""
        counts: Counts = {}
        chosen: dict[str, float] = {}
        for role in self.recipe.scorers:
            if role != MATCHED:
                counts[role] = self._compare(role)
                chosen[role] = counts[role]["threshold"]
        drafts = self._gated()
        gates = gate_curve(drafts)
        self._keep("gate_curve.json", [{**asdict(p), "b": p.balanced_accuracy} for p in gates])
        content = {
            "first_error": chosen["sorm"],
            "orm_first_error": chosen["orm"],
            "gate": best_gate(drafts),
        }
        self._keep("thresholds.json", content)
        return counts

    def matched(self) -> Counts:
        """The same for the ORM on the SORM's solutions, whose threshold is no part of a bundle."""
        counts = self._compare(MATCHED)
        file = compared_file(self.run.folder, MATCHED)
        self._keep(file.name, {"first_error": counts["threshold"]})
        return {MATCHED: counts}

    def _compare(self, role: str) -> Counts:
        """A scorer's threshold, from validation drafts, and its figures on test drafts there."""
        validation = self._labelled("validation", role)
        chosen = best_threshold(validation)
        points = [{**asdict(point), "f1": point.f1} for point in curve(validation)]
        self._keep(f"{role}_curve.json", points)
        counts: Counts = {"validation_f1": figures(validation, chosen).f1, "threshold": chosen}
        if self.run.path("test_rollouts.jsonl").exists():
            at = figures(self._labelled("test", role), chosen)
            counts |= {**asdict(at), "f1": at.f1}
        return counts

    def _gated(self) -> list[tuple[float, bool]]:
        groups, scores = self._scored("validation", "sorm")
        return [
            (min(scored), sample_is_right(group[0]))
            for group, scored in zip(groups, scores, strict=True)
        ]

    def _labelled(self, split: str, role: str) -> list[Labelled]:
        groups, scores = self._scored(split, role)
        return [
            Labelled(make_consistent(raw_labels(group)), scored)
            for group, scored in zip(groups, scores, strict=True)
        ]

    def _scored(
        self, split: str, role: str
    ) -> tuple[list[list[PrefixRollouts]], list[tuple[float, ...]]]:
        rollouts = list(read_jsonl(self.run.path(f"{split}_rollouts.jsonl"), PrefixRollouts))
        groups = by_solution(rollouts)
        solutions = [(group[0].question, steps_of(group[0].solution)) for group in groups]
        return groups, score_steps(self.merged, self.run.path(role), solutions)

    def _keep(self, name: str, content: object) -> None:
        write_whole(self.run.path(name), json.dumps(content, indent=1) + "\n")
