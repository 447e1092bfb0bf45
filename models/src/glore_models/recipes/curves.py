"""The curves of a run as one picture: losses, first-error thresholds, the gate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glore_models.evaluation.picture import save


def draw_curves(
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
    for stage, points in losses.items():
        left.plot([step for step, _ in points], [loss for _, loss in points], label=stage)
    left.set(title="Training loss", xlabel="step", ylabel="mean loss of 20 steps", yscale="log")
    for scorer, curve in thresholds.items():
        middle.plot([p["threshold"] for p in curve], [p["f1"] for p in curve], label=scorer)
    middle.set(title="First error, validation drafts", xlabel="threshold", ylabel="ProcessBench F1")
    places = [point["threshold"] for point in gate]
    right.plot(places, [_share(p, "right") for p in gate], label="right drafts accepted")
    right.plot(places, [_share(p, "wrong") for p in gate], label="wrong drafts accepted")
    right.set(title="Gate, validation drafts", xlabel="lowest SORM step score", ylabel="share")
    for panel in (left, middle, right):
        if panel.get_lines():
            panel.legend(fontsize="small")
        panel.grid(visible=True, alpha=0.3)
    save(figure, out)


def _share(point: Mapping[str, Any], kind: str) -> float:
    total = point[kind]
    return point[f"accepted_{kind}"] / total if total else 0.0
