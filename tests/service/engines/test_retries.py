"""Retries: which, when, and how many."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engines.ports import EngineError, FaultReason, spending
from service.engines.retries import SAFE, Retrier, Retry, RetryBudget, RetrySettings, wait_before
from tests.service.allowance import FakeAllowance
from tests.service.clock import ManualClock

SETTINGS = RetrySettings(attempts=3, first_wait=1.0, longest_wait=4.0, share=0.1, saved=2.0)


class Engine:
    """Fails as often as it is told to, then answers; each call takes `takes` seconds."""

    def __init__(self, clock: ManualClock, *faults: FaultReason, takes: float = 0.0) -> None:
        self.clock = clock
        self.faults = list(faults)
        self.takes = takes
        self.given: list[float] = []

    async def __call__(self, seconds: float) -> str:
        self.given.append(seconds)
        self.clock.advance(self.takes)
        if self.faults:
            raise EngineError("sorm", self.faults.pop(0))  # noqa: EM101 - a role
        return "answer"


def safe(error: Exception) -> Retry:
    assert isinstance(error, EngineError)
    return Retry.UNBEGUN if error.reason in SAFE else Retry.NO


def unsure(error: Exception) -> Retry:
    return Retry.REPEATED if safe(error) is Retry.NO else Retry.UNBEGUN


def retrier(clock: ManualClock, settings: RetrySettings = SETTINGS) -> Retrier:
    return Retrier(settings, clock, clock.sleep, random.Random(1))  # noqa: S311 - not for secrets


async def test_a_refused_connection_is_tried_again_within_the_time() -> None:
    clock = ManualClock()
    engine = Engine(clock, "unreachable", "overloaded", takes=0.5)
    one = retrier(clock)
    assert await one.call(engine, 10.0, safe) == "answer"
    assert one.retries == len(clock.slept) == 2
    assert engine.given == pytest.approx([10.0, 9.5 - clock.slept[0], 9.0 - sum(clock.slept)])


@pytest.mark.parametrize("reason", ["failed", "timeout", "rejected", "bad_response"])
async def test_what_the_engine_may_have_begun_is_not_asked_again(reason: FaultReason) -> None:
    clock = ManualClock()
    engine = Engine(clock, reason)
    with pytest.raises(EngineError):
        await retrier(clock).call(engine, 10.0, safe)
    assert len(engine.given) == 1


async def test_the_last_attempts_error_is_raised() -> None:
    clock = ManualClock()
    engine = Engine(clock, "overloaded", "overloaded", "unreachable", "overloaded")
    with pytest.raises(EngineError, match="unreachable"):
        await retrier(clock).call(engine, 100.0, safe)
    assert len(engine.given) == SETTINGS.attempts


async def test_no_attempt_is_made_that_would_begin_too_late() -> None:
    clock = ManualClock()
    engine = Engine(clock, "unreachable", "unreachable", takes=1.0)
    with pytest.raises(EngineError):
        await retrier(clock).call(engine, 1.0, safe)
    assert len(engine.given) == 1
    assert clock.slept == []


async def test_an_engine_in_trouble_is_not_asked_more() -> None:
    clock = ManualClock()
    one = retrier(clock)
    always: list[FaultReason] = ["unreachable"] * SETTINGS.attempts
    for _ in range(100):
        with pytest.raises(EngineError):
            await one.call(Engine(clock, *always), 100.0, safe)
    assert one.retries <= SETTINGS.saved + 100 * SETTINGS.share


def test_what_is_saved_up_is_bounded() -> None:
    budget = RetryBudget(SETTINGS)
    for _ in range(1000):
        budget.earn()
    for _ in range(2):
        assert budget.allows
        budget.spend()
    assert not budget.allows


async def test_a_retry_is_one_of_the_calls_that_the_request_may_make() -> None:
    clock = ManualClock()
    allowance = FakeAllowance(calls=1)
    one = retrier(clock)
    engine = Engine(clock, "unreachable", "unreachable")
    with spending(allowance), pytest.raises(EngineError):
        await one.call(engine, 100.0, safe)
    assert len(engine.given) == 2
    assert allowance.asked == [(1, False)] * 2  # the second of which it was not granted
    assert one.retries == 1


@pytest.mark.parametrize("repeats", [0, 1])
async def test_work_that_may_have_been_begun_is_repeated_if_its_tokens_are_there_twice(
    repeats: int,
) -> None:
    clock = ManualClock()
    allowance = FakeAllowance(calls=5, repeats=repeats)
    one = retrier(clock)
    engine = Engine(clock, "unreachable", "failed", "failed")
    with spending(allowance), pytest.raises(EngineError):
        await one.call(engine, 100.0, unsure)
    assert allowance.asked == [(1, False), (1, True)]
    assert len(engine.given) == 2 + repeats
    assert one.retries == 1 + repeats


async def test_a_request_is_not_asked_for_what_the_engine_has_not_left() -> None:
    clock = ManualClock()
    one = retrier(clock, RetrySettings(saved=0.0, share=0.0))
    allowance = FakeAllowance(calls=5)
    with spending(allowance), pytest.raises(EngineError):
        await one.call(Engine(clock, "unreachable"), 100.0, safe)
    assert allowance.asked == []


@given(st.integers(1, 20), st.integers())
def test_waits_are_random_within_a_bound_that_doubles(attempt: int, seed: int) -> None:
    wait = wait_before(attempt, SETTINGS, random.Random(seed))  # noqa: S311 - not for secrets
    assert 0 <= wait <= min(2.0 ** (attempt - 1), SETTINGS.longest_wait)


@pytest.mark.parametrize("attempt", [1, 2, 3, 9])
def test_waits_are_spread_over_the_whole_of_it(attempt: int) -> None:
    bound = min(2.0 ** (attempt - 1), SETTINGS.longest_wait)
    waits = [wait_before(attempt, SETTINGS, random.Random(seed)) for seed in range(400)]  # noqa: S311
    tenths = [0] * 10
    for wait in waits:
        tenths[min(int(10 * wait / bound), 9)] += 1
    assert min(tenths) >= 20  # of 40 that are expected
    assert max(tenths) <= 60


async def test_engines_that_fail_together_are_not_asked_again_together() -> None:
    waits = []
    for _ in range(10):
        clock = ManualClock()
        await Retrier(SETTINGS, clock, clock.sleep).call(Engine(clock, "unreachable"), 10.0, safe)
        waits += clock.slept
    assert len(set(waits)) == 10
