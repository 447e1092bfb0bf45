"""A ProcessBench file as one picture: what each scorer would do at every threshold."""

from collections.abc import Mapping
from pathlib import Path

from glore_models.evaluation.paper.processbench import Judged
from glore_models.evaluation.picture import save
from glore_models.evaluation.steps import StepFigures


def draw_bench(judged: Mapping[str, Judged], out: Path) -> None:
    """A PNG with three panels, a line for each scorer, its threshold in use marked.

    `judged` is by role. Raises ModuleNotFoundError without matplotlib.
    """
    # the training extra, and slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    titles = ("ProcessBench F1", "Right solutions left alone", "First errors found exactly")
    panels = figure.subplots(1, len(titles), sharex=True, sharey=True)
    for number, (role, each) in enumerate(judged.items()):
        used = each.located.at
        places = [point.threshold for point in each.curve]
        lines = zip(*map(shares, each.curve), strict=True)
        for panel, line, here in zip(panels, lines, shares(used), strict=True):
            label = f"{role.upper()}, {used.threshold:.2f} in use"
            panel.plot(places, line, color=f"C{number}", label=label)
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
