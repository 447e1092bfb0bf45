"""What the phases of one student and set came to: rows, tokens, seconds, and the funnel.

Counted from the files themselves, so whatever program wrote them. Rows of questions that are
not among the records (of a larger set, collected before) are left out.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from glore.formats.steps import split_steps
from glore_models.evaluation.paper.machines import Machines, MadeOn
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.thresholds import COMPARED

PHASES = ("drafts", "samples", "sorm", "orm", "rollouts", "global", "local")
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PhaseCount:
    """One phase file: `rows`, of which `written` hold text; generated `tokens`.

    `seconds` are the engine's, of the `timed` rows: older rollouts have none.
    """

    phase: str
    rows: int
    written: int
    tokens: int
    timed: int
    seconds: float
    machines: Machines


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many are left after each step, for one student and set.

    `refined` are (asked, written) refinements, `scored` solutions that the SORM scored.
    """

    asked: int
    with_steps: int
    wrong: int
    labelled: int
    labelled_wrong: int
    prefixes: int
    refined_globally: tuple[int, int]
    refined_locally: tuple[int, int]
    scored: int


def read_rows(path: Path) -> Iterator[Row]:
    """The whole rows of a phase file; none without the file."""
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.endswith("\n"))


def seconds_of(row: Row) -> float | None:
    """The engine's seconds for a row; None when it does not say."""
    value = row.get("seconds")
    return sum(value) if isinstance(value, list) else value


def count_phases(folder: Path, problems: Collection[str]) -> dict[str, PhaseCount]:
    """Each phase by name, over the rows of these problems; of `COMPARED` those there are."""
    made_on = MadeOn(folder)
    compared = [name for name in COMPARED if (folder / f"{name}.jsonl").exists()]
    return {
        name: _count(
            name,
            [r for r in read_rows(folder / f"{name}.jsonl") if r["problem"] in problems],
            made_on.of(f"{name}.jsonl"),
        )
        for name in (*PHASES, *compared)
    }


def funnel(records: Sequence[Record], phases: Mapping[str, PhaseCount]) -> Funnel:
    """The funnel of one student and set."""
    labelled = [record for record in records if record.labels]
    return Funnel(
        asked=len(records),
        with_steps=sum(bool(split_steps(record.draft.text)) for record in records),
        wrong=sum(not record.draft.right for record in records),
        labelled=len(labelled),
        labelled_wrong=sum(not record.draft.right for record in labelled),
        prefixes=phases["rollouts"].rows,
        refined_globally=(phases["global"].rows, phases["global"].written),
        refined_locally=(phases["local"].rows, phases["local"].written),
        scored=phases["sorm"].rows,
    )


def _count(name: str, rows: Sequence[Row], machines: Machines) -> PhaseCount:
    seconds = [spent for row in rows if (spent := seconds_of(row)) is not None]
    return PhaseCount(
        phase=name,
        rows=len(rows),
        written=sum(any(text.strip() for text in _texts(row)) for row in rows),
        tokens=sum(_tokens(row) for row in rows),
        timed=len(seconds),
        seconds=sum(seconds),
        machines=machines,
    )


def _texts(row: Row) -> list[str]:
    found: list[str] = row.get("texts") or row.get("continuations") or [row.get("text", "")]
    return found


def _tokens(row: Row) -> int:
    value = row.get("tokens", 0)
    total: int = sum(value) if isinstance(value, list) else value
    return total
