"""How well step scores tell right steps from wrong ones and find the first error.

The F1 is ProcessBench's (Zheng et al. 2024): the harmonic mean of the accuracy on wrong
solutions (the first error named exactly) and on right ones (no error named).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from glore.formats.steps import first_error

UNKNOWN = -1
Point = TypeVar("Point")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A solution with the truth about its steps and their scores.

    Labels are 1 good, 0 bad, -1 unknown (ProcessBench: all steps after the first bad one).
    """

    labels: tuple[int, ...]
    scores: tuple[float, ...]

    @property
    def error(self) -> int | None:
        """The index of the first bad step, or None."""
        return self.labels.index(0) if 0 in self.labels else None


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Counts at one threshold; every accuracy is a count over a count."""

    threshold: float
    steps: int
    steps_right: int
    wrong_solutions: int
    exact: int
    early: int
    late: int  # named after the first error, or not at all
    right_solutions: int
    clean: int  # right solutions where no error was named

    @property
    def f1(self) -> float:
        """ProcessBench F1, 0..1; 0 when either class is missing."""
        if not (self.wrong_solutions and self.right_solutions):
            return 0.0
        wrong = self.exact / self.wrong_solutions
        right = self.clean / self.right_solutions
        return 2 * wrong * right / (wrong + right) if wrong + right else 0.0


def figures(solutions: Sequence[Labelled], threshold: float) -> StepFigures:
    """What the scores say at `threshold` against what the labels say."""
    steps = right_steps = exact = early = late = clean = wrong = 0
    for solution in solutions:
        pairs = list(zip(solution.labels, solution.scores, strict=True))
        known = [(label, score) for label, score in pairs if label != UNKNOWN]
        steps += len(known)
        right_steps += sum((score >= threshold) == (label == 1) for label, score in known)
        named, error = first_error(solution.scores, threshold), solution.error
        if error is None:
            clean += named is None
            continue
        wrong += 1
        exact += named == error
        early += named is not None and named < error
        late += named is None or named > error
    return StepFigures(
        threshold=threshold,
        steps=steps,
        steps_right=right_steps,
        wrong_solutions=wrong,
        exact=exact,
        early=early,
        late=late,
        right_solutions=len(solutions) - wrong,
        clean=clean,
    )


def curve(solutions: Sequence[Labelled]) -> list[StepFigures]:
    """The figures at thresholds 0.02, 0.04 ... 0.98."""
    return [figures(solutions, index / 50) for index in range(1, 50)]


def middle_of_best(points: Sequence[Point], value: Callable[[Point], float]) -> Point:
    """The point of a curve with the highest value; where neighbours are equal, the middle one."""
    top = max(map(value, points))
    best = [point for point in points if value(point) == top]
    return best[len(best) // 2]


def best_threshold(solutions: Sequence[Labelled]) -> float:
    """The threshold with the highest F1 on these (validation) solutions."""
    return middle_of_best(curve(solutions), lambda point: point.f1).threshold
