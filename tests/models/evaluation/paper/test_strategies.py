"""What each strategy answers and what it costs, one question at a time."""

from dataclasses import replace

import pytest

from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.strategies import STRATEGIES, Answered
from tests.models.evaluation.paper.builders import THRESHOLDS, record, written

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


def answer(name: str, of: Record = FULL) -> Answered:
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
    assert answer(name) == Answered(right, solutions, tokens, seconds)


def test_every_strategy_is_in_the_test_above() -> None:
    assert len(BY_NAME) == len(STRATEGIES) == 16


def test_a_draft_that_clears_the_gate_is_the_answer() -> None:
    sure = replace(FULL, draft=written(right=True, sorm=(0.6, 0.7), tokens=10))
    assert answer("gated GLoRe", sure) == Answered(right=True, solutions=1, tokens=10, seconds=1.25)
    ungated = replace(THRESHOLDS, gate=None)
    assert BY_NAME["gated GLoRe"](sure, ungated).solutions == 3


def test_what_was_not_refined_leaves_fewer_candidates_and_nothing_to_rank() -> None:
    alone = record(written(right=True))
    assert answer("draft + global", alone) == Answered(
        right=True, solutions=1, tokens=10, seconds=1.0
    )
    assert answer("draft + local", alone) == Answered(
        right=True, solutions=1, tokens=10, seconds=1.25
    )
    assert answer("GLoRe", alone) == Answered(right=True, solutions=1, tokens=10, seconds=1.25)


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
