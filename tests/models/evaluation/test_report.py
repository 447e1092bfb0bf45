"""The table and the card of an evaluation of the service."""

import json
from datetime import UTC, datetime, timedelta

from glore_models.evaluation.journal import TotalUsage
from glore_models.evaluation.outcomes import FAILED, JudgedAnswer
from glore_models.evaluation.report import (
    EvaluationRow,
    as_card,
    as_json,
    as_markdown,
    as_text,
    make_row,
)

RIGHT = JudgedAnswer(correct=True, generated_tokens=100, seconds=2.0)
WRONG = JudgedAnswer(correct=False, generated_tokens=50, seconds=1.0, degraded=True)

ROWS = (
    make_row("draft", [RIGHT, WRONG, FAILED, FAILED], derived_from="glore"),
    make_row("best_of_n", [RIGHT, RIGHT, RIGHT, RIGHT]),
)


def test_failures_are_wrong_and_out_of_the_means() -> None:
    row = ROWS[0]
    assert (row.n, row.correct, row.failures, row.degraded) == (4, 1, 2, 1)
    assert row.accuracy == 0.25
    assert (row.tokens, row.seconds) == (75.0, 1.5)


def test_no_answer_at_all_has_no_means() -> None:
    row = make_row("glore", [FAILED])
    assert (row.tokens, row.seconds, row.accuracy) == (None, None, 0.0)
    assert "-" in as_text([row]).splitlines()[2]


def test_the_text_is_aligned_and_says_what_was_derived() -> None:
    header, rule, first, second, note = as_text(ROWS).splitlines()
    assert header.split("  ")[0].strip() == "strategy"
    assert len(header) == len(rule) == len(first) == len(second)
    assert first.startswith("draft*")
    assert "25.0%" in first
    assert "100.0%" in second
    assert note == "* derived from other responses: draft from those of glore"


def test_the_markdown_has_a_cell_for_each_heading() -> None:
    lines = as_markdown(ROWS).splitlines()
    assert [line.count("|") for line in lines[:4]] == [9, 9, 9, 9]
    assert lines[2].startswith("| draft\\* | 1/4 | 25.0% |")
    assert lines[3].startswith("| best\\_of\\_n |")
    assert lines[5].startswith("\\* derived")


def test_the_json_holds_shares_not_percentages() -> None:
    row = as_json(ROWS[0])
    assert row["accuracy"] == 0.25
    assert row["interval95"][0] < 0.25 < row["interval95"][1]
    assert row["derived_from"] == "glore"


SETTINGS = {"source": "easy", "seed": 7, "strategies": ["draft", "glore"], "deadline": 120.0}
STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_card_has_configuration_seed_counts_time_and_tokens() -> None:
    rows = [
        EvaluationRow("glore", 10, 6, 2, 1, 100.0, 2.5),
        EvaluationRow("draft", 10, 5, 10, 0, None, None, derived_from="glore"),
    ]
    text = as_card(
        SETTINGS,
        rows,
        TotalUsage(4530.0, 40, 12_345, 6_789),
        command="glore eval",
        n=10,
        started=STARTED,
        finished=STARTED + timedelta(minutes=3),
        plot="![a picture](curves.png)",
    )
    assert "`glore eval`" in text
    assert "10 problems of easy, seed 7." in text
    assert "75.5 minutes over all attempts" in text
    assert "the last one from 2026-01-01T12:00:00+00:00 to 2026-01-01T12:03:00+00:00." in text
    assert "6,789 tokens generated and 12,345 read,\nin 40 engine calls" in text
    assert "\n\n![a picture](curves.png)\n\n" in text
    assert "| glore | 10 | 8 | 2 | 1 | 6 | 800 | 20 |" in text
    assert "| draft | 10 (read from glore) | 0 | 10 | 0 | 5 | - | - |" in text
    assert json.loads(text.partition("```json\n")[2].removesuffix("```\n")) == SETTINGS
