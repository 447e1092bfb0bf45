"""The pictures of the cards; matplotlib is in the training extra, and slow to import."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glore_models.data.files import whole_file
from glore_models.evaluation.intervals import Interval
from glore_models.evaluation.paper.report import Section, Tables
from glore_models.evaluation.paper.sets import POOLS
from glore_models.evaluation.paper.table_a import ROLES
from glore_models.evaluation.processbench import ScorerResult
from glore_models.evaluation.report import EvaluationRow
from glore_models.evaluation.steps import StepFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = "curves.png"
_ABSENT = "The plot was left out: matplotlib is not installed (the extra `train` has it)."
_MARKS = "osD^v<>PX"
_COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")  # C7 is grey
_NEAR = 0.02  # of the width: points nearer than that are set beside each other
_BESIDE = 0.013
_PERFECT = "perfect"  # selectors that no one has: grey


class DrawnRow(Protocol):
    """A row of a table that can be drawn; accuracy in 0..1, tokens per question if known."""

    @property
    def name(self) -> str:
        """As the legend shows it."""
        ...

    @property
    def tokens(self) -> float | None:
        """The mean of generated tokens; None is not drawn."""
        ...

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        ...

    @property
    def interval(self) -> Interval:
        """Its 95% interval."""
        ...


def image_markdown(draw: Callable[[Path], None], out: Path, what: str) -> str:
    """The Markdown that shows what `draw` writes to `out`, or that says why there is nothing."""
    try:
        draw(out)
    except ModuleNotFoundError:
        out.unlink(missing_ok=True)  # of an earlier attempt, of other figures
        return _ABSENT
    return f"![{what}]({out.name})"


def save(figure: "Figure", out: Path) -> None:
    """Write a whole PNG, or leave what was there. Raises OSError."""
    with whole_file(out) as partial:
        figure.savefig(partial, format="png", dpi=90)


def colour(name: str, number: int) -> str:
    """The colour of the strategy that is the `number`th of its table."""
    return "grey" if name.startswith(_PERFECT) else _COLOURS[number % len(_COLOURS)]


def draw_strategies(panel: "Axes", rows: Sequence[DrawnRow], title: str) -> None:
    """Accuracy with its interval against tokens, a mark for each row."""
    known = [(number, row, row.tokens) for number, row in enumerate(rows) if row.tokens is not None]
    where = positions([tokens for _, _, tokens in known])
    for (number, row, _), x in zip(known, where, strict=True):
        perfect = row.name.startswith(_PERFECT)
        panel.errorbar(
            [x],
            [100 * row.accuracy],
            yerr=_bars(row),
            fmt=_MARKS[number % len(_MARKS)],
            color=colour(row.name, number),
            markerfacecolor="white" if perfect or number >= len(_MARKS) else None,
            markersize=5,
            elinewidth=1,
            capsize=2,
            label=row.name,
        )
    panel.set(
        title=title,
        xlabel="generated tokens per question (equal ones side by side)",
        ylabel="accuracy, %, with 95% interval",
    )
    panel.grid(visible=True, alpha=0.3)


def positions(tokens: Sequence[float]) -> list[float]:
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


def _bars(row: DrawnRow) -> list[list[float]]:
    """How far the interval goes below and above the accuracy, in percent."""
    below = row.accuracy - row.interval.low
    above = row.interval.high - row.accuracy
    return [[max(0.0, 100 * below)], [max(0.0, 100 * above)]]


def draw_evaluation(
    rows: Sequence[EvaluationRow], seconds: Mapping[str, Sequence[float]], out: Path
) -> None:
    """A PNG with two panels; `seconds` are those of each answered question, by the row's name.

    Rows of which nothing was answered are left out; a row without `seconds` has no line. Raises
    ModuleNotFoundError without matplotlib.
    """
    # the training extra, and slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_strategies(left, rows, f"Right answers (n = {max((row.n for row in rows), default=0)})")
    for number, row in enumerate(rows):
        if taken := seconds.get(row.name):
            right.ecdf(
                taken,
                color=colour(row.name, number),
                linestyle="dashed" if row.derived_from else "solid",
            )
    right.set(
        title="Latency (dashed: read from other responses)",
        xlabel="seconds from question to answer",
        ylabel="share of the answered questions",
        ylim=(0, 1.02),
    )
    right.set_xlim(left=0)
    right.grid(visible=True, alpha=0.3)
    figure.legend(
        *left.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        fontsize="small",
    )
    save(figure, out)


def draw_tables(tables: Tables, out: Path) -> None:
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
                draw_strategies(panel, section.strategies.rows, title)
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
            for row in section.scorers:
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


def draw_processbench(judged: Mapping[str, ScorerResult], out: Path) -> None:
    """A PNG with three panels, a line for each scorer, its threshold in use marked.

    `judged` is by role. Raises ModuleNotFoundError without matplotlib.
    """
    # the training extra, and slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    titles = ("ProcessBench F1", "Right solutions left alone", "First errors found exactly")
    panels = figure.subplots(1, len(titles), sharex=True, sharey=True)
    for number, (role, each) in enumerate(judged.items()):
        used = each.figures.at
        thresholds = [point.threshold for point in each.curve]
        lines = zip(*map(shares, each.curve), strict=True)
        for panel, line, here in zip(panels, lines, shares(used), strict=True):
            label = f"{role.upper()}, {used.threshold:.2f} in use"
            panel.plot(thresholds, line, color=f"C{number}", label=label)
            panel.plot([used.threshold], [here], "o", color=f"C{number}")
            panel.axvline(used.threshold, color=f"C{number}", linestyle="dotted", linewidth=1)
    for panel, title in zip(panels, titles, strict=True):
        panel.set(title=title, xlabel="threshold", xlim=(0, 1), ylim=(-0.02, 1.02))
        panel.grid(visible=True, alpha=0.3)
    panels[0].legend(fontsize="small")
    save(figure, out)


def shares(point: StepFigures) -> tuple[float, float, float]:
    """F1, right solutions left alone, first errors exact, each 0..1; 0 where there are none."""
    return (
        point.f1,
        point.clean / (point.right_solutions or 1),
        point.exact / (point.wrong_solutions or 1),
    )


def draw_run(
    losses: Mapping[str, Sequence[Sequence[float]]],
    thresholds: Mapping[str, Sequence[Mapping[str, Any]]],
    gate: Sequence[Mapping[str, Any]],
    out: Path,
) -> None:
    """A PNG with three panels.

    `losses`: by stage, (step, mean loss) pairs. `thresholds`: by scorer, points with
    `threshold` and `f1`. `gate`: points with `threshold`, `accepted_right`, `right`,
    `accepted_wrong`, `wrong`.
    """
    # the training extra, and slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for stage, pairs in losses.items():
        left.plot([step for step, _ in pairs], [loss for _, loss in pairs], label=stage)
    left.set(title="Training loss", xlabel="step", ylabel="mean loss of 20 steps", yscale="log")
    for scorer, curve in thresholds.items():
        middle.plot([p["threshold"] for p in curve], [p["f1"] for p in curve], label=scorer)
    middle.set(title="First error, validation drafts", xlabel="threshold", ylabel="ProcessBench F1")
    points = [point["threshold"] for point in gate]
    for kind in ("right", "wrong"):
        line = [_accepted_share(point, kind) for point in gate]
        right.plot(points, line, label=f"{kind} drafts accepted")
    right.set(title="Gate, validation drafts", xlabel="lowest SORM step score", ylabel="share")
    for panel in (left, middle, right):
        if panel.get_lines():
            panel.legend(fontsize="small")
        panel.grid(visible=True, alpha=0.3)
    save(figure, out)


def _accepted_share(point: Mapping[str, Any], kind: str) -> float:
    total = point[kind]
    return point[f"accepted_{kind}"] / total if total else 0.0
