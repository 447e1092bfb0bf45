"""What the pictures of the cards have in common; matplotlib is in the training extra."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from glore_models.evaluation.stats import Interval

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


class Strategy(Protocol):
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


def shown(draw: Callable[[Path], None], out: Path, what: str) -> str:
    """The Markdown that shows what `draw` writes to `out`, or that says why there is nothing."""
    try:
        draw(out)
    except ModuleNotFoundError:
        out.unlink(missing_ok=True)  # of an earlier attempt, of other figures
        return _ABSENT
    return f"![{what}]({out.name})"


def save(figure: "Figure", out: Path) -> None:
    """Write a whole PNG, or leave what was there. Raises OSError."""
    partial = out.with_suffix(".partial")
    figure.savefig(partial, format="png", dpi=90)
    partial.replace(out)


def colour(name: str, number: int) -> str:
    """The colour of the strategy that is the `number`th of its table."""
    return "grey" if name.startswith(_PERFECT) else _COLOURS[number % len(_COLOURS)]


def draw_strategies(panel: "Axes", rows: Sequence[Strategy], title: str) -> None:
    """Accuracy with its interval against tokens, a mark for each row."""
    known = [(number, row, row.tokens) for number, row in enumerate(rows) if row.tokens is not None]
    where = places([tokens for _, _, tokens in known])
    for (number, row, _), place in zip(known, where, strict=True):
        perfect = row.name.startswith(_PERFECT)
        panel.errorbar(
            [place],
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


def _bars(row: Strategy) -> list[list[float]]:
    """How far the interval goes below and above the accuracy, in percent."""
    below = row.accuracy - row.interval.low
    above = row.interval.high - row.accuracy
    return [[max(0.0, 100 * below)], [max(0.0, 100 * above)]]
