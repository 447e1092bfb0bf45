from glore_models.evaluation.outcomes import FAILED, Outcome
from glore_models.evaluation.table import as_json, as_markdown, as_text, make_row

RIGHT = Outcome(correct=True, generated_tokens=100, seconds=2.0)
WRONG = Outcome(correct=False, generated_tokens=50, seconds=1.0, degraded=True)
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
