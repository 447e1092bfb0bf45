"""The card of the tables: configuration, seeds, how many were left at each step, time, tokens."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from glore.formats.steps import split_steps
from glore_models.data.files import read_json, read_lines, write_whole
from glore_models.data.run_folder import COMPARED, RunModels
from glore_models.evaluation.markdown import grid
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.report import StudentSet, Tables
from glore_models.evaluation.paper.sets import ALL_SETS
from glore_models.evaluation.plots import CURVES, draw_tables, image_markdown
from glore_models.evaluation.provenance import (
    HardwareLog,
    Machines,
    describe_machines,
    merge_machines,
)

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
        yield from (row for _, row in read_lines(path))


def seconds_of(row: Row) -> float | None:
    """The engine's seconds for a row; None when it does not say."""
    value = row.get("seconds")
    return sum(value) if isinstance(value, list) else value


def count_phases(folder: Path, problems: Collection[str]) -> dict[str, PhaseCount]:
    """Each phase by name, over the rows of these problems; of `COMPARED` those there are."""
    made_on = HardwareLog(folder)
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
    seconds = [value for row in rows if (value := seconds_of(row)) is not None]
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


def write_card(
    models: RunModels, records: Mapping[StudentSet, Sequence[Record]], tables: Tables, command: str
) -> None:
    """`CARD.md` and `curves.png` beside the tables of a run folder. Raises OSError."""
    phases = {
        key: count_phases(models.phases(*key), {record.problem for record in rows})
        for key, rows in records.items()
    }
    made_with = {key: read_json(models.phases(*key) / "made_with.json") for key in records}
    models.tables.mkdir(parents=True, exist_ok=True)
    plot = image_markdown(
        lambda out: draw_tables(tables, out),
        models.tables / CURVES,
        "accuracy against tokens, and where first errors are seen",
    )
    text = card(records, phases, made_with, tables, command=command, plot=plot)
    write_whole(models.tables / "CARD.md", text)


def card(
    records: Mapping[StudentSet, Sequence[Record]],
    phases: Mapping[StudentSet, Mapping[str, PhaseCount]],
    made_with: Mapping[StudentSet, Mapping[str, Any]],
    tables: Tables,
    *,
    command: str,
    plot: str,
) -> str:
    """The card in Markdown; `made_with` is what stands in the files of that name."""
    counts = [count for each in phases.values() for count in each.values()]
    tokens, seconds = sum(c.tokens for c in counts), sum(c.seconds for c in counts)
    where = describe_machines(merge_machines(count.machines for count in counts)) or "not recorded"
    funnels = {key: funnel(rows, phases[key]) for key, rows in records.items()}
    settings = json.dumps(_settings(records, made_with, tables, command), indent=1)
    lines = [
        "# The card of the paper's tables",
        "",
        f"`{command}`",
        "",
        *(line for note in tables.notes for line in (f"Note: {note}", "")),
        f"{tokens:,} tokens generated; {seconds / 60:.0f} minutes of the engines, loading aside.",
        f"Machines: {where}. Questions follow from the seed of their set, drawn solutions from",
        "their prompts and settings alone: the seed of a call is a hash of them.",
        "",
        plot,
        "",
        "## How many are left",
        "",
        *_funnels(funnels),
        "",
        "Right drafts are labelled without rollouts. Refinements: asked, and those with any text;",
        "local ones for each different first error that a critique named, under every threshold",
        "there ever was. Scored: different solutions.",
        "",
        "## Tokens and seconds",
        "",
        *_phases(phases),
        "",
        "Seconds are the engines', as in table D; a dash: not recorded.",
        "",
        "## The whole configuration",
        "",
        "```json",
        settings,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _settings(
    records: Mapping[StudentSet, Sequence[Record]],
    made_with: Mapping[StudentSet, Mapping[str, Any]],
    tables: Tables,
    command: str,
) -> dict[str, Any]:
    """Thresholds, sets with sizes and seeds, drawings and the hashes of the weights."""
    settings_of: dict[str, dict[str, Any]] = {}
    for (student, set_), files in made_with.items():
        alike = {"weights": _weights(files), "drawings": _drawings(files)}
        settings_of.setdefault(json.dumps(alike), {"of": [], **alike})["of"].append(
            f"{student}/{set_}"
        )
    return {
        "command": command,
        "thresholds": asdict(tables.thresholds),
        "sets": {
            name: {"what": ALL_SETS[name].what, "seed": ALL_SETS[name].seed}
            for name in dict.fromkeys(name for _, name in records)
        },
        "questions": {
            f"{student}/{name}": {
                "asked": len(rows),
                "labelled": sum(bool(record.labels) for record in rows),
            }
            for (student, name), rows in records.items()
        },
        "made_with": list(settings_of.values()),
    }


def _weights(files: Mapping[str, Any]) -> dict[str, str]:
    return {
        role: weights
        for made_with in files.values()
        for role, weights in made_with.items()
        if role != "drawing"
    }


def _drawings(files: Mapping[str, Any]) -> dict[str, Any]:
    return {
        file.removesuffix(".jsonl"): made_with["drawing"]
        for file, made_with in files.items()
        if "drawing" in made_with
    }


def _funnels(funnels: Mapping[StudentSet, Funnel]) -> list[str]:
    header = (
        "student, set", "seed", "asked", "drafts with steps", "wrong", "labelled",
        "labelled, wrong", "prefixes rolled out", "refined globally", "refined locally", "scored",
    )  # fmt: skip
    rows = [
        (
            f"{student}, {name}",
            str(ALL_SETS[name].seed),
            str(each.asked),
            str(each.with_steps),
            str(each.wrong),
            str(each.labelled),
            str(each.labelled_wrong),
            str(each.prefixes),
            "{} asked, {} written".format(*each.refined_globally),
            "{} asked, {} written".format(*each.refined_locally),
            str(each.scored),
        )
        for (student, name), each in funnels.items()
    ]
    return grid(header, rows)


def _phases(phases: Mapping[StudentSet, Mapping[str, PhaseCount]]) -> list[str]:
    rows = [
        (
            f"{student}, {name}",
            count.phase,
            str(count.rows),
            f"{count.tokens:,}" if count.tokens else "-",
            _seconds(count),
            describe_machines(count.machines) or "-",
        )
        for (student, name), counts in phases.items()
        for count in counts.values()
    ]
    return grid(("student, set", "phase", "rows", "tokens", "seconds", "made on"), rows)


def _seconds(count: PhaseCount) -> str:
    if not count.timed:
        return "-"
    missing = count.rows - count.timed
    return f"{count.seconds:,.0f}" + (f" ({missing} rows without)" if missing else "")
