"""The dashboards as pictures for the docs: `python -m tests.dashboards.pictures`.

Grafana draws them elsewhere. Here the queries of the same panels are asked of the Prometheus of
the tests, after the same run, and drawn by matplotlib.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from dashboards.engines import VLLM_ROW
from dashboards.files import BOARDS
from dashboards.panels import BYTES, PER_SECOND, SECONDS, SHARE, Board, Panel
from tests.dashboards.queries import Asked, legend_of
from tests.dashboards.world import INTERVAL_S, Prometheus, driven

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
_WINDOW: Final = "20s"
_COLUMNS: Final = 24
_ROW_INCHES: Final = 2.3
_STAT_INCHES: Final = 1.3
_TITLE_INCHES: Final = 0.7
_MOST_NAMED: Final = 9  # in a legend

Line: TypeAlias = tuple[str, Sequence[float], Sequence[float]]  # name, seconds, values


async def draw(folder: Path) -> None:
    """One picture for each dashboard, of the run that begins now."""
    with tempfile.TemporaryDirectory() as scratch:
        async with driven(Path(scratch), repeats=3) as prometheus:
            start = prometheus.began
            span = time.time() - start
            drawn = {
                board: [
                    (panel, await _lines(prometheus, panel, start, span))
                    for panels in _laid_out(board)
                    for panel in panels
                ]
                for board in BOARDS
            }
    for board, panels in drawn.items():
        figure = _figure(board, dict(panels), span)
        figure.savefig(folder / f"dashboard-{board.uid.removeprefix('glore-')}.png", dpi=75)
        plt.close(figure)


async def _lines(prometheus: Prometheus, panel: Panel, start: float, span: float) -> list[Line]:
    found: list[Line] = []
    for query in panel.queries:
        expr = Asked("", query.expr).filled(_WINDOW)
        for series in await prometheus.range(expr, start, start + span, INTERVAL_S):
            points = [(float(at) - start, float(value)) for at, value in series["values"]]
            points = [(at, value) for at, value in points if value == value]  # noqa: PLR0124 - NaN
            if points:
                times, values = zip(*points, strict=True)
                found.append((legend_of(query.legend, series["metric"]), times, values))
    return sorted(found, key=lambda line: line[0])


def _figure(board: Board, lines: Mapping[Panel, Sequence[Line]], span: float) -> Any:
    rows = _laid_out(board)
    heights = [
        _STAT_INCHES if all(panel.kind == "stat" for panel in row) else _ROW_INCHES for row in rows
    ]
    inches = sum(heights) + _TITLE_INCHES
    figure = plt.figure(figsize=(14, inches))
    figure.suptitle(board.title, fontsize=13, fontweight="bold", y=1 - 0.25 / inches)
    grid = figure.add_gridspec(
        len(rows), 1, height_ratios=heights, hspace=0.4, left=0.045, right=0.99,
        top=1 - _TITLE_INCHES / inches, bottom=0.3 / inches,
    )  # fmt: skip
    for number, row in enumerate(rows):
        rest = _COLUMNS - sum(panel.width for panel in row)
        widths = [*(panel.width for panel in row), *([rest] if rest else [])]
        cells = grid[number].subgridspec(1, len(widths), width_ratios=widths, wspace=0.18)
        for place, panel in enumerate(row):
            axes = figure.add_subplot(cells[place])
            axes.set_title(panel.title, fontsize=9, loc="left")
            axes.set_xlim(0, span)
            _draw(axes, panel, lines[panel])
    return figure


def _laid_out(board: Board) -> list[list[Panel]]:
    """The panels in lines of 24 columns, as Grafana breaks them; without what vLLM says itself.

    That is a recording here.
    """
    rows: list[list[Panel]] = []
    for part in board.rows:
        if part.title == VLLM_ROW:
            continue
        rows.append([])
        for panel in part.panels:
            if sum(each.width for each in rows[-1]) + panel.width > _COLUMNS:
                rows.append([])
            rows[-1].append(panel)
    return rows


def _draw(axes: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    if panel.kind == "stat" or not lines:
        last = [f"{name}   {_text(values[-1], panel.unit)}" for name, _, values in lines]
        axes.text(0.02, 0.92, "\n".join(last) or "no data", va="top", fontsize=8)
        axes.set_axis_off()
        return
    for name, times, values in lines:
        axes.plot(times, values, linewidth=1.2, label=name)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _text(value, panel.unit)))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[:_MOST_NAMED], names[:_MOST_NAMED], fontsize=6, ncols=2, frameon=False)


def _text(value: float, unit: str) -> str:
    match unit:
        case _ if unit == SHARE:
            return f"{value:.0%}"
        case _ if unit == SECONDS:
            return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
        case _ if unit == BYTES:
            return f"{value / 2**20:.0f} MiB"
        case _ if unit == PER_SECOND:
            return f"{value:.3g}/s"
        case _:
            return f"{value:.3g}"


if __name__ == "__main__":
    mpl.use("Agg")
    asyncio.run(draw(FOLDER))
