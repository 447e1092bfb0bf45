"""The card of a ProcessBench file: configuration, counts, seconds, curves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from glore_models.evaluation.card import configuration
from glore_models.evaluation.paper.markdown import grid
from glore_models.evaluation.paper.processbench import Judged, MarkedSolution
from glore_models.evaluation.paper.thresholds import Thresholds


def bench_card(
    file: str,
    sha256: str,
    solutions: Sequence[MarkedSolution],
    thresholds: Thresholds,
    weights: Mapping[str, str],
    judged: Mapping[str, Judged],
    *,
    command: str,
    plot: str,
) -> str:
    """The card in Markdown; `weights` and `judged` by role. No tokens are generated."""
    counts = {
        "solutions": len(solutions),
        "different ones": len({solution.key for solution in solutions}),
        "steps": sum(len(solution.steps) for solution in solutions),
        "with an error": sum(solution.error is not None for solution in solutions),
        "without": sum(solution.error is None for solution in solutions),
        "final answer judged": sum(solution.answer_right is not None for solution in solutions),
    }
    generators = Counter(solution.generator for solution in solutions)
    settings = {
        "command": command,
        "file": file,
        "sha256": sha256,
        "thresholds": asdict(thresholds),
        "weights": dict(weights),
    }
    lines = [
        "# The card of a ProcessBench file",
        "",
        f"`{command}`",
        "",
        *grid(("counted", "n"), [(name, str(n)) for name, n in counts.items()]),
        "",
        *grid(("generator", "solutions"), [(name, str(n)) for name, n in generators.items()]),
        "",
        *grid(
            ("scorer", "seconds"),
            [(role.upper(), f"{each.seconds:.0f}") for role, each in judged.items()],
        ),
        "",
        "Seconds are the scorer's, of all attempts. Nothing is drawn at random, and no tokens are",
        "generated.",
        "",
        plot,
        "",
        *configuration(settings),
    ]
    return "\n".join(lines) + "\n"
