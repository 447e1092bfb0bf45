"""The tables as one picture: accuracy against tokens, and where scorers see the first error."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glore_models.evaluation.paper.locating import ROLES
from glore_models.evaluation.paper.sets import POOLS
from glore_models.evaluation.paper.tables import Section, Tables
from glore_models.evaluation.picture import draw_strategies, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_curves(tables: Tables, out: Path) -> None:
    """A PNG with a row of panels for each student.

    One panel for each pool of sets, and each set that is in none, with table D's strategies;
    the last has the offsets of the first error over all labelled wrong drafts. `tables` has
    at least one section. Raises ModuleNotFoundError without matplotlib.
    """
    # the training extra, and slow to import
    from matplotlib.figure import Figure

    students = {
        student: [section for section in tables.sections if section.student == student]
        for student in dict.fromkeys(section.student for section in tables.sections)
    }
    rows = {
        student: {section.name: section for section in panels(sections)}
        for student, sections in students.items()
    }
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = len(names) + 1
    figure = Figure(figsize=(4.6 * columns, 4.2 * len(rows) + 1.4), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, (student, sections) in zip(grid, students.items(), strict=True):
        for panel, name in zip(axes[:-1], names, strict=True):
            if name in rows[student]:
                section = rows[student][name]
                title = f"{student}, {name} (n = {section.questions})"
                draw_strategies(panel, section.compared.rows, title)
            else:
                panel.set_axis_off()
        _draw_offsets(axes[-1], student, sections)
    shown = {
        label: handle
        for axes in grid
        for panel in axes[:-1]
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        shown.values(), shown.keys(), loc="outside lower center", ncols=4, fontsize="small"
    )
    save(figure, out)


def panels(sections: Sequence[Section]) -> list[Section]:
    """One student's pools, and the sets that are in none of them."""
    pooled = {name for s in sections if s.name in POOLS for name in POOLS[s.name]}
    return [section for section in sections if section.name not in pooled]


def offset_counts(sections: Sequence[Section], role: str) -> Counter[int]:
    """How often a scorer named the first error so many steps after the true one."""
    counts: Counter[int] = Counter()
    for section in sections:
        if section.name not in POOLS:  # a pool's drafts are those of its sets
            for row in section.located:
                if row.role == role:
                    counts.update(dict(row.offsets.counts))
    return counts


def _draw_offsets(panel: "Axes", student: str, sections: Sequence[Section]) -> None:
    from matplotlib.ticker import MaxNLocator

    shares: dict[str, dict[int, float]] = defaultdict(dict)
    for role in ROLES:
        counts = offset_counts(sections, role)
        total = counts.total()
        shares[f"{role.upper()}, {total} named"] = {
            offset: 100 * count / total for offset, count in counts.items()
        }
    for turn, (label, bars) in enumerate(shares.items()):
        beside = [offset + 0.4 * (turn - 0.5) for offset in bars]
        panel.bar(beside, list(bars.values()), width=0.38, label=label)
    panel.set(
        title=f"{student}, first error",
        xlabel="named minus true place, in steps",
        ylabel="% of wrong drafts with an error named",
    )
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(fontsize="small")
    panel.grid(visible=True, alpha=0.3)
