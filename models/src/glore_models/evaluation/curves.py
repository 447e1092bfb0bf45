"""An evaluation of the service as one picture: accuracy against tokens, and latencies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from glore_models.evaluation.picture import colour, draw_strategies, save
from glore_models.evaluation.table import Row


def draw_curves(rows: Sequence[Row], seconds: Mapping[str, Sequence[float]], out: Path) -> None:
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
