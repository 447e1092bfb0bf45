"""The four tables of every set and student, and of the sets of one kind together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from glore_models.data.problems import text_key
from glore_models.evaluation.paper.comparing import Comparison, compare
from glore_models.evaluation.paper.fixing import Changed, Fixed, change, fix
from glore_models.evaluation.paper.locating import Difference, Located, difference, locate
from glore_models.evaluation.paper.machines import Machines, is_one, together
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.sets import ALL_SETS, POOLS
from glore_models.evaluation.paper.spread import groups_of, templates
from glore_models.evaluation.paper.thresholds import Thresholds

Key: TypeAlias = tuple[str, str]  # student, set


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
    located: tuple[Located, ...]  # table A
    differences: tuple[Difference, ...]  # of its first row to each of the others
    fixed: tuple[Fixed, ...]  # table B
    changed: tuple[Changed, ...]  # table C
    compared: Comparison  # table D

    @property
    def timed(self) -> bool:
        """Whether all seconds are of one known kind of machine, so that they compare."""
        return is_one(self.machines)


@dataclass(frozen=True, slots=True)
class Tables:
    """All of it, with what it was made from; `notes` are for whoever reads the tables."""

    thresholds: Thresholds
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


def make_tables(
    records: Mapping[Key, Sequence[Record]],
    thresholds: Thresholds,
    machines: Mapping[Key, Machines] = MappingProxyType({}),
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
                kinds = together(where[name] for name in members)
                sections.append(_section(student, pool, of, pooled, thresholds, kinds))
    return Tables(thresholds, tuple(sections), notes)


def _shared(records: Mapping[Key, Sequence[Record]], student: str, members: Sequence[str]) -> str:
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
    first, *others = locate(records, thresholds)
    groups = groups_of(records)
    return Section(
        student=student,
        name=name,
        of=of,
        questions=len(records),
        labelled=sum(bool(record.labels) for record in records),
        templates=templates(records),
        machines=machines,
        located=(first, *others),
        differences=tuple(difference(first, other, groups) for other in others),
        fixed=fix(records),
        changed=change(records),
        compared=compare(records, thresholds),
    )
