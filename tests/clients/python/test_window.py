"""Which questions may start, and which are told next."""

from dataclasses import dataclass

import pytest

from glore_client.window import Window


@dataclass(eq=False)
class Pending:
    ended: bool = False

    def done(self) -> bool:
        return self.ended


def full(window: Window[Pending]) -> list[Pending]:
    added = []
    while window.has_room:
        added.append(Pending())
        window.add(added[-1])
    return added


def test_no_more_than_the_concurrency_are_at_work() -> None:
    window: Window[Pending] = Window(3, ordered=True)
    first, second, third = full(window)
    assert window.running == {first, second, third}
    second.ended = True
    assert len(full(window)) == 1


def test_in_order_the_first_is_waited_for() -> None:
    window: Window[Pending] = Window(3, ordered=True)
    first, second, _ = full(window)
    second.ended = True
    assert window.pop() is None
    first.ended = True
    assert window.pop() is first
    assert window.pop() is second
    assert window.pop() is None


def test_out_of_order_whatever_has_ended_is_told() -> None:
    window: Window[Pending] = Window(3, ordered=False)
    first, second, third = full(window)
    third.ended = second.ended = True
    assert window.pop() is second
    assert window.pop() is third
    assert window.pop() is None
    assert window.running == {first}


def test_results_that_wait_for_a_slow_one_are_bounded() -> None:
    window: Window[Pending] = Window(3, ordered=True)
    slow, *others = full(window)
    while others:
        for pending in others:
            pending.ended = True
        others = full(window)
    assert window.running == {slow}
    assert len(window) == 12


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_concurrency_below_one_is_refused(concurrency: int) -> None:
    with pytest.raises(ValueError, match="concurrency must be 1 or more"):
        Window(concurrency, ordered=True)
