"""ProcessBench's files (Zheng et al. 2024): solutions whose first wrong step people marked.

A list of objects, or one object a line: `id`, `generator`, `problem`, `steps`,
`final_answer_correct`, `label` (index of the first wrong step, -1 for none).
"""

import codecs
import hashlib
import json
import reprlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glore.verifiers.ports import Finding, Verifier
from glore_models.data.files import FormatError, is_unicode, parse_json
from glore_models.data.resume import resume_map
from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.markdown import grid, share
from glore_models.evaluation.paper.phases import Clock, Scorer, scores_at_once
from glore_models.evaluation.paper.table_a import Assessed, ScorerFigures, judge_scorer
from glore_models.evaluation.steps import UNKNOWN, StepFigures, curve

_NO_ERROR = -1


class ProcessBenchError(ValueError):
    """A file is not in ProcessBench's format; the text says where and why."""


@dataclass(frozen=True, slots=True)
class MarkedSolution:
    """A solution with the index of its first wrong step, or None.

    Every step is one line: white space within it is made single spaces, as the scorers read
    a line as a step. `written` are the steps as they stand in the file. `answer_right` is None
    when the file does not say.
    """

    id: str
    generator: str
    question: str
    steps: tuple[str, ...]
    error: int | None
    answer_right: bool | None
    written: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """1 for a good step, 0 for the first wrong one, -1 (unknown) for those after it."""
        if self.error is None:
            return (1,) * len(self.steps)
        return (*(1,) * self.error, 0, *(UNKNOWN,) * (len(self.steps) - self.error - 1))

    @property
    def key(self) -> str:
        """A hash of what a scorer reads."""
        return hashlib.sha256(json.dumps([self.question, self.steps]).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class ScoredSolution:
    """The scores of the solution `key`, and its share of the scorer's seconds."""

    key: str
    scores: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """Table A's figures of one scorer, its seconds, and the figures at other thresholds."""

    figures: ScorerFigures
    seconds: float
    curve: tuple[StepFigures, ...]


def read_processbench(path: Path) -> list[MarkedSolution]:
    """The solutions of a file. Raises OSError or ProcessBenchError."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        if content.lstrip().startswith(b"["):
            rows = list(enumerate(parse_json(content, path.name), start=1))
        else:
            lines = enumerate(content.split(b"\n"), start=1)
            rows = [
                (number, parse_json(line, f"{path.name}:{number}"))
                for number, line in lines
                if line.strip()
            ]
    except FormatError as error:
        message = f"{error}; the file is neither a JSON list nor JSON lines"
        raise ProcessBenchError(message) from error
    if not rows:
        message = f"{path.name} holds no solution"
        raise ProcessBenchError(message)
    return [_solution(row, f"{path.name}: solution {number}") for number, row in rows]


def judge_solutions(
    solutions: Sequence[MarkedSolution],
    scorers: Mapping[str, Scorer],
    thresholds: Thresholds,
    stored: Mapping[str, Path],
    clock: Clock = time.process_time,
    load: Callable[[str], None] = lambda _role: None,
) -> dict[str, ScorerResult]:
    """What each scorer made of the solutions, by role ("sorm", "orm").

    Each at its own threshold. Scores are appended to the file `stored` for the role as they are
    made, so that what was killed goes on there; the file is of one scorer, of any solutions. `load`
    gets a role ready, so that loading is not timed.
    """
    found = {}
    for role, scorer in scorers.items():
        rows = _score(role, solutions, scorer, stored[role], clock, partial(load, role))
        scores = [rows[solution.key].scores for solution in solutions]
        seconds = sum(row.seconds for row in rows.values())
        found[role] = _judge(role, solutions, scores, thresholds.of(role), seconds)
    return found


def _judge(
    role: str,
    solutions: Sequence[MarkedSolution],
    scores: Sequence[tuple[float, ...]],
    threshold: float,
    seconds: float,
) -> ScorerResult:
    assessed = [
        Assessed(scored, solution.labels, solution.answer_right)
        for solution, scored in zip(solutions, scores, strict=True)
    ]
    labelled = [of for each in assessed for of in each.labelled]
    return ScorerResult(judge_scorer(role, assessed, threshold), seconds, tuple(curve(labelled)))


def _score(
    role: str,
    solutions: Sequence[MarkedSolution],
    scorer: Scorer,
    path: Path,
    clock: Clock,
    load: Callable[[], None],
) -> dict[str, ScoredSolution]:
    different = list({solution.key: solution for solution in solutions}.values())

    def work(part: Sequence[MarkedSolution]) -> list[ScoredSolution]:
        started = clock()
        scores = scorer.score([(solution.question, solution.steps) for solution in part])
        each = (clock() - started) / len(part)
        return [
            ScoredSolution(solution.key, scored, each)
            for solution, scored in zip(part, scores, strict=True)
        ]

    return resume_map(
        path,
        ScoredSolution,
        different,
        work,
        item_key=lambda solution: solution.key,
        row_key=lambda row: row.key,
        chunk=scores_at_once(scorer),
        title=role,
        whole=False,
        load=load,
    )


def _solution(row: Any, where: str) -> MarkedSolution:
    try:
        question, steps, label = row["problem"], row["steps"], row["label"]
        name, generator = str(row["id"]), str(row.get("generator", ""))
        right = row.get("final_answer_correct")
    except (KeyError, TypeError, AttributeError) as error:
        message = f"{where} is not in ProcessBench's format: {error!r}"
        raise ProcessBenchError(message) from error
    if not _is_text(question):
        message = f"{where} has the problem {_shown(question)}"
    elif not isinstance(steps, list) or not steps:
        message = f"{where} has no list of steps"
    elif strange := [step for step in steps if not _is_text(step)]:
        message = f"{where} has the step {_shown(strange[0])}"
    elif type(label) is not int or not _NO_ERROR <= label < len(steps):
        message = f"{where} has {len(steps)} steps and the label {_shown(label)}"
    elif not (right is None or isinstance(right, bool)):
        message = f"{where} has the final_answer_correct {_shown(right)}"
    else:
        return MarkedSolution(
            id=name,
            generator=generator,
            question=question,
            steps=tuple(" ".join(step.split()) for step in steps),
            error=None if label == _NO_ERROR else label,
            answer_right=right,
            written=tuple(steps),
        )
    raise ProcessBenchError(message)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and is_unicode(value)


def _shown(value: object) -> str:
    return reprlib.repr(value)


@dataclass(frozen=True, slots=True)
class Flagged:
    """One solution: the first step that is refuted, if any, and why.

    `error` is the index of the step that people marked, None for a right solution.
    """

    id: str
    error: int | None
    step: int | None
    reason: str


def flagged(solutions: Iterable[MarkedSolution], verifiers: Sequence[Verifier]) -> list[Flagged]:
    """Check every solution. A step of several lines is read line by line, as the gateway does."""
    found = []
    for solution in solutions:
        lines = [
            (index, line)
            for index, step in enumerate(solution.written)
            for line in step.splitlines()
        ]
        texts = [line for _, line in lines]
        findings = [each for v in verifiers for each in v.check(solution.question, texts)]
        first = min(findings, key=lambda each: (each.step, each.start), default=None)
        step = None if first is None else lines[first.step][0]
        found.append(Flagged(solution.id, solution.error, step, _reason(first)))
    return found


def flagged_as_markdown(rows: Sequence[Flagged]) -> list[str]:
    """How often right solutions are refuted and marked steps found, then the former one by one."""
    right = [row for row in rows if row.error is None]
    wrong = [(row, row.error) for row in rows if row.error is not None]
    false_alarms = [row for row in right if row.step is not None]
    steps = [(row.step, error) for row, error in wrong if row.step is not None]
    counts = [
        ("right solutions refuted", share(len(false_alarms), len(right))),
        ("wrong solutions refuted", share(len(steps), len(wrong))),
        ("at the marked step", share(sum(s == error for s, error in steps), len(wrong))),
        ("before it", share(sum(s < error for s, error in steps), len(wrong))),
        ("after it", share(sum(s > error for s, error in steps), len(wrong))),
    ]
    lines = grid(("verifiers", "solutions"), counts)
    if false_alarms:
        named = [(row.id, str(row.step), row.reason) for row in false_alarms]
        lines += ["", *grid(("right solution", "step", "what is refuted"), named)]
    return lines


def _reason(finding: Finding | None) -> str:
    if finding is None:
        return ""
    return f"{finding.verifier}: {finding.expression} = {finding.claimed}, not {finding.expected}"
