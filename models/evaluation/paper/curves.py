"""The tables as one picture: accuracy against tokens, and where scorers see the first error."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.evaluation.paper.comparing import StrategyRow
from models.evaluation.paper.locating import ROLES
from models.evaluation.paper.sets import POOLS
from models.evaluation.paper.tables import Section, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = "osD^v<>PX"
_COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")  # C7 is grey
_NEAR = 0.02  # of the width: points nearer than that are set beside each other
_BESIDE = 0.013
_PERFECT = "perfect"  # selectors that no one has: grey


def draw_curves(tables: Tables, out: Path) -> None:
    """A PNG with a row of panels for each student.

    One panel for each pool of sets, and each set that is in none, with table D's strategies;
    the last has the offsets of the first error over all labelled wrong drafts. `tables` has
    at least one section. Raises ModuleNotFoundError without matplotlib.
    """
    # the training extra, and slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

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
                _draw_strategies(panel, rows[student][name])
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
    partial = out.with_suffix(".partial")
    figure.savefig(partial, format="png", dpi=90)
    partial.replace(out)


def panels(sections: Sequence[Section]) -> list[Section]:
    """One student's pools, and the sets that are in none of them."""
    pooled = {name for s in sections if s.name in POOLS for name in POOLS[s.name]}
    return [section for section in sections if section.name not in pooled]


def places(tokens: Sequence[float]) -> list[float]:
    """Where each strategy stands on the axis: its tokens, or beside others as many."""
    width = max(tokens, default=0.0) or 1.0
    order = sorted(range(len(tokens)), key=lambda i: tokens[i])
    groups: list[list[int]] = []
    for index in order:
        if groups and tokens[index] - tokens[groups[-1][0]] < _NEAR * width:
            groups[-1].append(index)
        else:
            groups.append([index])
    found = list(tokens)
    for group in groups:
        middle = sum(tokens[index] for index in group) / len(group)
        for turn, index in enumerate(sorted(group)):
            found[index] = middle + (turn - (len(group) - 1) / 2) * _BESIDE * width
    return found


def offset_counts(sections: Sequence[Section], role: str) -> Counter[int]:
    """How often a scorer named the first error so many steps after the true one."""
    counts: Counter[int] = Counter()
    for section in sections:
        if section.name not in POOLS:  # a pool's drafts are those of its sets
            for row in section.located:
                if row.role == role:
                    counts.update(dict(row.offsets.counts))
    return counts


def _draw_strategies(panel: "Axes", section: Section) -> None:
    rows = section.compared.rows
    for number, (row, place) in enumerate(
        zip(rows, places([row.tokens for row in rows]), strict=True)
    ):
        perfect = row.name.startswith(_PERFECT)
        panel.errorbar(
            [place],
            [100 * row.accuracy],
            yerr=_bars(row),
            fmt=_MARKS[number % len(_MARKS)],
            color="grey" if perfect else _COLOURS[number % len(_COLOURS)],
            markerfacecolor="white" if perfect or number >= len(_MARKS) else None,
            markersize=5,
            elinewidth=1,
            capsize=2,
            label=row.name,
        )
    panel.set(
        title=f"{section.student}, {section.name} (n = {section.questions})",
        xlabel="generated tokens per question (equal ones side by side)",
        ylabel="accuracy, %, with 95% interval",
    )
    panel.grid(visible=True, alpha=0.3)


def _bars(row: StrategyRow) -> list[list[float]]:
    """How far the interval goes below and above the accuracy, in percent."""
    below = row.accuracy - row.interval.low
    above = row.interval.high - row.accuracy
    return [[max(0.0, 100 * below)], [max(0.0, 100 * above)]]


def _draw_offsets(panel: "Axes", student: str, sections: Sequence[Section]) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - the training extra

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
