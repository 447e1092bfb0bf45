"""What every store does: the same tests on SQLite and on a real PostgreSQL."""

import asyncio
import uuid

import pytest

from glore.batches.opening import open_store
from glore.batches.store import BatchName, OtherBatchError, Store, StoreFailedError

LEASE = 60.0


@pytest.fixture
def name() -> BatchName:
    return BatchName("alice", uuid.uuid4().hex)


async def test_a_key_names_one_batch_of_one_owner(store: Store, name: BatchName) -> None:
    await store.begin(name, "d1")
    await store.begin(name, "d1")
    with pytest.raises(OtherBatchError):
        await store.begin(name, "d2")
    await store.begin(BatchName("bob", name.key), "d2")


async def test_a_result_stays_as_it_was_first(store: Store, name: BatchName) -> None:
    await store.begin(name, "d")
    assert await store.claim(name, 3, "h", LEASE)
    assert await store.read(name, 3) is None
    assert await store.finished(name) == frozenset()
    assert await store.finish(name, 3, "h", '{"text": "ä"}')
    assert not await store.finish(name, 3, "h", "other")
    assert not await store.claim(name, 3, "h", LEASE)
    await store.release(name, "h")
    assert await store.finished(name) == {3}
    assert await store.read(name, 3) == '{"text": "ä"}'
    bobs = BatchName("bob", name.key)
    assert await store.finished(bobs) == frozenset()
    assert await store.read(bobs, 3) is None


async def test_a_finished_question_is_not_claimed_again_when_its_lease_is_over(
    store: Store, name: BatchName
) -> None:
    await store.begin(name, "d")
    assert await store.claim(name, 3, "h", 0.0)
    assert await store.finish(name, 3, "h", "{}")
    assert not await store.claim(name, 3, "next", LEASE)


async def test_of_many_that_claim_one_gets_it(store: Store, location: str, name: BatchName) -> None:
    await store.begin(name, "d")
    async with open_store(location, days=7) as other:
        assert other is not None
        for index in range(20):
            claims = [
                each.claim(name, index, f"h{i}", LEASE)
                for i, each in enumerate((store, other, store, other))
            ]
            assert sorted(await asyncio.gather(*claims)) == [False, False, False, True]


async def test_a_claim_ends_with_its_lease_unless_it_is_renewed(
    store: Store, name: BatchName
) -> None:
    await store.begin(name, "d")
    assert await store.claim(name, 0, "dead", 0.2)
    assert await store.claim(name, 1, "alive", 0.2)
    await store.renew(name, "alive", LEASE)
    assert not await store.claim(name, 0, "next", LEASE)
    await asyncio.sleep(0.3)
    assert await store.claim(name, 0, "next", LEASE)
    assert not await store.claim(name, 1, "next", LEASE)
    assert not await store.finish(name, 0, "dead", "late")
    assert await store.finish(name, 0, "next", "result")


async def test_claims_are_given_back_one_or_all(store: Store, name: BatchName) -> None:
    await store.begin(name, "d")
    for index in range(3):
        assert await store.claim(name, index, "h", LEASE)
    await store.release(name, "other")
    assert not await store.claim(name, 1, "next", LEASE)
    await store.release(name, "h", 1)
    assert await store.claim(name, 1, "next", LEASE)
    assert not await store.claim(name, 2, "next", LEASE)
    await store.release(name, "h")
    assert await store.claim(name, 2, "next", LEASE)
    assert not await store.claim(name, 1, "third", LEASE)


async def test_old_batches_are_forgotten_but_not_those_at_work(
    store: Store, name: BatchName
) -> None:
    at_work = BatchName("alice", uuid.uuid4().hex)
    for each in (name, at_work):
        await store.begin(each, "d")
        assert await store.claim(each, 0, "h", LEASE)
        assert await store.finish(each, 0, "h", "result")
    assert await store.claim(at_work, 1, "h", LEASE)
    assert await store.purge(1) == 0
    await asyncio.sleep(0.05)
    assert await store.purge(0) >= 1
    assert await store.finished(name) == frozenset()
    assert await store.finished(at_work) == {0}
    await store.begin(name, "another")


async def test_what_is_stored_outlives_the_store(
    store: Store, location: str, name: BatchName
) -> None:
    await store.begin(name, "d")
    assert await store.claim(name, 0, "h", LEASE)
    assert await store.finish(name, 0, "h", "result")
    async with open_store(location, days=7) as again:
        assert again is not None
        assert await again.read(name, 0) == "result"


@pytest.mark.parametrize(
    "broken", ["sqlite:////dev/null/no/file", "postgresql://u:hidden@127.0.0.1:1/none"]
)
async def test_a_store_that_cannot_be_opened_is_reported_without_its_address(broken: str) -> None:
    with pytest.raises(StoreFailedError) as caught:
        async with open_store(broken, days=7):
            pass
    assert "hidden" not in str(caught.value)
    assert "/" not in str(caught.value)


async def test_the_default_place_is_the_users_or_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with open_store(None, days=7) as store:
        assert store is not None
        await store.begin(BatchName("", "k"), "d")
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/nowhere")
    async with open_store(None, days=7) as store:
        assert store is None
    async with open_store("off", days=7) as store:
        assert store is None
