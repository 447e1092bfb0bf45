"""What a run does when it is told to stop, the store fails or another takes a claim over."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from glore.batches.run import BatchLimits, BatchRun, FinishedQuestion, QuestionAnswer, StoppedError
from glore.batches.sqlite import SqliteStore, open_sqlite
from glore.batches.store import BatchName, NothingKept, StoreFailedError

NAME = BatchName("", "k")
PACE = BatchLimits(concurrency=2, lease=0.3, poll=0.02)


class Client:
    """Answers with its own name, when it may, and notes what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[int] = []
        self.reported: dict[int, str] = {}
        self.may = asyncio.Event()
        self.may.set()
        self.stop = asyncio.Event()
        self.broken_off: set[int] = set()

    async def ask(self, index: int) -> QuestionAnswer | None:
        self.asked.append(index)
        await self.may.wait()
        if index in self.broken_off:
            return None
        return QuestionAnswer(f"{self.name}{index}", ok=True)

    async def busy(self) -> None:
        """Wait until it is asked as many questions as it is ever asked at once."""
        while len(self.asked) < PACE.concurrency:
            await asyncio.sleep(0.01)

    async def tell(self, reported: FinishedQuestion) -> None:
        assert reported.index not in self.reported
        self.reported[reported.index] = reported.answer.text

    def run(self, store: SqliteStore | NothingKept, size: int) -> BatchRun:
        return BatchRun(NAME, size, store, self.ask, self.tell, PACE, stop=self.stop)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(tmp_path / "batches.sqlite3") as opened:
        await opened.begin(NAME, "d")
        yield opened


async def test_a_claim_is_stored_for_as_long_as_its_question_takes(store: SqliteStore) -> None:
    slow, other = Client("slow"), Client("other")
    slow.may.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(slow.run(store, 2).run())
        await asyncio.sleep(0.1)
        group.create_task(other.run(store, 2).run())
        await asyncio.sleep(0.8)  # more than two leases
        slow.may.set()
    assert (slow.asked, other.asked) == ([0, 1], [])
    assert slow.reported == other.reported == {0: "slow0", 1: "slow1"}


async def test_a_result_that_comes_after_the_claim_was_lost_gives_way(store: SqliteStore) -> None:
    frozen, other = Client("frozen"), uuid.uuid4().hex
    frozen.may.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(frozen.run(store, 1).run())
        await asyncio.sleep(0.05)
        await store._write("UPDATE glore_batch_questions SET lease_ends = 0")
        assert await store.claim(NAME, 0, other, 60)
        frozen.may.set()
        await asyncio.sleep(0.1)
        assert frozen.reported == {}
        assert await store.finish(NAME, 0, other, "other0")
    assert frozen.reported == {0: "other0"}


async def test_once_it_is_late_what_is_left_is_reported_and_neither_claimed_nor_waited_for(
    store: SqliteStore,
) -> None:
    first, late = Client("first"), False

    async def ask(index: int) -> QuestionAnswer:
        nonlocal late
        late = index > 0
        return QuestionAnswer("late" if late else "in time", ok=not late)

    assert await store.claim(NAME, 4, "other", 60)
    pace = BatchLimits(concurrency=1, lease=60, poll=0.02)
    async with asyncio.timeout(20):
        await BatchRun(NAME, 5, store, ask, first.tell, pace, lambda: late).run()
    assert first.reported == {0: "in time"} | dict.fromkeys(range(1, 5), "late")
    assert await store.claim(NAME, 2, "next", 60)
    assert not await store.claim(NAME, 4, "next", 60)


async def test_a_store_that_fails_ends_the_run_and_all_its_work() -> None:
    class Failing(NothingKept):
        async def renew(self, name: BatchName, holder: str, lease: float) -> None:
            message = f"no lease of {lease} s for {holder[:0]}{name.key}"
            raise StoreFailedError(message)

    client = Client("x")
    client.may.clear()
    with pytest.raises(StoreFailedError, match="no lease"):
        await client.run(Failing(), 5).run()
    assert client.reported == {}
    assert len(asyncio.all_tasks()) == 1


async def test_a_run_that_is_cancelled_gives_its_claims_back(store: SqliteStore) -> None:
    client = Client("x")
    client.may.clear()
    task = asyncio.create_task(client.run(store, 4).run())
    await asyncio.sleep(0.1)
    assert not await store.claim(NAME, 0, "next", 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.claim(NAME, 0, "next", 60)


async def test_ordered_to_stop_it_finishes_what_is_being_answered_and_claims_nothing_more(
    store: SqliteStore,
) -> None:
    client = Client("x")
    client.may.clear()
    async with asyncio.timeout(20):
        task = asyncio.create_task(client.run(store, 6).run())
        await client.busy()
        client.stop.set()
        await asyncio.sleep(0.1)
        assert not task.done()
        client.may.set()
        with pytest.raises(StoppedError, match="4 questions are left"):
            await task
    assert client.reported == {0: "x0", 1: "x1"}
    assert client.asked == [0, 1]
    assert await store.finished(NAME) == {0, 1}
    assert len(asyncio.all_tasks()) == 1


async def test_a_question_that_is_broken_off_is_neither_reported_nor_stored_and_free_at_once(
    store: SqliteStore,
) -> None:
    client, next_one = Client("x"), Client("next")
    client.may.clear()
    client.broken_off = {0}
    async with asyncio.timeout(20):
        task = asyncio.create_task(client.run(store, 3).run())
        await client.busy()
        client.stop.set()
        client.may.set()
        with pytest.raises(StoppedError, match="2 questions are left"):
            await task
        assert client.reported == {1: "x1"}
        await next_one.run(store, 3).run()
    assert next_one.reported == {0: "next0", 1: "x1", 2: "next2"}
    assert next_one.asked == [0, 2]


async def test_ordered_to_stop_it_does_not_wait_for_others(store: SqliteStore) -> None:
    client = Client("x")
    assert await store.claim(NAME, 1, "other", 60)
    async with asyncio.timeout(20):
        task = asyncio.create_task(client.run(store, 2).run())
        while not client.reported:
            await asyncio.sleep(0.01)
        assert not task.done()
        client.stop.set()
        with pytest.raises(StoppedError):
            await task
    assert client.reported == {0: "x0"}
    assert not await store.claim(NAME, 1, "next", 60)  # it is the other's still


async def test_ordered_to_stop_it_waits_for_a_slow_reader_of_what_others_have_finished(
    store: SqliteStore,
) -> None:
    client, begun, taken = Client("x"), asyncio.Event(), asyncio.Event()
    client.may.clear()

    async def tell(reported: FinishedQuestion) -> None:
        if reported.replayed:
            begun.set()
            await taken.wait()
        await client.tell(reported)

    assert await store.claim(NAME, 1, "other", 60)
    async with asyncio.timeout(20):
        run = BatchRun(NAME, 2, store, client.ask, tell, PACE, stop=client.stop)
        client.broken_off = {0}
        task = asyncio.create_task(run.run())
        while not client.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(2 * PACE.poll)  # question 1 is known to be another's
        assert await store.finish(NAME, 1, "other", "other1")
        await begun.wait()
        client.stop.set()
        client.may.set()
        await asyncio.sleep(0.1)
        assert not task.done()
        taken.set()
        with pytest.raises(StoppedError, match="1 questions are left"):
            await task
    assert client.reported == {1: "other1"}


async def test_ordered_to_stop_when_nothing_is_left_to_claim_it_ends_as_ever(
    store: SqliteStore,
) -> None:
    client = Client("x")
    client.may.clear()
    async with asyncio.timeout(20):
        task = asyncio.create_task(client.run(store, 2).run())
        await client.busy()
        client.stop.set()
        client.may.set()
        await task
    assert client.reported == {0: "x0", 1: "x1"}


async def test_ordered_to_stop_before_it_began_it_tells_and_asks_nothing(
    store: SqliteStore,
) -> None:
    client = Client("x")
    assert await store.claim(NAME, 0, "other", 60)
    assert await store.finish(NAME, 0, "other", "other0")
    client.stop.set()
    with pytest.raises(StoppedError):
        await client.run(store, 2).run()
    assert (client.reported, client.asked) == ({}, [])


async def test_ordered_to_stop_it_wakes_who_waits_for_the_last_question(store: SqliteStore) -> None:
    client = Client("x")

    async def ask(index: int) -> QuestionAnswer | None:
        if index == 0:
            return QuestionAnswer("first", ok=True)
        await client.stop.wait()
        return None

    run = BatchRun(NAME, 2, store, ask, client.tell, PACE, stop=client.stop)
    async with asyncio.timeout(20):
        task = asyncio.create_task(run.run())
        while not client.reported:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        client.stop.set()
        with pytest.raises(StoppedError, match="1 questions are left"):
            await task
    assert client.reported == {0: "first"}
