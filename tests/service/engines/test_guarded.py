"""A guarded engine: what is asked again, what is refused, what the probes still see."""

import asyncio
import random
from collections.abc import Callable, Mapping

import pytest

from service.engines.breaker import BreakerSettings, Circuit, CircuitBreaker
from service.engines.guarded import GuardedEngine
from service.engines.ports import FaultReason, spending
from service.engines.retries import Retrier, RetrySettings
from service.engines.vllm import MAX_RESPONSE_BYTES, Fault
from tests.service.allowance import FakeAllowance
from tests.service.clock import ManualClock

BREAKER = BreakerSettings(window=10, failures=3, share=0.5, rest=2, longest_rest=6)


class Engine:
    """Answers with what it is told to: a body, or a fault."""

    def __init__(self, *answers: bytes | Fault) -> None:
        self.answers = list(answers)
        self.timeouts: list[float] = []

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        assert size == MAX_RESPONSE_BYTES
        assert path == "/pooling"
        assert payload == {"model": "sorm"}
        self.timeouts.append(timeout)
        answer = self.answers.pop(0) if self.answers else b"sound"
        if isinstance(answer, Fault):
            raise answer
        return answer

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], None],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """The answer as one event; a fault that comes after the beginning comes after an event."""
        if self.answers and isinstance(fault := self.answers[0], Fault) and fault.begun:
            on_data(b"begun")
        on_data(await self.post(path, payload, timeout=timeout, size=size))

    async def get(self, path: str, *, timeout: float) -> bytes:  # noqa: ASYNC109
        assert timeout == 1.0
        return path.encode()


def guarded(engine: Engine) -> tuple[GuardedEngine, ManualClock]:
    clock = ManualClock()
    retrier = Retrier(RetrySettings(), clock, clock.sleep, random.Random(1))  # noqa: S311
    return GuardedEngine(engine, CircuitBreaker(BREAKER, clock), retrier), clock


async def ask(engine: GuardedEngine) -> bytes:
    return await engine.post("/pooling", {"model": "sorm"}, timeout=5.0)


def circuit_of(engine: GuardedEngine) -> Circuit:
    return engine.circuit


NOT_BEGUN = [
    Fault(reason="unreachable"),
    Fault(reason="overloaded", status=503),
    Fault(reason="failed", reused=True),
]


@pytest.mark.parametrize("fault", NOT_BEGUN, ids=str)
async def test_what_was_not_begun_is_asked_again(fault: Fault) -> None:
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
    engine, _ = guarded(Engine(Fault(reason=reason, status=status)))
    with pytest.raises(Fault) as caught:
        await ask(engine)
    assert caught.value.reason == reason
    assert engine.retries == 0


async def test_a_closed_connection_is_believed_to_be_an_old_one_once_in_a_call() -> None:
    closed = Fault(reason="failed", reused=True)
    inner = Engine(closed, Fault(reason="overloaded", status=429), closed)
    engine, _ = guarded(inner)
    with pytest.raises(Fault, match="failed"):
        await ask(engine)
    assert len(inner.timeouts) == 3
    inner = Engine(closed, closed)
    engine, _ = guarded(inner)
    with pytest.raises(Fault, match="failed"):
        await ask(engine)
    assert len(inner.timeouts) == 2
    inner = Engine(closed, b"sound", closed, b"sound")
    engine, _ = guarded(inner)
    for _ in range(2):
        assert await ask(engine) == b"sound"


@pytest.mark.parametrize("fault", NOT_BEGUN, ids=str)
async def test_only_what_may_have_been_begun_takes_its_tokens_once_more(fault: Fault) -> None:
    engine, _ = guarded(Engine(fault))
    allowance = FakeAllowance(calls=5, repeats=5)
    with spending(allowance):
        assert await ask(engine) == b"sound"
    assert allowance.asked == [(1, fault.reused)]


async def stream(engine: GuardedEngine, told: list[bytes]) -> None:
    await engine.stream("/pooling", {"model": "sorm"}, told.append, timeout=5.0)


@pytest.mark.parametrize("fault", NOT_BEGUN, ids=str)
async def test_a_stream_that_was_not_begun_is_asked_for_again(fault: Fault) -> None:
    inner = Engine(fault, b"at last")
    engine, clock = guarded(inner)
    told: list[bytes] = []
    await stream(engine, told)
    assert told == [b"at last"]
    assert engine.retries == 1
    assert inner.timeouts == pytest.approx([5.0, 5.0 - clock.slept[0]])


@pytest.mark.parametrize("reason", ["unreachable", "overloaded", "failed", "bad_response"])
async def test_a_stream_that_was_begun_is_not(reason: FaultReason) -> None:
    engine, _ = guarded(Engine(Fault(reason=reason, begun=True)))
    told: list[bytes] = []
    with pytest.raises(Fault) as caught:
        await stream(engine, told)
    assert caught.value.reason == reason
    assert told == [b"begun"]
    assert engine.retries == 0


async def test_streams_that_fail_open_the_circuit() -> None:
    inner = Engine(*[Fault(reason="failed", begun=True)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(Fault, match="failed"):
            await stream(engine, [])
    with pytest.raises(Fault, match="circuit_open"):
        await stream(engine, [])
    assert len(inner.timeouts) == 3  # not asked
    clock.advance(BREAKER.rest)
    await stream(engine, [])
    assert circuit_of(engine) is Circuit.CLOSED


async def test_an_engine_that_fails_is_left_alone_and_tried_again_later() -> None:
    inner = Engine(*[Fault(reason="failed", status=500)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(Fault, match="failed"):
            await ask(engine)
    assert circuit_of(engine) is Circuit.OPEN
    allowance = FakeAllowance()
    with spending(allowance), pytest.raises(Fault, match="circuit_open"):
        await ask(engine)
    assert len(inner.timeouts) == 3  # not asked
    assert allowance.unmade == 1
    assert await engine.get("/health", timeout=1.0) == b"/health"
    clock.advance(BREAKER.rest)
    assert await ask(engine) == b"sound"
    assert circuit_of(engine) is Circuit.CLOSED


async def test_slow_calls_never_open_the_circuit() -> None:
    engine, _ = guarded(Engine(*[Fault(reason="timeout")] * 50))
    for _ in range(50):
        with pytest.raises(Fault, match="timeout"):
            await ask(engine)
    assert circuit_of(engine) is Circuit.CLOSED


async def test_a_cancelled_try_leaves_room_for_the_next() -> None:
    class Hanging(Engine):
        async def post(
            self,
            path: str,
            payload: Mapping[str, object],
            *,
            timeout: float,  # noqa: ASYNC109
            size: int = MAX_RESPONSE_BYTES,
        ) -> bytes:
            if self.answers:
                return await super().post(path, payload, timeout=timeout, size=size)
            await asyncio.Event().wait()
            raise AssertionError

    inner = Hanging(*[Fault(reason="failed", status=500)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(Fault):
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
    inner = Engine(*[Fault(reason="failed", status=500)] * 3)
    engine, clock = guarded(inner)
    for _ in range(3):
        with pytest.raises(Fault):
            await ask(engine)
    clock.advance(BREAKER.rest)

    def broken(_data: bytes) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await engine.stream("/pooling", {"model": "sorm"}, broken, timeout=5.0)
    assert await ask(engine) == b"sound"


async def test_a_late_answer_to_a_call_of_before_is_not_the_try() -> None:
    class Late(Engine):
        """The first call answers when it is told to."""

        def __init__(self) -> None:
            super().__init__(*[Fault(reason="failed", status=500)] * 3)
            self.go = asyncio.Event()

        async def post(
            self,
            path: str,
            payload: Mapping[str, object],
            *,
            timeout: float,  # noqa: ASYNC109
            size: int = MAX_RESPONSE_BYTES,
        ) -> bytes:
            if not self.timeouts:
                self.timeouts.append(timeout)
                await self.go.wait()
                return b"late"
            return await super().post(path, payload, timeout=timeout, size=size)

    inner = Late()
    engine, clock = guarded(inner)
    late = asyncio.create_task(ask(engine))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(Fault):
            await ask(engine)
    clock.advance(BREAKER.rest)
    inner.go.set()
    assert await late == b"late"
    assert circuit_of(engine) is Circuit.HALF_OPEN
