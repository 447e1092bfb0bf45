from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.paper.comparing import compare
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.stats import mcnemar_exact, wilson
from tests.models.evaluation.paper.builders import RECORDS, RIGHT, THRESHOLDS, WRONG, record

FROM_SAMPLES = {
    "ORM best of 2", "ORM best of 3", "majority of 3", "SORM best of 3 (last step)"
}  # fmt: skip
FROM_BOTH = {
    "ORM of draft, 1 sample", "ORM of draft, 2 samples", "SORM of draft, 2 samples (last step)"
}  # fmt: skip
RECORD_LISTS = st.lists(RECORDS, min_size=1, max_size=6)


@given(RECORD_LISTS)
def test_a_perfect_selector_is_at_least_as_good_as_what_picks_from_the_same(
    records: list[Record],
) -> None:
    rows = {row.name: row for row in compare(records, THRESHOLDS).rows}
    of_glore = rows.pop("perfect selector of GLoRe")
    of_samples = rows.pop("perfect selector of 3 samples")
    for name, row in rows.items():
        if name not in FROM_BOTH:
            best = of_samples if name in FROM_SAMPLES else of_glore
            assert row.right <= best.right


@given(RECORD_LISTS)
def test_paired_counts_agree_with_the_rows(records: list[Record]) -> None:
    comparison = compare(records, THRESHOLDS)
    rows = {row.name: row for row in comparison.rows}
    for pair in comparison.paired:
        this, other = rows[pair.name], rows[pair.against]
        assert pair.only_this - pair.only_other == this.right - other.right
        assert pair.only_this <= this.right
        assert pair.only_this + pair.only_other <= len(records)
        assert pair.p == mcnemar_exact(pair.only_this, pair.only_other)
        assert pair.equal == (this.most == other.most)


@given(RECORD_LISTS)
def test_no_row_generates_more_than_it_says(records: list[Record]) -> None:
    for row in compare(records, THRESHOLDS).rows:
        assert 1 <= row.solutions <= row.most
        assert row.n == len(records)


def test_every_row_is_compared_with_the_draft_best_of_3_and_at_equal_counts() -> None:
    comparison = compare([record()], THRESHOLDS)
    against: dict[str, set[str]] = {}
    for pair in comparison.paired:
        against.setdefault(pair.name, set()).add(pair.against)
        assert pair.equal or pair.against in ("greedy draft", "ORM best of 3")
    assert set(against) == {row.name for row in comparison.rows}
    for name, others in against.items():
        assert others >= {"greedy draft", "ORM best of 3"} - {name}
    for name in ("draft + global", "draft + local"):
        assert against[name] >= {"ORM best of 2", "ORM of draft, 1 sample"}
    assert against["GLoRe"] == {"greedy draft", "ORM best of 3", "ORM of draft, 2 samples"}


def test_what_picks_from_the_same_candidates_is_compared() -> None:
    pairs = {(pair.name, pair.against) for pair in compare([record()], THRESHOLDS).paired}
    for name in ("GLoRe, SORM picks (last step)", "GLoRe, SORM picks (lowest step)"):
        assert (name, "GLoRe") in pairs


def test_the_difference_of_two_rows_is_told_where_enough_questions_differ() -> None:
    alike, apart = record(WRONG), record(WRONG, samples=(RIGHT, RIGHT, RIGHT))
    for count, told in ((9, False), (10, True)):
        comparison = compare([*[apart] * count, *[alike] * 30], THRESHOLDS)
        pair = next(each for each in comparison.paired if each.name == "majority of 3")
        assert (pair.against, pair.only_this) == ("greedy draft", count)
        assert (pair.difference is not None) == told
    assert pair.difference
    assert pair.difference.value == 0.25
    assert pair.difference.interval.low == pytest.approx(
        0.25 - 1.96 * (0.25 * 0.75 / 39) ** 0.5, abs=1e-4
    )
    assert pair.difference.by_template is None


def test_a_row_holds_means_interval_and_accuracy_per_token() -> None:
    rows = compare([record(RIGHT), record(WRONG)], THRESHOLDS).rows
    greedy = rows[0]
    assert (greedy.right, greedy.n, greedy.accuracy) == (1, 2, 0.5)
    assert greedy.interval == wilson(1, 2)
    assert (greedy.tokens, greedy.seconds) == (10.0, 1.0)
    assert greedy.right_per_1000_tokens == 50.0


def test_without_a_gate_there_is_no_gated_row() -> None:
    comparison = compare([record()], replace(THRESHOLDS, gate=None))
    assert "gated GLoRe" not in {row.name for row in comparison.rows}
    assert len(comparison.rows) == 15


def test_no_question_is_no_division_by_zero() -> None:
    row = compare([], THRESHOLDS).rows[0]
    assert (row.n, row.accuracy, row.right_per_1000_tokens) == (0, 0.0, None)
