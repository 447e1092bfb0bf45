"""The report of an evaluation of the service: the table, for people and as JSON, and the card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from glore_models.evaluation.intervals import Interval, wilson
from glore_models.evaluation.journal import TotalUsage
from glore_models.evaluation.markdown import configuration
from glore_models.evaluation.outcomes import JudgedAnswer

_HEADER = (
    "strategy", "right", "accuracy", "95% interval", "tokens", "seconds", "failed", "degraded"
)  # fmt: skip

_MARK = "*"


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """The figures of one strategy over `n` questions.

    Failed questions count as wrong. Tokens (generated) and seconds are means over the
    questions that were answered; None when there are none. `derived_from` names the
    strategy whose responses the row was read from, when it was not asked itself.
    """

    name: str
    n: int
    correct: int
    failures: int
    degraded: int
    tokens: float | None
    seconds: float | None
    derived_from: str | None = None

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0..1; 0 for no question."""
        return self.correct / self.n if self.n else 0.0

    @property
    def interval(self) -> Interval:
        """The accuracy's 95% interval."""
        return wilson(self.correct, self.n)


def make_row(
    name: str, outcomes: Sequence[JudgedAnswer], derived_from: str | None = None
) -> EvaluationRow:
    """The figures of these outcomes, one per question."""
    answered = [outcome for outcome in outcomes if not outcome.failed]
    count = len(answered)
    return EvaluationRow(
        name=name,
        n=len(outcomes),
        correct=sum(outcome.correct for outcome in outcomes),
        failures=len(outcomes) - count,
        degraded=sum(outcome.degraded for outcome in answered),
        tokens=sum(o.generated_tokens for o in answered) / count if count else None,
        seconds=sum(o.seconds for o in answered) / count if count else None,
        derived_from=derived_from,
    )


def as_text(rows: Sequence[EvaluationRow]) -> str:
    """An aligned table, with a note on the derived rows if there are any."""
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *_note(rows)]) + "\n"


def as_markdown(rows: Sequence[EvaluationRow]) -> str:
    """The same as a Markdown table."""
    lines = [_HEADER, ("---", *("---:" for _ in _HEADER[1:])), *(_cells(row) for row in rows)]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    text = "\n".join([*table, *(f"\n{note}" for note in _note(rows))]) + "\n"
    return text.replace("_", "\\_").replace(_MARK, f"\\{_MARK}")


def as_json(row: EvaluationRow) -> dict[str, Any]:
    """One row as it stands in the report; shares in 0..1."""
    return {
        "strategy": row.name,
        "derived_from": row.derived_from,
        "n": row.n,
        "correct": row.correct,
        "accuracy": row.accuracy,
        "interval95": [row.interval.low, row.interval.high],
        "mean_generated_tokens": row.tokens,
        "mean_seconds": row.seconds,
        "failures": row.failures,
        "degraded": row.degraded,
    }


def _cells(row: EvaluationRow) -> tuple[str, ...]:
    low, high = row.interval.low, row.interval.high
    return (
        row.name + (_MARK if row.derived_from else ""),
        f"{row.correct}/{row.n}",
        f"{100 * row.accuracy:.1f}%",
        f"{100 * low:.1f} - {100 * high:.1f}%",
        "-" if row.tokens is None else f"{row.tokens:.0f}",
        "-" if row.seconds is None else f"{row.seconds:.2f}",
        str(row.failures),
        str(row.degraded),
    )


def _aligned(line: tuple[str, ...], widths: list[int]) -> list[str]:
    name, *figures = line
    right = (cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=True))
    return [name.ljust(widths[0]), *right]


def _note(rows: Sequence[EvaluationRow]) -> list[str]:
    """One line that says which rows were not asked for, none when all were."""
    sources: dict[str, list[str]] = {}
    for row in rows:
        if row.derived_from:
            sources.setdefault(row.derived_from, []).append(row.name)
    parts = [f"{', '.join(names)} from those of {source}" for source, names in sources.items()]
    return [f"{_MARK} derived from other responses: {'; '.join(parts)}"] if parts else []


_CARD_HEADER = "| strategy | asked | answered | failed | degraded | right | tokens | seconds |"


def as_card(
    settings: dict[str, Any],
    rows: Iterable[EvaluationRow],
    usage: TotalUsage,
    *,
    command: str,
    n: int,
    started: datetime,
    finished: datetime,
    plot: str,
) -> str:
    """The card in Markdown; `settings` are all that the run was made with.

    `started` and `finished` are of the last attempt, `usage` is of all of them.
    """
    times = [when.isoformat(timespec="seconds") for when in (started, finished)]
    lines = [
        "# The card of an evaluation",
        "",
        f"`{command}`",
        "",
        f"{n} problems of {settings['source']}, seed {settings['seed']}.",
        f"{usage.seconds / 60:.1f} minutes over all attempts, each up to its last answer;",
        f"the last one from {times[0]} to {times[1]}.",
        f"{usage.generated_tokens:,} tokens generated and {usage.prompt_tokens:,} read,",
        f"in {usage.engine_calls:,} engine calls, for all answers in this folder.",
        "",
        plot,
        "",
        _CARD_HEADER,
        "|---" + "|---:" * 7 + "|",
        *map(_line, rows),
        "",
        "Tokens (generated) and seconds are sums over the questions that were answered; of a row",
        "read from other responses, what its strategy alone would have used.",
        "",
        *configuration(settings),
    ]
    return "\n".join(lines) + "\n"


def _line(row: EvaluationRow) -> str:
    answered = row.n - row.failures
    questions = f"{row.n} (read from {row.derived_from})" if row.derived_from else str(row.n)
    cells = (
        row.name,
        questions,
        str(answered),
        str(row.failures),
        str(row.degraded),
        str(row.correct),
        "-" if row.tokens is None else f"{row.tokens * answered:,.0f}",
        "-" if row.seconds is None else f"{row.seconds * answered:,.0f}",
    )
    return "| " + " | ".join(cells) + " |"
