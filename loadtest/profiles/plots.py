"""The picture of a run: latencies, rates, and what gateways use, over time."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loadtest.profiles.measures import LoadRun
from loadtest.profiles.records import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final = {Outcome.ANSWERED: "#0072b2", Outcome.REFUSED: "#e69f00", Outcome.FAILED: "#d00"}
_MARKS: Final = {Outcome.ANSWERED: ".", Outcome.REFUSED: "^", Outcome.FAILED: "x"}
_BINS: Final = 60


def plot(run: LoadRun, title: str, file: Path) -> None:
    """Write a PNG."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    FigureCanvasAgg(figure)
    latencies, rates, use = figure.subplots(3, 1, sharex=True)
    figure.suptitle(title)
    _latencies(run, latencies)
    _rates(run, rates)
    _use(run, use)
    use.set_xlabel("seconds since the start")
    for axes in (latencies, rates, use):
        for name, (begin, _) in list(run.phases.items())[1:]:
            axes.axvline(begin, color="grey", linestyle=":", linewidth=1)
            axes.annotate(name, (begin, 1), xycoords=("data", "axes fraction"), va="top", size=7)
    figure.savefig(file, dpi=80)


def _latencies(run: LoadRun, axes: "Axes") -> None:
    for outcome in Outcome:
        found = [each for each in run.records if each.outcome is outcome]
        if found:
            axes.plot(
                [each.due for each in found],
                [each.ended - each.due for each in found],
                _MARKS[outcome],
                color=_COLOURS[outcome],
                markersize=4,
                label=outcome.value,
            )
    drafts = [each for each in run.records if each.draft is not None]
    axes.plot(
        [each.due for each in drafts],
        [(each.draft or 0.0) - each.due for each in drafts],
        ".",
        color="#009e73",
        markersize=2,
        label="draft",
    )
    axes.set_ylabel("seconds after due")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", fontsize=8)


def _rates(run: LoadRun, axes: "Axes") -> None:
    width = max((each.ended for each in run.records), default=1.0) / _BINS
    due = Counter(int(each.due / width) for each in run.records)
    _steps(axes, due, width, "black", "due")
    for outcome in Outcome:
        ended = (int(each.ended / width) for each in run.records if each.outcome is outcome)
        _steps(axes, Counter(ended), width, _COLOURS[outcome], outcome.value)
    axes.set_ylabel("requests a second")
    axes.legend(loc="upper left", fontsize=8)


def _steps(axes: "Axes", counts: Counter[int], width: float, colour: str, label: str) -> None:
    times = [index * width for index in range(_BINS + 1)]
    values = [counts[index] / width for index in range(_BINS + 1)]
    axes.step(times, values, where="post", color=colour, linewidth=1, label=label)


def _use(run: LoadRun, axes: "Axes") -> None:
    """Memory on the left axis, files and tasks on the right."""
    right = axes.twinx()
    for index, gateway in enumerate(sorted({each.gateway for each in run.samples})):
        found = [each for each in run.samples if each.gateway == gateway]
        times, style = [each.at for each in found], ("-", "--")[index % 2]
        axes.plot(times, [each.memory / 1e6 for each in found], style, color="#0072b2")
        right.plot(times, [each.files for each in found], style, color="#e69f00", linewidth=1)
        right.plot(times, [each.tasks for each in found], style, color="#009e73", linewidth=1)
    axes.set_ylabel("memory of a gateway, MB", color="#0072b2")
    right.set_ylabel("files (orange), tasks (green)")
    axes.set_ylim(bottom=0)
    right.set_ylim(bottom=0)
