"""What waits to be read, the signs of life, and how a telling ends."""

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

import pytest

from glore.api.progress_queue import JOIN_S, Admitted, Heartbeat, ProgressQueue, StreamItem
from glore.api.schemas import SolveResponse
from glore.errors import NoDraftInTimeError
from glore.refinement.progress import Delta, StageDone
from glore.refinement.types import Reranked, Stage, State
from tests.service import virtual
from tests.service.refinement.builders import job

PATIENT = 60.0
EVENT = StageDone(Reranked(()), State(job()))


def delta(text: str, stage: Stage = Stage.DRAFT) -> Delta:
    return Delta(stage, text)


async def ended(telling: ProgressQueue, error: Exception | None = None) -> SolveResponse:
    """End a telling with a response or an error."""
    response = SolveResponse.model_construct(id="solve_1")

    async def work() -> SolveResponse:
        if error is not None:
            raise error
        return response

    working = asyncio.create_task(work())
    working.add_done_callback(telling.end)
    await asyncio.wait([working])
    return response


async def test_what_is_read_at_once_comes_as_it_was_reported() -> None:
    telling = ProgressQueue(PATIENT)
    for item in (delta("a"), delta("b"), EVENT, delta("c")):
        telling.put(item)
        assert await anext(telling) == item


async def test_what_is_read_late_is_joined_between_events() -> None:
    telling = ProgressQueue(PATIENT)
    for _ in range(100):
        telling.put(delta("a"))
    telling.put(EVENT)
    for _ in range(100):
        telling.put(delta("b", Stage.REFINE_GLOBALLY))
        telling.put(delta("c", Stage.REFINE_LOCALLY))
    telling.put(EVENT)
    response = await ended(telling)
    assert [item async for item in telling] == [
        delta("a" * 100),
        EVENT,
        delta("b" * 100, Stage.REFINE_GLOBALLY),
        delta("c" * 100, Stage.REFINE_LOCALLY),
        EVENT,
        response,
    ]


async def test_a_turn_comes_before_what_is_reported_in_it() -> None:
    telling = ProgressQueue(0.01)
    assert await anext(telling) == Heartbeat()
    telling.begin()
    telling.put(delta("a"))
    telling.put(delta("b"))
    response = await ended(telling)
    assert [item async for item in telling] == [Admitted(), delta("ab"), response]


async def test_a_reader_waits_for_news() -> None:
    telling = ProgressQueue(PATIENT)
    reader = asyncio.ensure_future(anext(telling))
    await asyncio.sleep(0)
    assert not reader.done()
    telling.put(delta("a"))
    assert await reader == delta("a")


async def test_silence_is_reported_again_and_again() -> None:
    telling = ProgressQueue(0.01)
    assert [await anext(telling), await anext(telling)] == [Heartbeat(), Heartbeat()]
    telling.put(delta("a"))
    assert await anext(telling) == delta("a")
    response = await ended(telling)
    assert [item async for item in telling] == [response]


async def test_an_error_comes_after_what_was_reported() -> None:
    telling = ProgressQueue(PATIENT)
    telling.put(delta("a"))
    await ended(telling, NoDraftInTimeError("no draft"))
    assert await anext(telling) == delta("a")
    with pytest.raises(NoDraftInTimeError):
        await anext(telling)
    with pytest.raises(StopAsyncIteration):
        await anext(telling)


# --- joining, in virtual time ---------------------------------------------------------------


Timed: TypeAlias = tuple[float, StreamItem]  # seconds from the start


def read_in_time(*schedule: Timed, heartbeat: float = PATIENT) -> list[Timed]:
    """What a reader that is always ready gets of each item told at its second, and when."""

    async def work() -> list[Timed]:
        loop = asyncio.get_running_loop()
        telling, got = ProgressQueue(heartbeat), list[Timed]()

        async def read() -> None:
            async for item in telling:
                got.append((round(loop.time(), 6), item))

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        for due, item in schedule:
            await asyncio.sleep(due - loop.time())
            assert isinstance(item, Delta | StageDone)
            telling.put(item)
        await ended(telling)
        await reader
        telling.close()
        return got[:-1]  # without the response

    return virtual.run(work())


def every(seconds: float, items: Iterable[StreamItem]) -> list[Timed]:
    return [(seconds * index, item) for index, item in enumerate(items)]


def test_deltas_within_the_join_time_come_as_one() -> None:
    assert read_in_time(*every(0.3 * JOIN_S, map(delta, "abcdefghi"))) == [
        (0, delta("a")),
        (pytest.approx(JOIN_S), delta("bcd")),
        (pytest.approx(2 * JOIN_S), delta("efg")),
        (pytest.approx(2.4 * JOIN_S), delta("hi")),  # then it ends
    ]


def test_no_delta_waits_longer_than_the_join_time() -> None:
    reported: list[Timed] = [(0.0, delta("a")), (JOIN_S / 10, delta("b")), (JOIN_S / 2, delta("c"))]
    got = read_in_time(*reported, (10 * JOIN_S, EVENT))
    assert got == [(0, delta("a")), (JOIN_S, delta("bc")), (10 * JOIN_S, EVENT)]


def test_deltas_that_are_far_apart_do_not_wait() -> None:
    reported = every(1.1 * JOIN_S, map(delta, "abcd"))
    got = read_in_time(*reported)
    assert [item for _, item in got] == [item for _, item in reported]
    assert [at for at, _ in got] == pytest.approx([at for at, _ in reported])


def test_the_first_delta_of_a_stage_and_an_event_do_not_wait() -> None:
    soon = JOIN_S / 10
    reported: list[Timed] = [
        (0.0, delta("a")),
        (soon, delta("b")),
        (2 * soon, EVENT),
        (3 * soon, delta("c", Stage.REFINE_GLOBALLY)),
        (4 * soon, delta("d", Stage.REFINE_LOCALLY)),
    ]
    assert read_in_time(*reported) == [
        (0, delta("a")),
        (pytest.approx(2 * soon), delta("b")),
        (pytest.approx(2 * soon), EVENT),
        (pytest.approx(3 * soon), delta("c", Stage.REFINE_GLOBALLY)),
        (pytest.approx(4 * soon), delta("d", Stage.REFINE_LOCALLY)),
    ]


def test_the_end_does_not_wait() -> None:
    got = read_in_time((0.0, delta("a")), (JOIN_S / 10, delta("b")))
    assert got == [(0, delta("a")), (pytest.approx(JOIN_S / 10), delta("b"))]


def test_a_sign_of_life_comes_when_the_reader_has_waited_so_long() -> None:
    reported: list[Timed] = [(23.0, EVENT), (24.0, delta("a")), (50.0, EVENT)]
    got = read_in_time(*reported, heartbeat=10.0)
    times = [at for at, item in got if item == Heartbeat()]
    assert times == [10, 20, 34, 44]
    assert [pair for pair in got if pair[1] != Heartbeat()] == reported


@pytest.mark.parametrize(("item", "most"), [(EVENT, 1), (delta("a"), 2)])
def test_many_items_take_no_timer_each(
    monkeypatch: pytest.MonkeyPatch, item: Delta | StageDone, most: int
) -> None:
    async def work() -> int:
        timers = virtual.timers(monkeypatch)
        telling = ProgressQueue(PATIENT)

        async def read() -> None:
            async for _ in telling:
                pass

        reader = asyncio.create_task(read())
        for _ in range(1000):
            telling.put(item)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await ended(telling)
        await reader
        telling.close()
        return len(timers)

    assert virtual.run(work()) <= most
