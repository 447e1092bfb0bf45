"""ORM labels, SORM labels, and the three clean-ups, on hand-written rollouts."""

from dataclasses import replace

import pytest

from glore_models.data.examples import ScoreExample
from glore_models.data.labels import (
    BAD,
    GOOD,
    UNLABELLED,
    CleanUps,
    balance,
    drop_after_error,
    drop_unused,
    make_consistent,
    orm_examples,
    ratio_labels,
    raw_labels,
    sorm_examples,
    step_result,
)
from glore_models.data.rollouts import PrefixRollouts, make_sample

WRONG = "2 + 3 = 5\n5 * 4 = 21\n#### 21"
OFF = CleanUps(consistent=False, used=False, balanced=False)


def rollouts(
    solution: str = WRONG,
    first: tuple[tuple[str, bool], ...] = (("5 * 4 = 20\n#### 20", True), ("no", False)),
    second: tuple[tuple[str, bool], ...] = (("#### 21", False), ("#### 22", False)),
) -> list[PrefixRollouts]:
    """Rollouts of the two prefixes of a solution of three steps; the right answer is 20."""
    return [
        PrefixRollouts(
            problem="p",
            question="q",
            answer="20",
            solution=solution,
            kept=stored,
            continuations=tuple(text for text, _ in given),
            right=tuple(good for _, good in given),
        )
        for stored, given in ((1, first), (2, second))
    ]


def test_orm_labels_every_step_with_the_outcome() -> None:
    right = make_sample("p", "q", "20", "5 * 4 = 20\n#### 20")
    wrong = make_sample("p", "q", "20", WRONG)
    empty = make_sample("p", "q", "20", "  ")
    labels = [example.labels for example in orm_examples([right, wrong, empty])]
    assert labels == [(1, 1), (0, 0, 0)]


def test_a_prefix_is_good_iff_any_rollout_is_right() -> None:
    assert raw_labels(rollouts()) == (GOOD, BAD, BAD)


def test_every_step_before_a_good_one_becomes_good() -> None:
    assert make_consistent((BAD, GOOD, BAD)) == (GOOD, GOOD, BAD)
    assert make_consistent((BAD, BAD)) == (BAD, BAD)


def test_a_good_step_whose_result_is_never_used_loses_its_label() -> None:
    used = rollouts()
    assert drop_unused((GOOD, BAD, BAD), used) == (GOOD, BAD, BAD)
    unused = rollouts(first=(("10 * 2 = 20\n#### 20", True), ("5 again", False)))
    assert drop_unused((GOOD, BAD, BAD), unused) == (UNLABELLED, BAD, BAD)


def test_the_result_counts_as_a_whole_number_not_as_digits() -> None:
    only_digits = rollouts(first=(("50 - 30 = 20\n#### 20", True),))
    assert drop_unused((GOOD, BAD, BAD), only_digits)[0] == UNLABELLED


def test_the_samples_own_continuation_counts_as_use() -> None:
    right = "2 + 3 = 5\n5 * 4 = 20\n#### 20"
    group = rollouts(right, first=(("8 + 12 = 20\n#### 20", True),), second=(("#### 1", False),))
    assert drop_unused((GOOD, GOOD, GOOD), group) == (GOOD, GOOD, GOOD)


@pytest.mark.parametrize(
    ("step", "result"), [("a = 1,080", "1080"), ("2 x 3 = 6 boxes.", "6"), ("none", None)]
)
def test_the_result_of_a_step_is_its_last_number(step: str, result: str | None) -> None:
    assert step_result(step) == result


def test_classes_are_balanced_at_each_prefix_length() -> None:
    examples = [ScoreExample("q", ("a", "b"), labels) for labels in ((1, 1), (1, 0), (1, 0))]
    examples.append(ScoreExample("q", ("a", "b"), (0, 0)))
    balanced, dropped = balance(examples, seed=3)
    for index in (0, 1):
        column = [example.labels[index] for example in balanced]
        assert column.count(GOOD) == column.count(BAD) == 1
    assert dropped == 4


def test_by_ratio_a_step_is_good_that_keeps_enough_of_its_prefixes_chance() -> None:
    four = (("a", True), ("b", True), ("c", True), ("d", True))
    one = (("a", True), ("b", False), ("c", False), ("d", False))
    none = (("a", False), ("b", False), ("c", False), ("d", False))
    assert ratio_labels(rollouts(first=four, second=one), 0.5) == (GOOD, BAD, BAD)
    assert ratio_labels(rollouts(first=four, second=one), 0.25) == (GOOD, GOOD, BAD)
    assert ratio_labels(rollouts(first=four, second=none), 0.5) == (GOOD, BAD, UNLABELLED)
    assert ratio_labels(rollouts(first=none, second=one), 0.5) == (BAD, UNLABELLED, BAD)
    judged = CleanUps(used=False, balanced=False, judged="ratio", kept_chance=0.5)
    created, counts = sorm_examples(rollouts(first=four, second=one), judged, seed=1)
    assert created[0].labels == (GOOD, BAD, BAD)
    assert counts.made_consistent == 0


def test_labels_after_the_first_error_can_be_dropped() -> None:
    assert drop_after_error((GOOD, BAD, GOOD, BAD)) == (GOOD, BAD, UNLABELLED, UNLABELLED)
    assert drop_after_error((GOOD, GOOD)) == (GOOD, GOOD)
    only = CleanUps(used=False, balanced=False, after_error=False)
    created, counts = sorm_examples(rollouts(), only, seed=1)
    assert created[0].labels == (GOOD, BAD, UNLABELLED)
    assert counts.dropped_after_error == 1


def test_the_clean_ups_can_be_switched_off_and_are_counted() -> None:
    plain, counts = sorm_examples(rollouts(), OFF, seed=1)
    assert plain[0].labels == (GOOD, BAD, BAD)
    assert (counts.good, counts.bad, counts.dropped_for_balance) == (1, 2, 0)
    _, balanced = sorm_examples(rollouts(), CleanUps(), seed=1)
    assert balanced.dropped_for_balance == 3


def test_consistency_is_a_switch() -> None:
    """The first prefix has no right rollout, the second has one."""
    late = rollouts(first=(("no", False),), second=(("#### 20", True), ("#### 22", False)))
    plain, none = sorm_examples(late, OFF, seed=1)
    assert plain[0].labels == (BAD, GOOD, BAD)
    assert none.made_consistent == 0
    created, counts = sorm_examples(late, replace(OFF, consistent=True), seed=1)
    assert created[0].labels == (GOOD, GOOD, BAD)
    assert counts.made_consistent == 1


def test_steps_judged_by_ratio_are_never_created_consistent() -> None:
    late = rollouts(first=(("no", False),), second=(("#### 20", True), ("#### 22", False)))
    by_ratio = CleanUps(used=False, balanced=False, judged="ratio")
    created, counts = sorm_examples(late, by_ratio, seed=1)
    assert created[0].labels == (BAD, UNLABELLED, BAD)
    assert counts.made_consistent == 0
    with pytest.raises(ValueError, match="never made consistent"):
        CleanUps(consistent=False, judged="ratio")


def test_a_missing_prefix_is_an_error() -> None:
    with pytest.raises(ValueError, match="miss a prefix"):
        sorm_examples(rollouts()[1:], OFF, seed=1)
