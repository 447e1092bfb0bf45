"""The four tables of every set and student, and of the sets of one kind together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.evaluation.paper.comparing import Comparison, compare
from models.evaluation.paper.fixing import Changed, Fixed, change, fix
from models.evaluation.paper.locating import Located, locate
from models.evaluation.paper.records import Record
from models.evaluation.paper.sets import ALL_SETS, POOLS
from models.evaluation.paper.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class Section:
    """What one student's records of one set, or of a pool of sets, show.

    `of` says what the questions are; `questions` of them, `labelled` with step labels.
    """

    student: str
    name: str
    of: str
    questions: int
    labelled: int
    located: tuple[Located, ...]  # table A
    fixed: tuple[Fixed, ...]  # table B
    changed: tuple[Changed, ...]  # table C
    compared: Comparison  # table D


@dataclass(frozen=True, slots=True)
class Tables:
    """All of it, with what it was made from."""

    thresholds: Thresholds
    sections: tuple[Section, ...]


def make_tables(
    records: Mapping[tuple[str, str], Sequence[Record]], thresholds: Thresholds
) -> Tables:
    """A section for each (student, set), and for each pool of which every set is there."""
    sections = []
    for student in dict.fromkeys(student for student, _ in records):
        names = [name for owner, name in records if owner == student]
        for name in names:
            chosen = records[student, name]
            of = f"{ALL_SETS[name].what}, seed {ALL_SETS[name].seed}"
            sections.append(_section(student, name, of, chosen, thresholds))
        for pool, members in POOLS.items():
            if set(members) <= set(names):
                together = [record for name in members for record in records[student, name]]
                of = f"the sets {' and '.join(members)} together"
                sections.append(_section(student, pool, of, together, thresholds))
    return Tables(thresholds, tuple(sections))


def _section(
    student: str, name: str, of: str, records: Sequence[Record], thresholds: Thresholds
) -> Section:
    return Section(
        student=student,
        name=name,
        of=of,
        questions=len(records),
        labelled=sum(bool(record.labels) for record in records),
        located=locate(records, thresholds),
        fixed=fix(records),
        changed=change(records),
        compared=compare(records, thresholds),
    )
