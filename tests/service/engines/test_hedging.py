"""A late call beside itself: who wins, who pays, and that nothing is left running."""

import asyncio
import time

import pytest

from service.engines.breaker import BreakerSettings, CircuitBreaker
from service.engines.guarded import GuardedEngine
from service.engines.hedging import hedged
from service.engines.ports import spending
from service.engines.retries import Retrier, RetrySettings
from tests.service.allowance import FakeAllowance
from tests.service.engines.test_guarded import Engine

FOREVER = 60.0


class Calls:
    """Work whose calls take so many seconds each, and then give their number or an error."""

    def __init__(self, *seconds: float, broken: tuple[int, ...] = ()) -> None:
        self.seconds = seconds
        self.broken = broken
        self.begun = 0
        self.ended: list[int] = []

    async def __call__(self) -> int:
        number = self.begun
        self.begun += 1
        try:
            await asyncio.sleep(self.seconds[number])
            if number in self.broken:
                message = f"call {number}"
                raise ValueError(message)
            return number
        finally:
            self.ended.append(number)


@pytest.mark.parametrize(
    ("calls", "after", "granted", "given"),
    [
        (Calls(0.0), 5.0, True, 0),  # in time
        (Calls(FOREVER, 0.0), 0.01, True, 1),  # the second is faster
        (Calls(0.05, FOREVER), 0.01, True, 0),  # the first, late, is faster still
        (Calls(0.05, 0.0, broken=(1,)), 0.01, True, 0),  # the second fails
        (Calls(0.02, 0.05, broken=(0,)), 0.01, True, 1),  # the first does
        (Calls(0.05), 0.01, False, 0),  # not granted
        (Calls(0.05), None, True, 0),  # off
    ],
)
async def test_the_first_answer_counts_and_nothing_is_left_running(
    *, calls: Calls, after: float | None, granted: bool, given: int
) -> None:
    assert await hedged(calls, after, lambda: granted) == given
    assert calls.begun == len(calls.seconds)
    assert sorted(calls.ended) == list(range(calls.begun))


async def test_the_first_error_is_told_when_both_fail() -> None:
    with pytest.raises(ValueError, match="call 0"):
        await hedged(Calls(0.05, 0.0, broken=(0, 1)), 0.01, lambda: True)


async def test_cancelled_from_outside_both_calls_end() -> None:
    calls = Calls(FOREVER, FOREVER)
    asked = asyncio.create_task(hedged(calls, 0.0, lambda: True))
    while calls.begun < 2:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.001)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert sorted(calls.ended) == [0, 1]


class Slow(Engine):
    """The first call hangs."""

    async def post(self, *_: object, timeout: float) -> bytes:  # noqa: ASYNC109
        self.timeouts.append(timeout)
        await asyncio.sleep(FOREVER if len(self.timeouts) == 1 else 0)
        return b"sound"


def guarded(engine: Engine, hedge_after: float | None) -> GuardedEngine:
    retrier = Retrier(RetrySettings(), time.monotonic, asyncio.sleep)
    breaker = CircuitBreaker(BreakerSettings(), time.monotonic)
    return GuardedEngine(engine, breaker, retrier, hedge_after)


async def test_a_late_engine_is_asked_beside_itself_when_that_is_set() -> None:
    engine = guarded(Slow(), 0.01)
    assert await engine.post("/pooling", {"model": "sorm"}, timeout=5.0) == b"sound"
    assert (engine.hedges, engine.retries) == (1, 0)


@pytest.mark.parametrize("calls", [0, 5])
async def test_it_counts_against_the_calls_and_the_tokens_of_the_request(calls: int) -> None:
    engine = guarded(Slow(), 0.01)
    allowance = FakeAllowance(calls=calls, repeats=0)
    with spending(allowance):
        waiting = asyncio.create_task(engine.post("/pooling", {"model": "sorm"}, timeout=5.0))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert engine.hedges == 0
    assert allowance.asked == [(1, True)]


async def test_it_is_off_by_default() -> None:
    inner = Slow()
    retrier = Retrier(RetrySettings(), time.monotonic, asyncio.sleep)
    engine = GuardedEngine(inner, CircuitBreaker(BreakerSettings(), time.monotonic), retrier)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await engine.post("/pooling", {"model": "sorm"}, timeout=5.0)
    assert (engine.hedges, len(inner.timeouts)) == (0, 1)
