"""A role's engine: what is asked again, what is refused, how long it may take, and probes."""

import asyncio
import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.engines.breaker import BreakerSettings, Circuit
from glore.engines.exchange import MAX_RESPONSE_BYTES, EngineHTTPError
from glore.engines.ports import FaultReason, Lease
from glore.engines.resilience import (
    ResilientEngine,
    RetryBudget,
    RetrySettings,
    RoleLimits,
    wait_before,
)
from tests.service.clock import ManualClock
from tests.service.leases import FakeLease

BREAKER = BreakerSettings(window=10, failures=3, share=0.5, rest=2, longest_rest=6)
RETRYING = RetrySettings()


class Engine:
    """Answers with what it is told to: a body, or a fault."""

    def __init__(self, *answers: bytes | EngineHTTPError) -> None:
        self.answers = list(answers)
        self.timeouts: list[float] = []

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        assert size == MAX_RESPONSE_BYTES
        assert path == "/pooling"
        assert payload == {"model": "sorm"}
        self.timeouts.append(lease.timeout)
        answer = self.answers.pop(0) if self.answers else b"sound"
        if isinstance(answer, EngineHTTPError):
            raise answer
        return answer

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], bool | None],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """The answer as one event; a fault that comes after the beginning comes after an event."""
        if self.answers and isinstance(fault := self.answers[0], EngineHTTPError) and fault.begun:
            on_data(b"begun")
        on_data(await self.post(path, payload, lease=lease, size=size))

    async def get(self, path: str, *, timeout: float) -> bytes:
        assert timeout == 1.0
        return path.encode()


def guarded(
    engine: Engine, retrying: RetrySettings = RETRYING
) -> tuple[ResilientEngine, ManualClock]:
    clock = ManualClock()
    guard = ResilientEngine(
        engine,
        limits=RoleLimits(),
        breaking=BREAKER,
        retrying=retrying,
        clock=clock,
        sleep=clock.sleep,
        rng=random.Random(1),
    )
    return guard, clock


LEASE = Lease(5.0)


async def ask(engine: ResilientEngine, lease: Lease = LEASE) -> bytes:
    return await engine.post("/pooling", {"model": "sorm"}, lease=lease)


def circuit_of(engine: ResilientEngine) -> Circuit:
    return engine.circuit


NOT_BEGUN = [
    EngineHTTPError(reason="unreachable"),
    EngineHTTPError(reason="overloaded", status=503),
    EngineHTTPError(reason="failed", reused=True),
]


@pytest.mark.parametrize("fault", NOT_BEGUN, ids=str)
async def test_what_was_not_begun_is_requested_again(fault: EngineHTTPError) -> None:
    inner = Engine(fault, b"at last")
    engine, clock = guarded(inner)
    assert await ask(engine) == b"at last"
    assert engine.retries == 1
    assert inner.timeouts == pytest.approx([5.0, 5.0 - clock.slept[0]])


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("failed", None),
        ("failed", 500),
        ("rejected", 400),
        ("timeout", None),
        ("bad_response", None),
    ],
)
async def test_what_may_have_been_begun_is_not(reason: FaultReason, status: int | None) -> None:
    engine, _ = guarded(Engine(EngineHTTPError(reason=reason, status=status)))
    with pytest.raises(EngineHTTPError) as caught:
        await ask(engine)
    assert caught.value.reason == reason
    assert engine.retries == 0


async def test_a_closed_connection_is_believed_to_be_an_old_one_once_in_a_call() -> None:
    closed = EngineHTTPError(reason="failed", reused=True)
    inner = Engine(closed, EngineHTTPError(reason="overloaded", status=429), closed)
    engine, _ = guarded(inner)
    with pytest.raises(EngineHTTPError, match="failed"):
        await ask(engine)
    assert len(inner.timeouts) == 3
    inner = Engine(closed, closed)
    engine, _ = guarded(inner)
    with pytest.raises(EngineHTTPError, match="failed"):
        await ask(engine)
    assert len(inner.timeouts) == 2
    inner = Engine(closed, b"sound", closed, b"sound")
    engine, _ = guarded(inner)
    for _ in range(2):
        assert await ask(engine) == b"sound"


@pytest.mark.parametrize("fault", NOT_BEGUN, ids=str)
async def test_only_what_may_have_been_begun_takes_its_tokens_once_more(
    fault: EngineHTTPError,
) -> None:
    engine, _ = guarded(Engine(fault))
    lease = FakeLease(calls=5, repeats=5)
    assert await ask(engine, lease) == b"sound"
    assert lease.reported.requested == [(1, fault.reused)]


async def stream(engine: ResilientEngine, reports: list[bytes]) -> None:
    await engine.stream("/pooling", {"model": "sorm"}, reports.append, lease=Lease(5.0))


@pytest.mark.parametrize("fault", NOT_BEGUN, ids=str)
async def test_a_stream_that_was_not_begun_is_requested_again(fault: EngineHTTPError) -> None:
    inner = Engine(fault, b"at last")
    engine, clock = guarded(inner)
    reports: list[bytes] = []
    await stream(engine, reports)
    assert reports == [b"at last"]
    assert engine.retries == 1
    assert inner.timeouts == pytest.approx([5.0, 5.0 - clock.slept[0]])


@pytest.mark.parametrize("reason", ["unreachable", "overloaded", "failed", "bad_response"])
async def test_a_stream_that_was_begun_is_not(reason: FaultReason) -> None:
    engine, _ = guarded(Engine(EngineHTTPError(reason=reason, begun=True)))
    reports: list[bytes] = []
    with pytest.raises(EngineHTTPError) as caught:
        await stream(engine, reports)
    assert caught.value.reason == reason
    assert reports == [b"begun"]
    assert engine.retries == 0


async def test_streams_that_fail_open_the_circuit() -> None:
    inner = Engine(*[EngineHTTPError(reason="failed", begun=True)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(EngineHTTPError, match="failed"):
            await stream(engine, [])
    with pytest.raises(EngineHTTPError, match="circuit_open"):
        await stream(engine, [])
    assert len(inner.timeouts) == 3  # not asked
    clock.advance(BREAKER.rest)
    await stream(engine, [])
    assert circuit_of(engine) is Circuit.CLOSED


async def test_an_engine_that_fails_is_left_alone_and_tried_again_later() -> None:
    inner = Engine(*[EngineHTTPError(reason="failed", status=500)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(EngineHTTPError, match="failed"):
            await ask(engine)
    assert circuit_of(engine) is Circuit.OPEN
    lease = FakeLease()
    with pytest.raises(EngineHTTPError, match="circuit_open"):
        await ask(engine, lease)
    assert len(inner.timeouts) == 3  # not asked
    assert lease.reported.refunded == 1
    assert await engine.get("/health", timeout=1.0) == b"/health"
    clock.advance(BREAKER.rest)
    assert await ask(engine) == b"sound"
    assert circuit_of(engine) is Circuit.CLOSED


async def test_calls_that_are_too_slow_for_their_request_never_open_the_circuit() -> None:
    engine, _ = guarded(Engine(*[EngineHTTPError(reason="timeout")] * 50))
    for _ in range(50):
        with pytest.raises(EngineHTTPError, match="timeout"):
            await ask(engine)
    assert circuit_of(engine) is Circuit.CLOSED


async def test_a_cancelled_try_leaves_room_for_the_next() -> None:
    class Hanging(Engine):
        async def post(
            self,
            path: str,
            payload: Mapping[str, object],
            *,
            lease: Lease,
            size: int = MAX_RESPONSE_BYTES,
        ) -> bytes:
            if self.answers:
                return await super().post(path, payload, lease=lease, size=size)
            await asyncio.Event().wait()
            raise AssertionError

    inner = Hanging(*[EngineHTTPError(reason="failed", status=500)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(EngineHTTPError):
            await ask(engine)
    clock.advance(BREAKER.rest)
    for _ in range(2):
        task = asyncio.create_task(ask(engine))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert circuit_of(engine) is Circuit.HALF_OPEN


async def test_a_reader_of_events_that_fails_leaves_room_for_the_next_try() -> None:
    inner = Engine(*[EngineHTTPError(reason="failed", status=500)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(EngineHTTPError):
            await ask(engine)
    clock.advance(BREAKER.rest)

    def broken(_data: bytes) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await engine.stream("/pooling", {"model": "sorm"}, broken, lease=Lease(5.0))
    assert await ask(engine) == b"sound"


async def test_a_late_answer_to_a_call_of_before_is_not_the_try() -> None:
    class Late(Engine):
        """The first call answers when it is told to."""

        def __init__(self) -> None:
            super().__init__(*[EngineHTTPError(reason="failed", status=500)] * 3)
            self.go = asyncio.Event()

        async def post(
            self,
            path: str,
            payload: Mapping[str, object],
            *,
            lease: Lease,
            size: int = MAX_RESPONSE_BYTES,
        ) -> bytes:
            if not self.timeouts:
                self.timeouts.append(lease.timeout)
                await self.go.wait()
                return b"late"
            return await super().post(path, payload, lease=lease, size=size)

    inner = Late()
    engine, clock = guarded(inner)
    late = asyncio.create_task(ask(engine))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(EngineHTTPError):
            await ask(engine)
    clock.advance(BREAKER.rest)
    inner.go.set()
    assert await late == b"late"
    assert circuit_of(engine) is Circuit.HALF_OPEN


# --- how often ---------------------------------------------------------------------------

FEW = RetrySettings(attempts=3, first_wait=1.0, longest_wait=4.0, share=0.1, saved=9.0)


async def test_the_last_attempts_error_is_raised() -> None:
    reasons: list[FaultReason] = ["overloaded", "overloaded", "unreachable", "overloaded"]
    inner = Engine(*(EngineHTTPError(reason=reason) for reason in reasons))
    engine, _ = guarded(inner, FEW)
    with pytest.raises(EngineHTTPError, match="unreachable"):
        await engine.post("/pooling", {"model": "sorm"}, lease=Lease(100.0))
    assert len(inner.timeouts) == FEW.attempts


async def test_no_attempt_is_created_that_would_begin_too_late() -> None:
    class Slow(Engine):
        """Each call takes as long as it may."""

        async def post(
            self,
            path: str,
            payload: Mapping[str, object],
            *,
            lease: Lease,
            size: int = MAX_RESPONSE_BYTES,
        ) -> bytes:
            clock.advance(lease.timeout)
            return await super().post(path, payload, lease=lease, size=size)

    inner = Slow(EngineHTTPError(reason="unreachable"))
    engine, clock = guarded(inner)
    with pytest.raises(EngineHTTPError, match="unreachable"):
        await ask(engine)
    assert len(inner.timeouts) == 1
    assert clock.slept == []


async def test_an_engine_in_trouble_is_not_requested_more() -> None:
    settings = RetrySettings(saved=2.0)
    engine, _ = guarded(Engine(*[EngineHTTPError(reason="overloaded")] * 1000), settings)
    for _ in range(100):
        with pytest.raises(EngineHTTPError):
            await engine.post("/pooling", {"model": "sorm"}, lease=Lease(100.0))
    assert engine.retries <= settings.saved + 100 * settings.share


def test_what_is_saved_up_is_bounded() -> None:
    budget = RetryBudget(RetrySettings(saved=2.0))
    for _ in range(1000):
        budget.earn()
    for _ in range(2):
        assert budget.allows
        budget.spend()
    assert not budget.allows


async def test_a_retry_is_one_of_the_calls_that_the_request_may_make() -> None:
    lease = FakeLease(calls=1)
    inner = Engine(*[EngineHTTPError(reason="unreachable")] * 2)
    engine, _ = guarded(inner)
    with pytest.raises(EngineHTTPError):
        await ask(engine, lease)
    assert len(inner.timeouts) == 2
    assert lease.reported.requested == [(1, False)] * 2  # the second of which it was not granted
    assert engine.retries == 1


@pytest.mark.parametrize("repeats", [0, 1])
async def test_work_that_may_have_been_begun_is_repeated_if_its_tokens_are_there_twice(
    repeats: int,
) -> None:
    lease = FakeLease(calls=5, repeats=repeats)
    closed = EngineHTTPError(reason="failed", reused=True)
    inner = Engine(EngineHTTPError(reason="unreachable"), closed, closed)
    engine, _ = guarded(inner)
    with pytest.raises(EngineHTTPError):
        await ask(engine, lease)
    assert lease.reported.requested == [(1, False), (1, True)]
    assert len(inner.timeouts) == 2 + repeats
    assert engine.retries == 1 + repeats


async def test_a_request_is_not_requested_what_the_engine_has_not_left() -> None:
    engine, _ = guarded(
        Engine(EngineHTTPError(reason="unreachable")), RetrySettings(saved=0.0, share=0.0)
    )
    lease = FakeLease(calls=5)
    with pytest.raises(EngineHTTPError):
        await ask(engine, lease)
    assert lease.reported.requested == []


@given(st.integers(1, 20), st.integers())
def test_waits_are_random_within_a_bound_that_doubles(attempt: int, seed: int) -> None:
    wait = wait_before(attempt, FEW, random.Random(seed))
    assert 0 <= wait <= min(2.0 ** (attempt - 1), FEW.longest_wait)


@pytest.mark.parametrize("attempt", [1, 2, 3, 9])
def test_waits_are_spread_over_the_whole_of_it(attempt: int) -> None:
    bound = min(2.0 ** (attempt - 1), FEW.longest_wait)
    waits = [wait_before(attempt, FEW, random.Random(seed)) for seed in range(400)]
    tenths = [0] * 10
    for wait in waits:
        tenths[min(int(10 * wait / bound), 9)] += 1
    assert min(tenths) >= 20  # of 40 that are expected
    assert max(tenths) <= 60


async def test_engines_that_fail_together_are_not_requested_again_together() -> None:
    waits = []
    for _ in range(10):
        clock = ManualClock()
        engine = ResilientEngine(
            Engine(EngineHTTPError(reason="unreachable")),
            limits=RoleLimits(),
            breaking=BREAKER,
            clock=clock,
            sleep=clock.sleep,
        )
        await ask(engine)
        waits += clock.slept
    assert len(set(waits)) == 10
