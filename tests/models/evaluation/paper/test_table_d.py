"""Table D: how strategies answer, what that costs, and how they compare."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.intervals import mcnemar_exact, wilson
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.strategies import STRATEGIES, StrategyAnswer
from glore_models.evaluation.paper.table_d import table_d
from tests.models.evaluation.paper.builders import (
    RECORDS,
    RIGHT,
    THRESHOLDS,
    WRONG,
    record,
    written,
)

BY_NAME = {strategy.name: strategy.answer for strategy in STRATEGIES}

# draft < global < local for the ORM; the SORM's last steps say global, its lowest say draft
DRAFT = written(right=False, orm=(0.2,), sorm=(0.55, 0.56), tokens=10)
WHOLE = written(right=True, orm=(0.4,), sorm=(0.3, 0.9), tokens=20)
LOCAL = written(right=False, orm=(0.9, 0.8), sorm=(0.5, 0.6), tokens=5)

FULL = record(
    DRAFT,
    whole=WHOLE,
    sorm=LOCAL,
    samples=(
        written(right=True, orm=(0.1,), sorm=(0.1,), tokens=7),
        written(right=False, orm=(0.3,), sorm=(0.8,), tokens=7),
        written(right=True, orm=(0.9, 0.4), sorm=(0.2,), tokens=7),
    ),
)


def answer(name: str, of: Record = FULL) -> StrategyAnswer:
    return BY_NAME[name](of, THRESHOLDS)


@pytest.mark.parametrize(
    ("name", "right", "solutions", "tokens", "seconds"),
    [
        # a solution takes 1 s to write, 0.25 s for the SORM, 0.125 s for the ORM
        ("greedy draft", False, 1, 10, 1.0),
        ("ORM best of 2", False, 2, 14, 2.25),
        ("ORM of draft, 1 sample", False, 2, 17, 2.25),
        ("draft + global", True, 2, 30, 2.25),
        ("draft + local", False, 2, 15, 2.5),
        ("majority of 3", True, 3, 21, 3.0),
        ("ORM best of 3", True, 3, 21, 3.375),
        ("SORM best of 3 (last step)", False, 3, 21, 3.75),
        ("ORM of draft, 2 samples", False, 3, 24, 3.375),
        ("SORM of draft, 2 samples (last step)", False, 3, 24, 3.75),
        ("GLoRe", False, 3, 35, 3.625),
        ("gated GLoRe", False, 3, 35, 3.625),
        ("GLoRe, SORM picks (last step)", True, 3, 35, 3.75),
        ("GLoRe, SORM picks (lowest step)", False, 3, 35, 3.75),
        ("perfect selector of GLoRe", True, 3, 35, 3.25),
        ("perfect selector of 3 samples", True, 3, 21, 3.0),
    ],
)
def test_a_strategy_and_its_cost(
    name: str, *, right: bool, solutions: int, tokens: int, seconds: float
) -> None:
    assert answer(name) == StrategyAnswer(right, solutions, tokens, seconds)


def test_every_strategy_is_in_the_test_above() -> None:
    assert len(BY_NAME) == len(STRATEGIES) == 16


def test_a_draft_that_clears_the_gate_is_the_answer() -> None:
    sure = replace(FULL, draft=written(right=True, sorm=(0.6, 0.7), tokens=10))
    assert answer("gated GLoRe", sure) == StrategyAnswer(
        right=True, solutions=1, tokens=10, seconds=1.25
    )
    ungated = replace(THRESHOLDS, gate=None)
    assert BY_NAME["gated GLoRe"](sure, ungated).solutions == 3


def test_what_was_not_refined_leaves_fewer_candidates_and_nothing_to_rank() -> None:
    alone = record(written(right=True))
    assert answer("draft + global", alone) == StrategyAnswer(
        right=True, solutions=1, tokens=10, seconds=1.0
    )
    assert answer("draft + local", alone) == StrategyAnswer(
        right=True, solutions=1, tokens=10, seconds=1.25
    )
    assert answer("GLoRe", alone) == StrategyAnswer(
        right=True, solutions=1, tokens=10, seconds=1.25
    )


def test_of_equal_scores_the_earlier_candidate_wins() -> None:
    tied = record(written(right=True), whole=written(right=False), sorm=written(right=False))
    assert answer("GLoRe", tied).right
    assert answer("GLoRe, SORM picks (lowest step)", tied).right


def test_a_solution_without_steps_is_never_picked_over_one_with() -> None:
    empty = replace(written(right=False, orm=(), sorm=()), text="", answer=None)
    last = record(empty, whole=written(right=True, orm=(0.0,), sorm=(0.0,)))
    for name in ("GLoRe", "GLoRe, SORM picks (last step)", "GLoRe, SORM picks (lowest step)"):
        assert answer(name, last).right


@pytest.mark.parametrize(
    ("answers", "right"),
    [
        (("8", "7", "7"), True),
        (("8", "7", "9"), False),  # all differ: the first
        (("7", "8", "9"), True),
        (("8", "8", "7"), False),
        ((None, "7", None), True),  # no answer has no vote
    ],
)
def test_majority(answers: tuple[str | None, ...], *, right: bool) -> None:
    samples = tuple(replace(written(right=text == "7"), answer=text) for text in answers)
    assert answer("majority of 3", record(samples=samples)).right is right


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
    rows = {row.name: row for row in table_d(records, THRESHOLDS).rows}
    of_glore = rows.pop("perfect selector of GLoRe")
    of_samples = rows.pop("perfect selector of 3 samples")
    for name, row in rows.items():
        if name not in FROM_BOTH:
            best = of_samples if name in FROM_SAMPLES else of_glore
            assert row.right <= best.right


@given(RECORD_LISTS)
def test_paired_counts_agree_with_the_rows(records: list[Record]) -> None:
    comparison = table_d(records, THRESHOLDS)
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
    for row in table_d(records, THRESHOLDS).rows:
        assert 1 <= row.solutions <= row.most
        assert row.n == len(records)


def test_every_row_is_compared_with_the_draft_best_of_3_and_at_equal_counts() -> None:
    comparison = table_d([record()], THRESHOLDS)
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
    pairs = {(pair.name, pair.against) for pair in table_d([record()], THRESHOLDS).paired}
    for name in ("GLoRe, SORM picks (last step)", "GLoRe, SORM picks (lowest step)"):
        assert (name, "GLoRe") in pairs


def test_the_difference_of_two_rows_is_reported_where_enough_questions_differ() -> None:
    alike, apart = record(WRONG), record(WRONG, samples=(RIGHT, RIGHT, RIGHT))
    for count, reported in ((9, False), (10, True)):
        comparison = table_d([*[apart] * count, *[alike] * 30], THRESHOLDS)
        pair = next(each for each in comparison.paired if each.name == "majority of 3")
        assert (pair.against, pair.only_this) == ("greedy draft", count)
        assert (pair.difference is not None) == reported
    assert pair.difference
    assert pair.difference.value == 0.25
    assert pair.difference.interval.low == pytest.approx(
        0.25 - 1.96 * (0.25 * 0.75 / 39) ** 0.5, abs=1e-4
    )
    assert pair.difference.by_template is None


def test_a_row_holds_means_interval_and_accuracy_per_token() -> None:
    rows = table_d([record(RIGHT), record(WRONG)], THRESHOLDS).rows
    greedy = rows[0]
    assert (greedy.right, greedy.n, greedy.accuracy) == (1, 2, 0.5)
    assert greedy.interval == wilson(1, 2)
    assert (greedy.tokens, greedy.seconds) == (10.0, 1.0)
    assert greedy.right_per_1000_tokens == 50.0


def test_without_a_gate_there_is_no_gated_row() -> None:
    comparison = table_d([record()], replace(THRESHOLDS, gate=None))
    assert "gated GLoRe" not in {row.name for row in comparison.rows}
    assert len(comparison.rows) == 15


def test_no_question_is_no_division_by_zero() -> None:
    row = table_d([], THRESHOLDS).rows[0]
    assert (row.n, row.accuracy, row.right_per_1000_tokens) == (0, 0.0, None)
