import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.api.rates import Rate, TokenBucket
from tests.service.clock import ManualClock

RATES = st.builds(Rate, st.integers(1, 100_000), st.integers(1, 1000))


def taken(bucket: TokenBucket, tries: int) -> int:
    return sum(bucket.take() == 0 for _ in range(tries))


def test_a_burst_then_one_at_a_time() -> None:
    clock = ManualClock()
    bucket = TokenBucket(Rate(per_minute=30, burst=3), clock)
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 2, 2]
    clock.advance(1.0)
    assert bucket.take() == 1
    clock.advance(1.0)
    assert [bucket.take(), bucket.take()] == [0, 2]


def test_what_is_not_used_is_not_saved_beyond_the_burst() -> None:
    clock = ManualClock()
    bucket = TokenBucket(Rate(per_minute=60, burst=2), clock)
    clock.advance(1e9)
    assert taken(bucket, 10) == 2


@given(rate=RATES)
def test_after_the_seconds_it_names_there_is_a_token(rate: Rate) -> None:
    clock = ManualClock()
    bucket = TokenBucket(rate, clock)
    assert taken(bucket, rate.burst) == rate.burst
    wait = bucket.take()
    assert wait >= 1
    clock.advance(wait)
    assert bucket.take() == 0


@given(rate=RATES, pauses=st.lists(st.floats(0, 200), max_size=50))
def test_never_more_than_the_burst_and_the_rate(rate: Rate, pauses: list[float]) -> None:
    clock = ManualClock()
    bucket = TokenBucket(rate, clock)
    begun = clock.now
    passed = 0
    for pause in pauses:
        clock.advance(pause)
        passed += taken(bucket, 20)
        most = rate.burst + (clock.now - begun) * rate.per_minute / 60
        assert passed <= most + 1e-3


@pytest.mark.parametrize("per_minute", [7, 20, 59, 61])
def test_rounding_loses_no_token(per_minute: int) -> None:
    clock = ManualClock()
    bucket = TokenBucket(Rate(per_minute, 2), clock)
    passed = 0
    for _ in range(600 * 10):
        clock.advance(0.1)
        passed += bucket.take() == 0
    assert 0 <= passed - 10 * per_minute <= 2  # ten minutes, and the burst
