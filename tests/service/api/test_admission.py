"""The gate in front of the work: bounds, order, what is told to those refused."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from glore.api.admission import Admission, BatchLimiter
from glore.api.record import ANONYMOUS
from glore.errors import NoDraftInTimeError, OverloadedError, RateLimitedError
from tests.service.clock import ManualClock

LIMIT_S = 30.0  # ends a test that hangs; generous, for machines that are busy


async def occupy(
    gate: Admission, log: list[str], name: str, over: asyncio.Event, client: str = ANONYMOUS
) -> None:
    async with gate.slot(60, client):
        log.append(name)
        await over.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_bounds_hold_and_turns_come_in_order() -> None:
    gate = Admission(2, 2, ManualClock())
    log: list[str] = []
    overs = {name: asyncio.Event() for name in "abcd"}
    async with asyncio.TaskGroup() as group:
        for name, over in overs.items():
            group.create_task(occupy(gate, log, name, over))
            await settle()
        assert (gate.running, gate.waiting) == (2, 2)
        with pytest.raises(OverloadedError):
            async with gate.slot(60):
                pass
        assert log == ["a", "b"]
        overs["b"].set()
        await settle()
        assert log == ["a", "b", "c"]
        for over in overs.values():
            over.set()
    assert log == ["a", "b", "c", "d"]
    assert (gate.running, gate.waiting) == (0, 0)


async def test_who_waits_too_long_is_reported_so() -> None:
    gate = Admission(1, 5, ManualClock())
    async with gate.slot(60):
        with pytest.raises(OverloadedError, match=r"no turn within 0\.0 s"):
            async with gate.slot(0.01):
                pass
        assert gate.waiting == 0


async def test_who_leaves_while_waiting_takes_no_place() -> None:
    gate = Admission(1, 1, ManualClock())
    log: list[str] = []
    async with gate.slot(60):
        task = asyncio.create_task(occupy(gate, log, "x", asyncio.Event()))
        await settle()
        task.cancel()
        await settle()
        assert gate.waiting == 0
    async with asyncio.timeout(LIMIT_S), gate.slot(60):
        assert gate.running == 1


async def test_a_failure_inside_gives_the_place_back() -> None:
    gate = Admission(1, 0, ManualClock())
    with pytest.raises(RuntimeError):
        async with gate.slot(60):
            raise RuntimeError
    async with gate.slot(60):
        assert gate.running == 1


async def test_retry_after_follows_from_the_queue_and_the_time_questions_take() -> None:
    clock = ManualClock()
    gate = Admission(2, 8, clock)
    assert gate.retry_after == 3  # half of the first guess, in whole seconds
    for _ in range(60):
        async with gate.slot(60):
            clock.advance(20.0)
    assert gate.retry_after == 10
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(gate.slot(60))
        tasks = [asyncio.create_task(occupy(gate, [], "w", asyncio.Event())) for _ in range(8)]
        await settle()
        assert gate.retry_after == 60
        with pytest.raises(OverloadedError) as refused:
            async with gate.slot(60):
                pass
        assert refused.value.headers == {"Retry-After": "60"}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_batches_have_half_of_the_places_and_their_questions_wait() -> None:
    gate = Admission(4, 0, ManualClock())
    started: list[int] = []
    over = asyncio.Event()

    async def question(index: int) -> None:
        async with gate.batch_slot(60):
            started.append(index)
            await over.wait()

    log: list[str] = []
    async with asyncio.TaskGroup() as group:
        for index in range(5):
            group.create_task(question(index))
        await settle()
        assert started == [0, 1]
        for name in "ab":  # single questions find the other half free
            group.create_task(occupy(gate, log, name, over))
        await settle()
        assert (log, gate.running, gate.waiting) == (["a", "b"], 4, 0)
        over.set()
    assert started == [0, 1, 2, 3, 4]
    assert gate.running == 0


async def test_a_batch_whose_time_is_up_waits_no_longer_and_keeps_no_place() -> None:
    gate = Admission(2, 0, ManualClock())
    async with gate.slot(60), gate.slot(60):  # waits for a place at work
        with pytest.raises(NoDraftInTimeError):
            async with gate.batch_slot(0.01):
                pytest.fail("there is no place")
    async with gate.batch_slot(60):  # waits for the other batches
        with pytest.raises(NoDraftInTimeError):
            async with gate.batch_slot(0.01):
                pytest.fail("batches have one place")
    async with asyncio.timeout(LIMIT_S), gate.batch_slot(60):
        assert gate.running == 1


def test_there_is_room_for_so_many_batches_and_no_more() -> None:
    clock = ManualClock()
    limiter = BatchLimiter(2, clock)
    with limiter.slot(), limiter.slot():
        with pytest.raises(OverloadedError) as refused, limiter.slot():
            pytest.fail("there is no place")
        assert limiter.taken == 2
        clock.advance(10.0)
    assert refused.value.headers == {"Retry-After": "30"}  # half of the first guess
    with pytest.raises(RuntimeError), limiter.slot():
        raise RuntimeError
    assert limiter.taken == 0
    for _ in range(60):
        with limiter.slot():
            clock.advance(10.0)
    assert limiter.retry_after == 6


async def test_a_client_has_its_share_of_the_places_and_of_the_queue() -> None:
    gate = Admission(4, 2, ManualClock(), share=0.5)
    log: list[str] = []
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for index in range(3):  # two are answered, one waits though there are limiter
            group.create_task(occupy(gate, log, f"a{index}", over, "alice"))
        await settle()
        assert (log, gate.running, gate.waiting) == (["a0", "a1"], 2, 1)
        with pytest.raises(RateLimitedError, match="2 questions are answered at once and 1 wait"):
            async with gate.slot(60, "alice"):
                pytest.fail("she has her share")
        for index in range(3):
            group.create_task(occupy(gate, log, f"b{index}", over, "bob"))
        await settle()
        assert (log, gate.running, gate.waiting) == (["a0", "a1", "b0", "b1"], 4, 2)
        with pytest.raises(OverloadedError):  # the gate's own bounds hold as ever
            async with gate.slot(60, "carol"):
                pytest.fail("there is no place")
        over.set()
    assert sorted(log) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert (gate.running, gate.waiting) == (0, 0)
    async with gate.slot(60, "alice"), gate.slot(60, "alice"):
        assert gate.running == 2


async def test_one_place_is_the_least_that_a_client_has_and_waiting_for_it_ends() -> None:
    gate = Admission(2, 4, ManualClock(), share=0.25)
    async with gate.slot(60, "alice"):
        with pytest.raises(OverloadedError, match=r"no turn within 0\.0 s"):
            async with gate.slot(0.01, "alice"):
                pytest.fail("she has her share")
        assert gate.waiting == 0
    async with asyncio.timeout(LIMIT_S), gate.slot(60, "alice"):
        assert gate.running == 1


async def test_a_batch_takes_of_its_clients_share_and_does_not_stand_before_others() -> None:
    gate = Admission(4, 4, ManualClock(), share=0.25)
    over = asyncio.Event()
    log: list[str] = []

    async def question(client: str) -> None:
        async with gate.batch_slot(60, client):
            log.append(client)
            await over.wait()

    async with asyncio.TaskGroup() as group:
        for client in ("alice", "alice", "alice", "bob"):
            group.create_task(question(client))
        await settle()
        assert log == ["alice", "bob"]
        group.create_task(occupy(gate, log, "late", over, "alice"))
        await settle()
        assert log == ["alice", "bob"]
        over.set()
    assert log.count("alice") == 3
    assert gate.running == 0


def test_a_client_has_its_share_of_the_batches() -> None:
    limiter = BatchLimiter(4, ManualClock(), share=0.5)
    with limiter.slot("alice"), limiter.slot("alice"):
        with pytest.raises(RateLimitedError, match="2 batches are answered at once") as refused:
            limiter.check("alice")
        assert refused.value.headers == {"Retry-After": "30"}
        with limiter.slot("bob"), limiter.slot("bob"), pytest.raises(OverloadedError):
            limiter.check("carol")
    limiter.check("alice")
