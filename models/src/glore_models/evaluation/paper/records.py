"""One row per question: everything that the tables are counted from.

Source of the columns: GLoRe, sections 4 and 5 (drafts, critiques, refinements, reranking).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from glore.formats.steps import first_error
from glore_models.data.problems import TEMPLATE

Critique: TypeAlias = Literal["sorm", "orm", "oracle"]
CRITIQUES: tuple[Critique, ...] = ("sorm", "orm", "oracle")


class RecordError(ValueError):
    """A file does not hold records; the text names the line."""


@dataclass(frozen=True, slots=True)
class TimedStepScores:
    """One score in 0..1 per step, and the scorer's seconds for this solution."""

    steps: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Solution:
    """One solution as a model wrote it.

    `tokens` were generated; `seconds` are its share of the engine's time: the wall time of
    its batch, spread over the batch by tokens. `answer` is a plain number or None. A
    solution that no table ranks has no scores.
    """

    text: str
    answer: str | None
    right: bool
    tokens: int
    seconds: float
    sorm: TimedStepScores | None = None
    orm: TimedStepScores | None = None


@dataclass(frozen=True, slots=True)
class LocalRefinement:
    """A local refinement: the draft's text before step `first_error`, and what follows it."""

    first_error: int
    written: Solution


@dataclass(frozen=True, slots=True)
class Record:
    """One question of one set, asked of one student (`draft`, `samples`) and the refiners.

    `samples` are drawn at a temperature, everything else is greedy. A refinement is None
    when nothing was to be refined (no step, no error found) or nothing was written.
    `labels` has 1 (good) or 0 (bad) per step of the draft, by rollouts of its prefixes;
    None when it was not labelled. `compared` has the scores of the draft by reward models that
    table A alone compares (`thresholds.COMPARED`), by role; `source` is that of the problem
    (`glore_models.data.problems`). Older records have neither.
    """

    set: str
    student: str
    problem: str
    question: str
    answer: str
    draft: Solution
    samples: tuple[Solution, ...]
    global_refinement: Solution | None
    local_sorm: LocalRefinement | None
    local_orm: LocalRefinement | None
    local_oracle: LocalRefinement | None
    labels: tuple[int, ...] | None
    compared: Mapping[str, TimedStepScores] = field(default_factory=dict)
    source: str = ""

    @property
    def template(self) -> str | None:
        """The template of gsm_symbolic that the question was made from, if it was."""
        return self.source if self.source.startswith(TEMPLATE) else None

    def local(self, critique: Critique) -> Solution | None:
        """The local refinement after one critique, if there is one."""
        refined = {
            "sorm": self.local_sorm,
            "orm": self.local_orm,
            "oracle": self.local_oracle,
        }[critique]
        return refined.written if refined else None


def true_error(labels: tuple[int, ...] | None) -> int | None:
    """The index of the first bad step; None when there is none, or no label."""
    return labels.index(0) if labels and 0 in labels else None


def named_error(scores: TimedStepScores | None, threshold: float) -> int | None:
    """The first step that a scorer names as wrong; None when it names none."""
    return first_error(scores.steps, threshold) if scores else None


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file, equal to those written. Raises OSError or RecordError."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield record_of(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                message = f"{path.name}:{number} is not a record: {error!r}"
                raise RecordError(message) from error


def record_of(row: Mapping[str, Any]) -> Record:
    """A record from its JSON form. Raises KeyError, TypeError or AttributeError."""
    labels = row["labels"]
    refinement = row["global_refinement"]
    return Record(
        set=row["set"],
        student=row["student"],
        problem=row["problem"],
        question=row["question"],
        answer=row["answer"],
        draft=_written(row["draft"]),
        samples=tuple(_written(sample) for sample in row["samples"]),
        global_refinement=None if refinement is None else _written(refinement),
        local_sorm=_refined(row["local_sorm"]),
        local_orm=_refined(row["local_orm"]),
        local_oracle=_refined(row["local_oracle"]),
        labels=None if labels is None else tuple(labels),
        compared={
            role: _present_scores(scored) for role, scored in row.get("compared", {}).items()
        },
        source=row.get("source", ""),
    )


def _written(row: Mapping[str, Any]) -> Solution:
    return Solution(
        text=row["text"],
        answer=row["answer"],
        right=row["right"],
        tokens=row["tokens"],
        seconds=row["seconds"],
        sorm=_scores(row["sorm"]),
        orm=_scores(row["orm"]),
    )


def _scores(row: Mapping[str, Any] | None) -> TimedStepScores | None:
    return None if row is None else _present_scores(row)


def _present_scores(row: Mapping[str, Any]) -> TimedStepScores:
    return TimedStepScores(tuple(row["steps"]), row["seconds"])


def _refined(row: Mapping[str, Any] | None) -> LocalRefinement | None:
    return None if row is None else LocalRefinement(row["first_error"], _written(row["written"]))


def ranked(record: Record) -> list[Solution]:
    """The draft first, then every other solution that a scorer ranks."""
    others = (record.global_refinement, record.local("sorm"))
    return [record.draft, *record.samples, *(written for written in others if written)]


FEWEST_TEMPLATES = 20  # of fewer nobody can say how much templates differ


def templates(records: Sequence[Record]) -> int:
    """How many templates of gsm_symbolic the questions were made from."""
    return len({record.template for record in records} - {None})


def groups_of(records: Sequence[Record]) -> tuple[str, ...] | None:
    """Each question's template; None if not all are known, or fewer than `FEWEST_TEMPLATES`."""
    named = tuple(record.template for record in records if record.template)
    enough = len(named) == len(records) and templates(records) >= FEWEST_TEMPLATES
    return named if enough else None
