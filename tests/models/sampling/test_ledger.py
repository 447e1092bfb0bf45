"""Every prompt is counted once, whatever is delivered twice or never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.sampling.ray.ledger import Ledger, batches, task_key, tasks


def test_equal_prompts_have_keys_of_their_own_that_do_not_depend_on_the_others() -> None:
    created = tasks(["a", "b", "a"], seed=1)
    assert [task.place for task in created] == [0, 1, 2]
    assert len({task.key for task in created}) == 3
    assert created[2].key == task_key(1, "a", 1) == tasks(["a", "a"], seed=1)[1].key
    assert created[0].key != task_key(2, "a", 0)


@given(
    prompts=st.lists(st.sampled_from("abc"), max_size=8),
    deliveries=st.lists(st.integers(0, 7), max_size=30),
)
def test_a_delivery_counts_once_and_the_rest_is_owed(
    prompts: list[str], deliveries: list[int]
) -> None:
    created = tasks(prompts, seed=3)
    ledger = Ledger(created)
    settled: list[int] = []
    sent = [created[number] for number in deliveries if number < len(created)]
    for task in sent:
        index = ledger.settle(task.key)
        if index is not None:
            settled.append(index)
    assert sorted(settled) == sorted({task.place for task in sent})
    assert ledger.duplicates == len(sent) - len(settled)
    assert ledger.owed() == [task for task in created if task.place not in settled]


def test_a_key_that_was_never_requested_is_an_error() -> None:
    with pytest.raises(KeyError):
        Ledger(tasks(["a"], seed=1)).settle("b")


def test_batches_hold_all_in_order() -> None:
    created = tasks(list("abcde"), seed=1)
    assert [len(batch) for batch in batches(created, 2)] == [2, 2, 1]
    assert [task for batch in batches(created, 2) for task in batch] == created


def test_a_batch_ends_where_the_prefixes_of_a_solution_do() -> None:
    created = tasks(["a", "a1", "b", "b2", "b23", "c", "c1"], seed=1)
    prompts = [[task.prompt for task in batch] for batch in batches(created, 4)]
    assert prompts == [["a", "a1"], ["b", "b2", "b23"], ["c", "c1"]]
