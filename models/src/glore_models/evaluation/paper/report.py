"""All four tables of every set and student, and of the sets of one kind together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from glore_models.data.files import write_json, write_whole
from glore_models.data.problems import text_key
from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.paper.records import Record, groups_of, templates
from glore_models.evaluation.paper.sets import ALL_SETS, POOLS
from glore_models.evaluation.paper.table_a import (
    TABLE_A_NOTE,
    ScorerDifference,
    ScorerFigures,
    compare_scorers,
    difference_as_json,
    scorer_as_json,
    scorers_as_markdown,
    table_a,
)
from glore_models.evaluation.paper.table_bc import (
    TABLE_B_NOTE,
    TABLE_C_NOTE,
    FixedDrafts,
    ReplacedDrafts,
    fixed_as_json,
    fixed_as_markdown,
    replaced_as_json,
    replaced_as_markdown,
    table_b,
    table_c,
)
from glore_models.evaluation.paper.table_d import (
    TABLE_D_NOTE,
    StrategyTable,
    pair_as_json,
    row_as_json,
    strategies_as_markdown,
    table_d,
)
from glore_models.evaluation.provenance import Machines, is_single, merge_machines

StudentSet: TypeAlias = tuple[str, str]  # student, set


@dataclass(frozen=True, slots=True)
class Section:
    """What one student's records of one set, or of a pool of sets, show.

    `of` says what the questions are; `questions` of them, `labelled` with step labels, made from
    `templates` of gsm_symbolic (0: from none, or nobody wrote down which). `machines` are those
    whose seconds table D counts.
    """

    student: str
    name: str
    of: str
    questions: int
    labelled: int
    templates: int
    machines: Machines
    scorers: tuple[ScorerFigures, ...]  # table A
    differences: tuple[ScorerDifference, ...]  # of its first row to each of the others
    fixed: tuple[FixedDrafts, ...]  # table B
    replaced: tuple[ReplacedDrafts, ...]  # table C
    strategies: StrategyTable  # table D

    @property
    def timed(self) -> bool:
        """Whether all seconds are of one known kind of machine, so that they compare."""
        return is_single(self.machines)


@dataclass(frozen=True, slots=True)
class Tables:
    """All of it, with what it was made from; `notes` stand above the tables."""

    thresholds: Thresholds
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


def make_tables(
    records: Mapping[StudentSet, Sequence[Record]],
    thresholds: Thresholds,
    machines: Mapping[StudentSet, Machines] = MappingProxyType({}),
    notes: tuple[str, ...] = (),
) -> Tables:
    """A section for each (student, set), and for each pool of which every set is there.

    Records that are not among `machines` were made nobody knows where.
    """
    sections = []
    for student in dict.fromkeys(student for student, _ in records):
        names = [name for owner, name in records if owner == student]
        where = {name: machines.get((student, name), (None,)) for name in names}
        for name in names:
            chosen = records[student, name]
            of = f"{ALL_SETS[name].what}, seed {ALL_SETS[name].seed}"
            sections.append(_section(student, name, of, chosen, thresholds, where[name]))
        for pool, members in POOLS.items():
            if set(members) <= set(names):
                pooled = [record for name in members for record in records[student, name]]
                of = (
                    f"the sets {' and '.join(members)} together{_shared(records, student, members)}"
                )
                kinds = merge_machines(where[name] for name in members)
                sections.append(_section(student, pool, of, pooled, thresholds, kinds))
    return Tables(thresholds, tuple(sections), notes)


def _shared(
    records: Mapping[StudentSet, Sequence[Record]], student: str, members: Sequence[str]
) -> str:
    """What to say of questions that stand in more than one of the sets: they count in each."""
    keys = [{text_key(record.question) for record in records[student, name]} for name in members]
    shared = sum(map(len, keys)) - len(set().union(*keys))
    return f" ({shared} questions stand in both)" if shared else ""


def _section(
    student: str,
    name: str,
    of: str,
    records: Sequence[Record],
    thresholds: Thresholds,
    machines: Machines,
) -> Section:
    first, *others = table_a(records, thresholds)
    groups = groups_of(records)
    return Section(
        student=student,
        name=name,
        of=of,
        questions=len(records),
        labelled=sum(bool(record.labels) for record in records),
        templates=templates(records),
        machines=machines,
        scorers=(first, *others),
        differences=tuple(compare_scorers(first, other, groups) for other in others),
        fixed=table_b(records),
        replaced=table_c(records),
        strategies=table_d(records, thresholds),
    )


_TITLES = {
    "A": "A. Judging steps and answers, finding the first error",
    "B": "B. Wrong drafts made right",
    "C": "C. Every draft replaced, with no verifier",
    "D": "D. Strategies",
}

_NOTES = {"A": TABLE_A_NOTE, "B": TABLE_B_NOTE, "C": TABLE_C_NOTE, "D": TABLE_D_NOTE}


def as_markdown(tables: Tables, command: str) -> str:
    """All tables, one kind after the other, each saying what it was counted from."""
    parts = ["# The paper's tables", "", f"`{command}`", ""]
    for note in tables.notes:
        parts += [f"Note: {note}", ""]
    for letter, title in _TITLES.items():
        parts += [f"## {title}", "", _NOTES[letter], ""]
        for section in tables.sections:
            parts += [
                f"### {letter} · {section.student} · {section.name}",
                "",
                _source(section, tables.thresholds, command),
                "",
                *_table(letter, section),
                "",
            ]
    return "\n".join(parts).rstrip() + "\n"


def _table(letter: str, section: Section) -> list[str]:
    return {
        "A": lambda: scorers_as_markdown(section.scorers, section.differences),
        "B": lambda: fixed_as_markdown(section.fixed),
        "C": lambda: replaced_as_markdown(section.replaced),
        "D": lambda: strategies_as_markdown(section.strategies, section.machines),
    }[letter]()


def _source(section: Section, thresholds: Thresholds, command: str) -> str:
    gate = "none" if thresholds.gate is None else f"{thresholds.gate:.2f}"
    templates = f" from {section.templates} templates" if section.templates else ""
    return (
        f"n = {section.questions} questions{templates} ({section.labelled} labelled): "
        f"{section.of}. "
        f"Thresholds: first error {thresholds.first_error:.2f} (SORM), "
        f"{thresholds.orm_first_error:.2f} (ORM); gate {gate}. `{command}`"
    )


def as_json(tables: Tables, command: str) -> dict[str, Any]:
    """Everything as plain values; shares in 0..1, intervals as [low, high]."""
    return {
        "command": command,
        "thresholds": asdict(tables.thresholds),
        "notes": list(tables.notes),
        "sections": [_section_as_json(section) for section in tables.sections],
    }


def write_report(folder: Path, tables: Tables, command: str) -> str:
    """`tables.md` and `tables.json` in `folder`. Returns the Markdown. Raises OSError."""
    text = as_markdown(tables, command)
    whole = {**as_json(tables, command), "counted": datetime.now(UTC).isoformat(timespec="seconds")}
    write_whole(folder / "tables.md", text)
    write_json(folder / "tables.json", whole)
    return text


def _section_as_json(section: Section) -> dict[str, Any]:
    return {
        "student": section.student,
        "set": section.name,
        "of": section.of,
        "questions": section.questions,
        "labelled": section.labelled,
        "templates": section.templates,
        "machines": [kind and asdict(kind) for kind in section.machines],
        "A": [scorer_as_json(row) for row in section.scorers],
        "A_differences": [difference_as_json(row) for row in section.differences],
        "B": [fixed_as_json(row) for row in section.fixed],
        "C": [replaced_as_json(row) for row in section.replaced],
        "D": {
            "rows": [row_as_json(row, timed=section.timed) for row in section.strategies.rows],
            "mcnemar": [pair_as_json(pair) for pair in section.strategies.paired],
        },
    }
