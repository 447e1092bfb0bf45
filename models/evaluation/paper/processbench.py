"""ProcessBench's files (Zheng et al. 2024): solutions whose first wrong step people marked.

A list of objects, or one object a line: `id`, `generator`, `problem`, `steps`,
`final_answer_correct`, `label` (index of the first wrong step, -1 for none).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from models.evaluation.paper.locating import Located, judge
from models.evaluation.paper.phases import BATCH_SCORES
from models.evaluation.paper.ports import Scorer
from models.evaluation.paper.thresholds import Thresholds
from models.evaluation.steps import UNKNOWN, Labelled

_NO_ERROR = -1


class ProcessBenchError(ValueError):
    """A file is not in ProcessBench's format; the text says where and why."""


@dataclass(frozen=True, slots=True)
class MarkedSolution:
    """A solution with the place of its first wrong step, or None.

    Every step is one line: white space within it is made single spaces, as the scorers read
    a line as a step. `answer_right` is None when the file does not say.
    """

    id: str
    generator: str
    question: str
    steps: tuple[str, ...]
    error: int | None
    answer_right: bool | None

    @property
    def labels(self) -> tuple[int, ...]:
        """1 for a good step, 0 for the first wrong one, -1 (unknown) for those after it."""
        if self.error is None:
            return (1,) * len(self.steps)
        return (*(1,) * self.error, 0, *(UNKNOWN,) * (len(self.steps) - self.error - 1))


def read_processbench(path: Path) -> list[MarkedSolution]:
    """The solutions of a file. Raises OSError or ProcessBenchError."""
    text = path.read_text(encoding="utf-8")
    try:
        if text.lstrip().startswith("["):
            rows = list(enumerate(json.loads(text), start=1))
        else:
            lines = enumerate(text.split("\n"), start=1)
            rows = [(number, json.loads(line)) for number, line in lines if line.strip()]
    except ValueError as error:
        message = f"{path.name} is neither a JSON list nor JSON lines: {error}"
        raise ProcessBenchError(message) from error
    if not rows:
        message = f"{path.name} holds no solution"
        raise ProcessBenchError(message)
    return [_solution(row, f"{path.name}: solution {number}") for number, row in rows]


def judge_solutions(
    solutions: Sequence[MarkedSolution], scorers: Mapping[str, Scorer], thresholds: Thresholds
) -> tuple[Located, ...]:
    """Table A's figures of each scorer, by role ("sorm", "orm"), at its own threshold."""
    return tuple(
        _judge(role, solutions, _score(role, solutions, scorer), thresholds.of(role))
        for role, scorer in scorers.items()
    )


def _judge(
    role: str,
    solutions: Sequence[MarkedSolution],
    scores: Sequence[tuple[float, ...]],
    threshold: float,
) -> Located:
    pairs = list(zip(solutions, scores, strict=True))
    return judge(
        role,
        [Labelled(solution.labels, scored) for solution, scored in pairs],
        [
            (scored[-1], solution.answer_right)
            for solution, scored in pairs
            if solution.answer_right is not None
        ],
        threshold,
    )


def _score(
    role: str, solutions: Sequence[MarkedSolution], scorer: Scorer
) -> list[tuple[float, ...]]:
    scores: list[tuple[float, ...]] = []
    with tqdm(total=len(solutions), desc=role, unit="solution") as bar:
        for start in range(0, len(solutions), BATCH_SCORES):
            part = solutions[start : start + BATCH_SCORES]
            scores += scorer.score([(solution.question, solution.steps) for solution in part])
            bar.update(len(part))
    return scores


def _solution(row: Any, where: str) -> MarkedSolution:  # noqa: ANN401 - any JSON
    try:
        steps = tuple(" ".join(str(step).split()) for step in row["steps"])
        label, right = row["label"], row.get("final_answer_correct")
        solution = MarkedSolution(
            id=str(row["id"]),
            generator=str(row.get("generator", "")),
            question=str(row["problem"]),
            steps=steps,
            error=None if label == _NO_ERROR else label,
            answer_right=right,
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = f"{where} is not in ProcessBench's format: {error!r}"
        raise ProcessBenchError(message) from error
    if not isinstance(row["steps"], list) or not steps:
        message = f"{where} has no list of steps"
    elif type(label) is not int or not _NO_ERROR <= label < len(steps):
        message = f"{where} has {len(steps)} steps and the label {label!r}"
    elif right not in (True, False, None):
        message = f"{where} has the final_answer_correct {right!r}"
    else:
        return solution
    raise ProcessBenchError(message)
