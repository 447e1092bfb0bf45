"""The card of the tables: configuration, seeds, how many were left at each step, time, tokens."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from glore_models.data.files import read_json, write_whole
from glore_models.evaluation.paper.counting import Funnel, PhaseCount, count_phases, funnel
from glore_models.evaluation.paper.curves import draw_curves
from glore_models.evaluation.paper.machines import spoken_machines, together
from glore_models.evaluation.paper.markdown import grid
from glore_models.evaluation.paper.ports import RunModels
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.sets import ALL_SETS
from glore_models.evaluation.paper.tables import Key, Tables
from glore_models.evaluation.picture import CURVES, shown


def write_card(
    models: RunModels, records: Mapping[Key, Sequence[Record]], tables: Tables, command: str
) -> None:
    """`CARD.md` and `curves.png` beside the tables of a run folder. Raises OSError."""
    phases = {
        key: count_phases(models.phases(*key), {record.problem for record in rows})
        for key, rows in records.items()
    }
    made_with = {key: read_json(models.phases(*key) / "made_with.json") for key in records}
    models.tables.mkdir(parents=True, exist_ok=True)
    plot = shown(
        lambda out: draw_curves(tables, out),
        models.tables / CURVES,
        "accuracy against tokens, and where first errors are seen",
    )
    text = card(records, phases, made_with, tables, command=command, plot=plot)
    write_whole(models.tables / "CARD.md", text)


def card(
    records: Mapping[Key, Sequence[Record]],
    phases: Mapping[Key, Mapping[str, PhaseCount]],
    made_with: Mapping[Key, Mapping[str, Any]],
    tables: Tables,
    *,
    command: str,
    plot: str,
) -> str:
    """The card in Markdown; `made_with` is what stands in the files of that name."""
    counts = [count for each in phases.values() for count in each.values()]
    tokens, seconds = sum(c.tokens for c in counts), sum(c.seconds for c in counts)
    where = spoken_machines(together(count.machines for count in counts)) or "not recorded"
    funnels = {key: funnel(rows, phases[key]) for key, rows in records.items()}
    settings = json.dumps(configuration(records, made_with, tables, command), indent=1)
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


def configuration(
    records: Mapping[Key, Sequence[Record]],
    made_with: Mapping[Key, Mapping[str, Any]],
    tables: Tables,
    command: str,
) -> dict[str, Any]:
    """Thresholds, sets with sizes and seeds, drawings and the hashes of the weights."""
    made: dict[str, dict[str, Any]] = {}
    for (student, set_), files in made_with.items():
        alike = {"weights": _weights(files), "drawings": _drawings(files)}
        made.setdefault(json.dumps(alike), {"of": [], **alike})["of"].append(f"{student}/{set_}")
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
        "made_with": list(made.values()),
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


def _funnels(funnels: Mapping[Key, Funnel]) -> list[str]:
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


def _phases(phases: Mapping[Key, Mapping[str, PhaseCount]]) -> list[str]:
    rows = [
        (
            f"{student}, {name}",
            count.phase,
            str(count.rows),
            f"{count.tokens:,}" if count.tokens else "-",
            _seconds(count),
            spoken_machines(count.machines) or "-",
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
