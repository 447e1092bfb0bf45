"""The card of an evaluation of the service: configuration, seed, counts, time, tokens, curves."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from glore_models.evaluation.spent import Spent
from glore_models.evaluation.table import Row

_HEADER = "| strategy | asked | answered | failed | degraded | right | tokens | seconds |"


def as_card(
    settings: dict[str, Any],
    rows: Iterable[Row],
    spent: Spent,
    *,
    command: str,
    n: int,
    started: datetime,
    finished: datetime,
    plot: str,
) -> str:
    """The card in Markdown; `settings` are all that the run was made with.

    `started` and `finished` are of the last attempt, `spent` is of all of them.
    """
    times = [when.isoformat(timespec="seconds") for when in (started, finished)]
    lines = [
        "# The card of an evaluation",
        "",
        f"`{command}`",
        "",
        f"{n} problems of {settings['source']}, seed {settings['seed']}.",
        f"{spent.seconds / 60:.1f} minutes over all attempts, each up to its last answer;",
        f"the last one from {times[0]} to {times[1]}.",
        f"{spent.generated_tokens:,} tokens generated and {spent.prompt_tokens:,} read,",
        f"in {spent.engine_calls:,} engine calls, for all answers in this folder.",
        "",
        plot,
        "",
        _HEADER,
        "|---" + "|---:" * 7 + "|",
        *map(_line, rows),
        "",
        "Tokens (generated) and seconds are sums over the questions that were answered; of a row",
        "read from other responses, what its strategy alone would have used.",
        "",
        *configuration(settings),
    ]
    return "\n".join(lines) + "\n"


def configuration(settings: Mapping[str, Any]) -> list[str]:
    """The last lines of a card: all that a run was made with."""
    return ["The whole configuration:", "", "```json", json.dumps(settings, indent=1), "```"]


def _line(row: Row) -> str:
    answered = row.n - row.failures
    asked = f"{row.n} (read from {row.derived_from})" if row.derived_from else str(row.n)
    cells = (
        row.name,
        asked,
        str(answered),
        str(row.failures),
        str(row.degraded),
        str(row.correct),
        "-" if row.tokens is None else f"{row.tokens * answered:,.0f}",
        "-" if row.seconds is None else f"{row.seconds * answered:,.0f}",
    )
    return "| " + " | ".join(cells) + " |"
