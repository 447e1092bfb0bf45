"""Tables B and C: what refining does to drafts, before anything chooses among candidates.

The oracle's critique exists where drafts were labelled, so both tables have a part over all
drafts and one over labelled drafts, where every critique stands beside the oracle's.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from glore_models.evaluation.intervals import mcnemar_exact
from glore_models.evaluation.markdown import grid, share, share_as_json
from glore_models.evaluation.paper.records import CRITIQUES, Critique, Record, Solution

TABLE_B_NOTE = (
    "Local refinement after the critique named. The oracle's critique is the first bad step by "
    "rollouts, so it exists for labelled drafts alone."
)
TABLE_C_NOTE = "A draft without a refinement stays. p: McNemar, exact."
ALL, LABELLED = "all drafts", "labelled drafts"
_LEARNED: tuple[Critique, ...] = ("sorm", "orm")
Refinement: TypeAlias = Callable[[Record], Solution | None]


@dataclass(frozen=True, slots=True)
class FixedDrafts:
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
class ReplacedDrafts:
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


def table_b(records: Sequence[Record]) -> tuple[FixedDrafts, ...]:
    """Table B: each critique on all wrong drafts, then each on the labelled wrong drafts."""
    wrong = [record for record in records if not record.draft.right]
    labelled = [record for record in wrong if record.labels]
    return (
        *(_count_fixed(ALL, critique, wrong) for critique in _LEARNED),
        *(_count_fixed(LABELLED, critique, labelled) for critique in CRITIQUES),
    )


def table_c(records: Sequence[Record]) -> tuple[ReplacedDrafts, ...]:
    """Table C: each refinement on all drafts, then each on the labelled drafts."""
    labelled = [record for record in records if record.labels]
    rows = []
    for over, chosen, critiques in ((ALL, records, _LEARNED), (LABELLED, labelled, CRITIQUES)):
        rows.append(
            _count_replaced(over, "global", chosen, lambda record: record.global_refinement)
        )
        rows += [_count_replaced(over, f"local, {c}", chosen, _locally(c)) for c in critiques]
    return tuple(rows)


def _locally(critique: Critique) -> Refinement:
    return lambda record: record.local(critique)


def _count_fixed(over: str, critique: Critique, wrong: Sequence[Record]) -> FixedDrafts:
    pairs = [
        (_is_right(record.global_refinement), _is_right(record.local(critique))) for record in wrong
    ]
    return FixedDrafts(
        over=over,
        critique=critique,
        drafts=len(wrong),
        refined=sum(record.local(critique) is not None for record in wrong),
        only_global=pairs.count((True, False)),
        only_local=pairs.count((False, True)),
        both=pairs.count((True, True)),
        neither=pairs.count((False, False)),
    )


def _count_replaced(
    over: str, name: str, records: Sequence[Record], refinement: Refinement
) -> ReplacedDrafts:
    pairs = [(record.draft, refinement(record) or record.draft) for record in records]
    return ReplacedDrafts(
        over=over,
        refinement=name,
        drafts=len(pairs),
        replaced=sum(refinement(record) is not None for record in records),
        right_before=sum(draft.right for draft, _ in pairs),
        wrong_to_right=sum(after.right and not draft.right for draft, after in pairs),
        right_to_wrong=sum(draft.right and not after.right for draft, after in pairs),
    )


def _is_right(written: Solution | None) -> bool:
    return written is not None and written.right


def fixed_as_markdown(rows: Sequence[FixedDrafts]) -> list[str]:
    """Table B."""
    header = (
        "over", "critique", "wrong drafts", "local refinements", "fixed by global",
        "fixed by local", "by either", "only global", "only local", "both", "neither",
    )  # fmt: skip
    cells = [
        (
            row.over,
            row.critique.upper() if row.critique != "oracle" else row.critique,
            str(row.drafts),
            str(row.refined),
            share(row.by_global, row.drafts),
            share(row.by_local, row.drafts),
            share(row.by_either, row.drafts),
            *(str(n) for n in (row.only_global, row.only_local, row.both, row.neither)),
        )
        for row in rows
    ]
    return grid(header, cells)


def replaced_as_markdown(rows: Sequence[ReplacedDrafts]) -> list[str]:
    """Table C."""
    header = (
        "over", "replaced by", "drafts", "replaced", "right before", "wrong to right",
        "right to wrong", "right after", "p",
    )  # fmt: skip
    cells = [
        (
            row.over,
            row.refinement,
            str(row.drafts),
            str(row.replaced),
            share(row.right_before, row.drafts),
            str(row.wrong_to_right),
            str(row.right_to_wrong),
            share(row.right_after, row.drafts),
            f"{row.p:.2g}",
        )
        for row in rows
    ]
    return grid(header, cells)


def fixed_as_json(row: FixedDrafts) -> dict[str, Any]:
    """A row of table B."""
    return {
        **asdict(row),
        "by_global": row.by_global,
        "by_local": row.by_local,
        "by_either": row.by_either,
        "by_global_interval95": share_as_json(row.by_global, row.drafts),
        "by_local_interval95": share_as_json(row.by_local, row.drafts),
        "by_either_interval95": share_as_json(row.by_either, row.drafts),
    }


def replaced_as_json(row: ReplacedDrafts) -> dict[str, Any]:
    """A row of table C."""
    return {**asdict(row), "right_after": row.right_after, "p": row.p}
