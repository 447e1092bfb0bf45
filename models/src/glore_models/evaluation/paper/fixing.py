"""Tables B and C: what refining does to drafts, before anything chooses among candidates.

The oracle's critique exists where drafts were labelled, so both tables have a part over all
drafts and one over labelled drafts, where every critique stands beside the oracle's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from glore_models.evaluation.paper.records import CRITIQUES, Critique, Record, Written
from glore_models.evaluation.stats import mcnemar_exact

ALL, LABELLED = "all drafts", "labelled drafts"
_LEARNED: tuple[Critique, ...] = ("sorm", "orm")
Refinement: TypeAlias = Callable[[Record], Written | None]


@dataclass(frozen=True, slots=True)
class Fixed:
    """Wrong drafts, and which refinement makes them right. The four counts add up to `drafts`.

    `refined` of them have a local refinement: the critique named an error.
    """

    over: str
    critique: str
    drafts: int
    refined: int
    only_global: int
    only_local: int
    both: int
    neither: int

    @property
    def by_global(self) -> int:
        """Drafts that the global refinement makes right."""
        return self.only_global + self.both

    @property
    def by_local(self) -> int:
        """Drafts that the local refinement makes right."""
        return self.only_local + self.both

    @property
    def by_either(self) -> int:
        """Drafts that at least one of the two makes right."""
        return self.drafts - self.neither


@dataclass(frozen=True, slots=True)
class Changed:
    """Every draft replaced by its refinement, with no verifier; where there is none it stays.

    `p` is McNemar's exact test of drafts against what replaced them.
    """

    over: str
    refinement: str
    drafts: int
    replaced: int
    right_before: int
    wrong_to_right: int
    right_to_wrong: int

    @property
    def right_after(self) -> int:
        """Right solutions after replacing."""
        return self.right_before + self.wrong_to_right - self.right_to_wrong

    @property
    def p(self) -> float:
        """The two-sided p-value that replacing changes nothing."""
        return mcnemar_exact(self.wrong_to_right, self.right_to_wrong)


def fix(records: Sequence[Record]) -> tuple[Fixed, ...]:
    """Table B: each critique on all wrong drafts, then each on the labelled wrong drafts."""
    wrong = [record for record in records if not record.draft.right]
    labelled = [record for record in wrong if record.labels]
    return (
        *(_fixed(ALL, critique, wrong) for critique in _LEARNED),
        *(_fixed(LABELLED, critique, labelled) for critique in CRITIQUES),
    )


def change(records: Sequence[Record]) -> tuple[Changed, ...]:
    """Table C: each refinement on all drafts, then each on the labelled drafts."""
    labelled = [record for record in records if record.labels]
    rows = []
    for over, chosen, critiques in ((ALL, records, _LEARNED), (LABELLED, labelled, CRITIQUES)):
        rows.append(_changed(over, "global", chosen, lambda record: record.global_refinement))
        rows += [_changed(over, f"local, {c}", chosen, _locally(c)) for c in critiques]
    return tuple(rows)


def _locally(critique: Critique) -> Refinement:
    return lambda record: record.local(critique)


def _fixed(over: str, critique: Critique, wrong: Sequence[Record]) -> Fixed:
    pairs = [
        (_is_right(record.global_refinement), _is_right(record.local(critique))) for record in wrong
    ]
    return Fixed(
        over=over,
        critique=critique,
        drafts=len(wrong),
        refined=sum(record.local(critique) is not None for record in wrong),
        only_global=pairs.count((True, False)),
        only_local=pairs.count((False, True)),
        both=pairs.count((True, True)),
        neither=pairs.count((False, False)),
    )


def _changed(over: str, name: str, records: Sequence[Record], refinement: Refinement) -> Changed:
    pairs = [(record.draft, refinement(record) or record.draft) for record in records]
    return Changed(
        over=over,
        refinement=name,
        drafts=len(pairs),
        replaced=sum(refinement(record) is not None for record in records),
        right_before=sum(draft.right for draft, _ in pairs),
        wrong_to_right=sum(after.right and not draft.right for draft, after in pairs),
        right_to_wrong=sum(draft.right and not after.right for draft, after in pairs),
    )


def _is_right(written: Written | None) -> bool:
    return written is not None and written.right
