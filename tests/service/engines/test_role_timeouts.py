"""How long a role may take, what counts as its fault, and how many may wait for it."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from glore.engines.breaker import BreakerSettings, Circuit, CircuitChange
from glore.engines.exchange import MAX_RESPONSE_BYTES, EngineHTTPError
from glore.engines.ports import Lease
from glore.engines.resilience import CallTimes, ResilientEngine, RoleLimits
from tests.service.leases import FakeLease
from tests.service.virtual import run

BREAKING = BreakerSettings(timeouts=5, timeouts_in_turn=3)
QUARTER = RoleLimits(share=0.25, late=3)


class Engine:
    """Answers after `takes` seconds; None: never."""

    def __init__(self, takes: float | None = 0.05) -> None:
        self.takes = takes
        self.running = self.asked = 0

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        self.asked += 1
        self.running += 1
        try:
            async with asyncio.timeout(lease.timeout):
                await (asyncio.Event().wait() if self.takes is None else asyncio.sleep(self.takes))
        except TimeoutError:
            raise EngineHTTPError(reason="timeout") from None
        finally:
            self.running -= 1
        return b"sound"

    async def stream(self, *_: Any, **__: Any) -> None:
        raise AssertionError

    async def get(self, *_: Any, **__: Any) -> bytes:
        raise AssertionError


class Role:
    """A role of this engine, in virtual time."""

    def __init__(
        self, engine: Engine, limits: RoleLimits = QUARTER, like: CallTimes | None = None
    ) -> None:
        self.changes: list[CircuitChange] = []
        self._clock = asyncio.get_running_loop().time
        self.engine = engine
        self.guard = ResilientEngine(
            engine,
            limits=limits,
            like=like,
            breaking=BREAKING,
            clock=self._clock,
            on_change=self.changes.append,
        )

    def circuit(self) -> Circuit:
        return self.guard.circuit

    async def ask(self, deadline: float, left: float | None = None) -> tuple[str, float]:
        """What comes of a call, and after how many seconds; `left` of the deadline."""
        began = self._clock()
        timeout = deadline if left is None else left
        try:
            lease = FakeLease(timeout, of_request=deadline)
            await self.guard.post("/pooling", {}, lease=lease)
        except EngineHTTPError as fault:
            return fault.reason, round(self._clock() - began, 3)
        return "answered", round(self._clock() - began, 3)

    async def ask_at_once(self, calls: int, deadline: float) -> list[tuple[str, float]]:
        return sorted(await asyncio.gather(*(self.ask(deadline) for _ in range(calls))))


def in_virtual_time(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Run a test where waiting takes no time."""

    @functools.wraps(test)
    def wrapped(*arguments: object, **named: object) -> None:
        run(test(*arguments, **named))

    return wrapped


@in_virtual_time
async def test_a_role_that_never_answered_has_its_share_of_the_deadline() -> None:
    role = Role(Engine(None))
    assert await role.ask(40.0) == ("timeout", 10.0)
    assert await role.ask(8.0) == ("timeout", 2.0)


@in_virtual_time
async def test_a_role_without_a_share_has_the_time_of_its_request() -> None:
    role = Role(Engine(None), RoleLimits())
    for _ in range(20):
        assert await role.ask(40.0) == ("timeout", 40.0)
    assert role.circuit() is Circuit.CLOSED


@in_virtual_time
async def test_a_setting_is_the_limit_whatever_the_deadline() -> None:
    role = Role(Engine(None), RoleLimits(timeout=3.0, share=0.25, late=9))
    assert await role.ask(100.0) == ("timeout", 3.0)
    assert await role.ask(2.0) == ("timeout", 2.0)
    assert await role.ask(4.0) == ("timeout", 3.0)


@pytest.mark.parametrize(("takes", "limit"), [(0.01, 3.0), (0.2, 4.8), (0.3, 7.2), (1.0, 10.0)])
def test_a_role_that_has_answered_has_many_times_that(takes: float, limit: float) -> None:
    async def test() -> None:
        engine = Engine(takes)
        role = Role(engine)
        assert await role.ask(40.0) == ("answered", takes)
        engine.takes = None
        assert await role.ask(40.0) == ("timeout", limit)

    run(test())


@in_virtual_time
async def test_timeouts_of_a_role_open_its_circuit_if_none_is_answered_in_between() -> None:
    engine = Engine(0.05)
    role = Role(engine)
    for _ in range(100):  # long ago, or just now: none of these speaks for an engine that hangs
        await role.ask(40.0)
    engine.takes = None
    for _ in range(BREAKING.timeouts_in_turn - 1):
        assert await role.ask(40.0) == ("timeout", 3.0)
    engine.takes = 0.05
    await role.ask(40.0)
    engine.takes = None
    for _ in range(BREAKING.timeouts_in_turn):
        assert role.circuit() is Circuit.CLOSED
        assert await role.ask(40.0) == ("timeout", 3.0)
    assert role.circuit() is Circuit.OPEN
    assert await role.ask(40.0) == ("circuit_open", 0.0)
    assert role.changes == [CircuitChange(Circuit.OPEN, "timeout", BREAKING.rest)]


@in_virtual_time
async def test_timeouts_at_the_same_time_count_each() -> None:
    role = Role(Engine(None), RoleLimits(share=0.25, late=9))
    assert set(await role.ask_at_once(BREAKING.timeouts - 1, 40.0)) == {("timeout", 10.0)}
    assert role.circuit() is Circuit.CLOSED
    await role.ask(40.0)
    assert role.circuit() is Circuit.OPEN


@in_virtual_time
async def test_a_request_whose_own_time_is_up_says_nothing_of_the_engine() -> None:
    role = Role(Engine(None), RoleLimits(timeout=5.0, late=9))
    for _ in range(30):
        assert await role.ask(4.0) == ("timeout", 4.0)
        assert await role.ask(40.0, left=1.0) == ("timeout", 1.0)
    assert role.circuit() is Circuit.CLOSED


@in_virtual_time
async def test_impatient_requests_cannot_open_the_circuit_of_a_slow_engine() -> None:
    role = Role(Engine(2.0))
    assert await role.ask(60.0) == ("answered", 2.0)
    for _ in range(30):
        assert await role.ask(4.0) == ("timeout", 1.0)
        assert await role.ask(0.8) == ("timeout", 0.2)
    assert await role.ask(60.0) == ("answered", 2.0)
    assert role.circuit() is Circuit.CLOSED


@in_virtual_time
async def test_an_engine_that_becomes_ten_times_as_slow_trips_nothing() -> None:
    engine = Engine(0.1)
    role = Role(engine)
    await role.ask_at_once(20, 40.0)
    engine.takes = 1.0
    for _ in range(20):
        assert set(await role.ask_at_once(20, 40.0)) == {("answered", 1.0)}
    assert role.changes == []


# --- how many wait -----------------------------------------------------------------------


@in_virtual_time
async def test_few_calls_may_be_late_and_the_others_end_then() -> None:
    engine = Engine(None)
    role = Role(engine)
    requested = asyncio.create_task(role.ask_at_once(10, 40.0))
    await asyncio.sleep(5.1)
    assert engine.running == 3
    assert role.circuit() is Circuit.OPEN
    assert await role.ask(40.0) == ("circuit_open", 0.0)
    assert engine.asked == 10
    assert await requested == [("timeout", 5.0)] * 7 + [("timeout", 10.0)] * 3
    assert [change.reason for change in role.changes] == ["3 calls are late"]


@in_virtual_time
async def test_calls_that_end_because_too_many_are_late_do_not_count_as_faults() -> None:
    engine = Engine(None)
    role = Role(engine)
    requested = asyncio.create_task(role.ask_at_once(30, 40.0))
    await asyncio.sleep(6.0)
    engine.takes = 0.1
    await requested
    assert role.circuit() is Circuit.CLOSED  # of three timeouts
    assert await role.ask(40.0) == ("answered", 0.1)


@in_virtual_time
async def test_calls_go_through_again_once_the_late_ones_are_answered() -> None:
    engine = Engine(6.0)
    role = Role(engine)
    found = await role.ask_at_once(5, 40.0)
    assert found == [("answered", 6.0)] * 3 + [("timeout", 5.0)] * 2
    assert await role.ask(40.0) == ("answered", 6.0)
    assert set(await role.ask_at_once(20, 40.0)) == {("answered", 6.0)}  # it is known to be slow


@in_virtual_time
async def test_a_refused_call_is_not_created() -> None:
    role = Role(Engine(None))
    late = asyncio.create_task(role.ask_at_once(3, 40.0))
    await asyncio.sleep(5.1)
    lease = FakeLease(40.0, of_request=40.0)
    with pytest.raises(EngineHTTPError, match="circuit_open"):
        await role.guard.post("/pooling", {}, lease=lease)
    assert (lease.reported.refunded, lease.reported.requested) == (1, [])
    await late


@in_virtual_time
async def test_cancelled_calls_are_not_late_any_more() -> None:
    role = Role(Engine(None))
    late = asyncio.create_task(role.ask_at_once(3, 40.0))
    await asyncio.sleep(5.1)
    assert role.circuit() is Circuit.OPEN
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert role.circuit() is Circuit.CLOSED


# --- the trial ---------------------------------------------------------------------------


async def opened(limits: RoleLimits = QUARTER, takes: float = 0.05) -> Role:
    """A role whose circuit has just opened: it has answered before, and hangs."""
    role = Role(Engine(takes), limits)
    await role.ask(40.0)
    role.engine.takes = None
    while role.circuit() is not Circuit.OPEN or role.engine.running:
        await role.ask(40.0)
    return role


@in_virtual_time
async def test_a_trial_is_short_and_one_at_a_time() -> None:
    role = await opened()
    await asyncio.sleep(BREAKING.rest)
    assert await role.ask_at_once(4, 40.0) == [("circuit_open", 0.0)] * 3 + [("timeout", 1.5)]
    assert role.circuit() is Circuit.OPEN
    assert role.changes[-1] == CircuitChange(Circuit.OPEN, "the trial failed: timeout", 4.0)


@in_virtual_time
async def test_trials_take_longer_so_an_engine_that_has_become_slow_is_found_again() -> None:
    role = await opened()
    role.engine.takes = 4.0
    found = []
    while role.circuit() is not Circuit.CLOSED:
        await asyncio.sleep(1.0)
        found.append(await role.ask(40.0))
    tried = [each for each in found if each[0] != "circuit_open"]
    assert tried == [("timeout", 1.5), ("timeout", 3.0), ("answered", 4.0)]
    assert await role.ask(40.0) == ("answered", 4.0)
    assert await role.ask_at_once(20, 40.0) == [("answered", 4.0)] * 20


@in_virtual_time
async def test_a_trial_has_half_of_the_roles_share_at_most() -> None:
    role = await opened()
    longest = 0.0
    for _ in range(300):
        await asyncio.sleep(1.0)
        longest = max(longest, (await role.ask(40.0))[1])
    assert longest == 5.0


@in_virtual_time
async def test_what_is_late_is_first_known_from_a_role_that_takes_about_as_long() -> None:
    student = Role(Engine(0.2), RoleLimits())
    engine = Engine(None)
    refiner = Role(engine, QUARTER, like=student.guard.times)
    unknown = asyncio.create_task(refiner.ask_at_once(4, 40.0))
    await student.ask(40.0)
    known = asyncio.create_task(refiner.ask_at_once(4, 40.0))
    await asyncio.sleep(2.5)
    assert engine.running == 4 + 3
    assert (await known)[0] == ("timeout", 2.4)
    await unknown


@in_virtual_time
async def test_the_slowest_recent_answer_counts() -> None:
    engine = Engine(0.01)
    role = Role(engine)
    for takes in (0.01, 0.4, 0.01):
        engine.takes = takes
        await role.ask(40.0)
    engine.takes = None
    assert (await role.ask(60.0))[1] == pytest.approx(24 * 0.9 * 0.4, abs=0.1)


@in_virtual_time
async def test_a_trial_of_an_impatient_request_decides_nothing() -> None:
    role = await opened()
    await asyncio.sleep(BREAKING.rest)
    assert await role.ask(0.8) == ("timeout", 0.1)
    assert role.circuit() is Circuit.HALF_OPEN
    role.engine.takes = 0.05
    assert await role.ask(40.0) == ("answered", 0.05)
    assert role.circuit() is Circuit.CLOSED


@in_virtual_time
async def test_the_rest_can_be_ended() -> None:
    role = await opened()
    role.engine.takes = 0.05
    role.guard.end_rest()
    assert role.circuit() is Circuit.HALF_OPEN
    assert await role.ask(40.0) == ("answered", 0.05)
    assert role.circuit() is Circuit.CLOSED


@in_virtual_time
async def test_a_rest_that_was_ended_in_vain_is_followed_by_one_that_is_not() -> None:
    role = await opened()
    role.guard.end_rest()
    assert await role.ask(40.0) == ("timeout", 1.5)
    assert role.changes[-1].rest == BREAKING.rest


@in_virtual_time
async def test_a_status_that_says_timeout_is_no_fault() -> None:
    """As of a proxy between: how long it waited is not known."""

    class Proxy(Engine):
        async def post(self, *_: Any, **__: Any) -> bytes:
            raise EngineHTTPError(reason="timeout", status=504)

    role = Role(Proxy())
    for _ in range(30):
        assert await role.ask(40.0) == ("timeout", 0.0)
    assert role.circuit() is Circuit.CLOSED
