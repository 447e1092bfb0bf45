"""Binary search for the first bad step, against the labels of every prefix."""

from hypothesis import assume, given
from hypothesis import strategies as st

from glore_models.data.labels import BAD, make_consistent, raw_labels
from glore_models.data.rollouts import PrefixRollouts
from glore_models.data.search import compare, search_first_error, searched_labels


def group(reached: list[bool], *, right: bool) -> list[PrefixRollouts]:
    """The rollouts of a solution whose prefixes reach the answer, or do not, as given."""
    answer = "1" if right else "2"
    lines = [f"step {i}" for i in range(len(reached))]
    solution = "\n".join([*lines, f"#### {answer}"])
    return [
        PrefixRollouts("p", "q", "1", solution, kept, ("", ""), (False, good))
        for kept, good in enumerate(reached, start=1)
    ]


@given(st.integers(0, 9), st.integers(0, 9))
def test_when_no_good_prefix_follows_a_bad_one_nothing_is_changed(good: int, bad: int) -> None:
    assume(good + bad > 0)
    rollouts = group([True] * good + [False] * bad, right=False)
    assert searched_labels(rollouts) == raw_labels(rollouts)
    found = search_first_error(rollouts)
    assert found.error == good
    assert found.rolled_out <= len(rollouts).bit_length()


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_the_search_finds_some_bad_step_after_a_good_one(reached: list[bool]) -> None:
    rollouts = group(reached, right=False)
    error = search_first_error(rollouts).error
    assert error is not None
    assert raw_labels(rollouts)[error] == BAD
    assert error == 0 or raw_labels(rollouts)[error - 1] != BAD


def test_a_right_sample_needs_no_search() -> None:
    rollouts = group([False, True], right=True)
    assert search_first_error(rollouts).rolled_out == 0
    assert searched_labels(rollouts) == make_consistent(raw_labels(rollouts)) == (1, 1, 1)


def test_what_is_saved_and_what_is_changed_is_counted() -> None:
    one = group([True, False, True, False, False, False, False], right=False)
    two = [
        PrefixRollouts("p2", "q", "1", row.solution, row.kept, row.continuations, row.right)
        for row in group([True, False], right=False)
    ]
    counts = compare([*one, *two])
    assert counts["prefixes"] == 9
    assert counts["rolled_out"] == 3 + 2
    assert counts["labels"] == 8 + 3
    assert counts["labels_changed"] == 2  # the search meets the bad second prefix first
    assert counts["first_errors"] == 2
    assert counts["first_errors_changed"] == 1
