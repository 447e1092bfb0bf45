"""The circuit breaker: when it opens, how it closes, and what does not count."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.engines.breaker import AdmittedCall, BreakerSettings, Circuit, CircuitBreaker
from glore.engines.ports import FaultReason
from tests.service.clock import ManualClock

SETTINGS = BreakerSettings(window=10, failures=3, share=0.5, rest=2, longest_rest=6)


def breaker() -> tuple[CircuitBreaker, ManualClock]:
    clock = ManualClock()
    return CircuitBreaker(SETTINGS, clock), clock


def admitted(one: CircuitBreaker) -> AdmittedCall:
    call = one.admits()
    assert call is not None
    return call


def fail(one: CircuitBreaker, times: int, reason: FaultReason = "failed") -> None:
    for _ in range(times):
        one.failed(admitted(one), reason)


def circuit_of(one: CircuitBreaker) -> Circuit:
    return one.circuit


def test_it_opens_after_enough_failures_and_refuses() -> None:
    one, _ = breaker()
    fail(one, 2)
    assert circuit_of(one) is Circuit.CLOSED
    fail(one, 1, "unreachable")
    assert circuit_of(one) is Circuit.OPEN
    assert not one.admits()
    assert one.seconds_left == 2


def test_failures_among_many_successes_do_not_open_it() -> None:
    one, _ = breaker()
    for _ in range(4):
        one.succeeded(admitted(one))
    fail(one, 3)
    assert circuit_of(one) is Circuit.CLOSED
    fail(one, 1)
    assert circuit_of(one) is Circuit.OPEN


def test_old_failures_are_forgotten() -> None:
    one, clock = breaker()
    fail(one, 2)
    clock.advance(11)
    fail(one, 2)
    assert circuit_of(one) is Circuit.CLOSED


def test_slow_calls_and_refused_requests_are_no_failures() -> None:
    one, _ = breaker()
    fail(one, 50, "timeout")
    fail(one, 50, "rejected")
    fail(one, 50, "overloaded")
    fail(one, 50, "bad_response")
    fail(one, 50, "wrong_scores")
    assert circuit_of(one) is Circuit.CLOSED


def test_after_a_rest_one_call_goes_through_and_closes_it() -> None:
    one, clock = breaker()
    fail(one, 3)
    clock.advance(2)
    assert circuit_of(one) is Circuit.HALF_OPEN
    trial = admitted(one)
    assert not one.admits()  # one at a time
    one.succeeded(trial)
    assert circuit_of(one) is Circuit.CLOSED
    fail(one, 2)
    assert circuit_of(one) is Circuit.CLOSED  # what was before is forgotten


def test_a_try_that_fails_doubles_the_rest_up_to_a_bound() -> None:
    one, clock = breaker()
    fail(one, 3)
    for rest in (2, 4, 6, 6):
        clock.advance(rest - 0.5)
        assert not one.admits()
        clock.advance(0.5)
        fail(one, 1)
        assert circuit_of(one) is Circuit.OPEN


def test_a_try_that_is_cancelled_or_too_slow_leaves_it_to_the_next() -> None:
    one, clock = breaker()
    fail(one, 3)
    clock.advance(2)
    one.given_up(admitted(one))
    fail(one, 1, "timeout")
    assert circuit_of(one) is Circuit.HALF_OPEN
    one.failed(admitted(one), "rejected")  # it answers
    assert circuit_of(one) is Circuit.CLOSED


def test_after_it_has_closed_the_first_rest_is_short_again() -> None:
    one, clock = breaker()
    fail(one, 3)
    clock.advance(2)
    fail(one, 1)
    assert one.seconds_left == 4
    clock.advance(4)
    one.succeeded(admitted(one))
    fail(one, 3)
    assert one.seconds_left == 2


REPORTS: dict[str, Callable[[CircuitBreaker, AdmittedCall], None]] = {
    "success": CircuitBreaker.succeeded,
    "failure": lambda one, call: one.failed(call, "failed"),
    "refusal": lambda one, call: one.failed(call, "rejected"),
    "timeout": lambda one, call: one.failed(call, "timeout"),
    "cancelled": CircuitBreaker.given_up,
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_what_began_before_the_opening_does_not_decide_the_trial(
    report: Callable[[CircuitBreaker, AdmittedCall], None],
) -> None:
    one, clock = breaker()
    stale = [admitted(one) for _ in range(4)]
    fail(one, 3)
    report(one, stale.pop())
    assert circuit_of(one) is Circuit.OPEN
    assert one.seconds_left == 2
    clock.advance(2)
    report(one, stale.pop())
    trial = admitted(one)
    report(one, stale.pop())
    assert circuit_of(one) is Circuit.HALF_OPEN
    assert not one.admits()  # the trial is still on its way
    one.failed(trial, "failed")
    assert one.seconds_left == 4
    report(one, stale.pop())
    assert one.seconds_left == 4


def test_successes_of_before_the_opening_do_not_count_after_it_has_closed() -> None:
    one, clock = breaker()
    before = [admitted(one) for _ in range(5)]
    fail(one, 3)
    clock.advance(SETTINGS.rest)
    one.succeeded(admitted(one))  # the trial
    for call in before:
        one.succeeded(call)
    fail(one, 3)  # of four that count
    assert circuit_of(one) is Circuit.OPEN


def test_failures_of_before_the_opening_do_not_open_it_again() -> None:
    one, clock = breaker()
    stale = [admitted(one) for _ in range(5)]
    fail(one, 3)
    clock.advance(2)
    one.succeeded(admitted(one))
    for call in stale:
        one.failed(call, "failed")
    assert circuit_of(one) is Circuit.CLOSED


EVENTS = st.sampled_from(["begun", "ok", "failed", "timeout", "gone", "wait"])


@given(st.lists(EVENTS, max_size=60))
def test_it_never_refuses_for_longer_than_its_longest_rest(events: list[str]) -> None:
    one, clock = breaker()
    under_way: list[AdmittedCall | None] = []
    for event in events:
        if event == "wait":
            clock.advance(1)
        elif event == "begun":
            under_way.append(one.admits())
        elif call := under_way.pop(0) if under_way else one.admits():
            match event:
                case "ok":
                    one.succeeded(call)
                case "gone":
                    one.given_up(call)
                case _:
                    one.failed(call, "failed" if event == "failed" else "timeout")
        assert one.seconds_left <= SETTINGS.longest_rest
    for late in filter(None, under_way):
        one.given_up(late)
    clock.advance(SETTINGS.longest_rest)
    assert one.admits()
