"""What a ProcessBench file shows of the reward models: table, card and picture."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from glore_models.data.files import write_json, write_whole
from glore_models.data.locks import lock_folder
from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.markdown import configuration, grid
from glore_models.evaluation.paper.phases import Clock, Scorer
from glore_models.evaluation.paper.table_a import (
    TABLE_A_NOTE,
    compare_scorers,
    difference_as_json,
    scorer_as_json,
    scorers_as_markdown,
)
from glore_models.evaluation.plots import CURVES, draw_processbench, image_markdown
from glore_models.evaluation.processbench import MarkedSolution, ScorerResult, judge_solutions


class IdentifiedScorer(Scorer, Protocol):
    """A reward model that is loaded when it is asked for; `identity` is a hash of its weights."""

    @property
    def identity(self) -> str:
        """Which weights these are."""
        ...

    def load(self) -> None:
        """Get ready."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessBenchReport:
    """Where the table and card of a file lie, the table as plain values and in Markdown."""

    folder: Path
    content: dict[str, Any]
    text: str


def report_processbench(
    file: Path,
    solutions: Sequence[MarkedSolution],
    scorers: Mapping[str, IdentifiedScorer],
    thresholds: Thresholds,
    out: Path,
    *,
    command: str,
    clock: Clock,
) -> ProcessBenchReport:
    """Score the solutions of a file, by role, and write table, card and picture of them.

    Scores are stored in `out`, a file for each scorer; after a kill the same call goes on.
    Raises InUseError when another process works there, or OSError.
    """
    weights = {role: scorer.identity for role, scorer in scorers.items()}
    folder = out / file.stem
    with lock_folder(out):
        stored = {role: out / f"{role}-{of}.jsonl" for role, of in weights.items()}
        judged = judge_solutions(
            solutions, scorers, thresholds, stored, clock, lambda role: scorers[role].load()
        )
        first, *others = (each.figures for each in judged.values())
        differences = [compare_scorers(first, other, None) for other in others]
        rows = (first, *others)
        content = {
            "command": command,
            "file": file.name,
            "n": len(solutions),
            "A": [scorer_as_json(row) for row in rows],
            "A_differences": [difference_as_json(row) for row in differences],
        }
        lines = [
            f"n = {len(solutions)} solutions of {file.name}. `{command}`",
            "",
            *scorers_as_markdown(rows, differences),
            "",
            TABLE_A_NOTE,
        ]
        text = "\n".join(lines)
        write_json(folder / "table.json", content)
        write_whole(folder / "table.md", text + "\n")
        plot = image_markdown(
            lambda png: draw_processbench(judged, png),
            folder / CURVES,
            "F1, right solutions left alone and first errors found, against the threshold",
        )
        card = processbench_card(
            file, solutions, thresholds, weights, judged, command=command, plot=plot
        )
        write_whole(folder / "CARD.md", card)
    return ProcessBenchReport(folder, content, text)


def processbench_card(
    file: Path,
    solutions: Sequence[MarkedSolution],
    thresholds: Thresholds,
    weights: Mapping[str, str],
    judged: Mapping[str, ScorerResult],
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
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
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
