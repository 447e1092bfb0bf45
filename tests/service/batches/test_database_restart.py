"""A real PostgreSQL server that goes away in the middle of a batch and comes back, or hangs."""

import asyncio
import signal
import uuid
from collections.abc import Iterator
from typing import Final

import httpx2
import pytest

from glore.batches import postgres
from glore.batches.store import BatchName, StoreFailedError
from tests.postgres import PostgresServer, postgres_server
from tests.service.batches.asking import (
    BODY,
    CONCURRENCY,
    COUNT,
    LIMIT_S,
    Line,
    assert_whole,
    engine,
    finished,
    gateway,
    lines,
    once,
    whole,
)

ALL: Final = set(range(COUNT))
AFTER: Final = 6  # lines
BROKEN_WITHIN_S: Final = 20.0  # what one statement may take to fail
HANGS_S: Final = 8.0  # a statement of 0.5 s and as much for its end, on a busy machine
LONG_LEASE_S: Final = 600.0  # nothing is asked of the store while the engine is at work


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


@pytest.fixture(params=[signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def how(request: pytest.FixtureRequest) -> signal.Signals:
    return signal.Signals(request.param)


async def test_a_batch_is_broken_off_when_its_database_is_gone_and_goes_on_when_it_is_back(
    database: PostgresServer, how: signal.Signals, key: str
) -> None:
    loop, gone = asyncio.get_running_loop(), 0.0
    async with engine() as student, gateway(student, database.url) as served:
        reported: list[Line] = []
        async for line in lines(served.url, key):
            reported.append(line)
            if len(reported) == AFTER:
                await asyncio.to_thread(database.stop, how)
                gone = loop.time()
        assert loop.time() - gone < BROKEN_WITHIN_S
        *results, last = reported
        assert (last["done"], last["ok"], last["errors"]) == (False, len(results), 0)
        assert last["error"]["type"] == "/problems/store-unavailable"
        await _check_without_database(served.url, key)
        ran = student.requested.copy()

        await asyncio.to_thread(database.start)
        stored = set(await finished(database.url, key))
        assert ran == once(set(ran))
        assert stored <= set(ran)
        assert len(ran.keys() - stored) <= CONCURRENCY
        assert_whole(await whole(served.url, key), {line["index"]: line for line in results})
        assert {line["index"] for line in results} <= stored
        assert student.requested - ran == once(ALL - stored)
        assert student.requested == once(ALL) + once(set(ran) - stored)
        assert served.process.returncode is None
    assert b"hidden" not in await served.log


async def test_a_batch_does_not_notice_that_its_database_was_restarted_between_two_statements(
    database: PostgresServer, how: signal.Signals, key: str
) -> None:
    async with engine() as student, gateway(student, database.url, LONG_LEASE_S) as served:
        student.may.clear()
        work = asyncio.create_task(whole(served.url, key))
        async with asyncio.timeout(LIMIT_S):
            while len(student.requested) < CONCURRENCY:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(database.stop, how)
        await asyncio.to_thread(database.start)
        student.may.set()
        assert_whole(await work, {})
        assert student.requested == once(ALL)


async def test_a_database_that_hangs_is_not_waited_for_however_many_wait(
    database: PostgresServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_TIMEOUT", 0.5)
    loop, name = asyncio.get_running_loop(), BatchName("", key)
    async with postgres.open_postgres(database.url) as store:
        await store.begin(name, "d")
        with database.frozen():
            began = loop.time()
            reads = (store.read(name, index) for index in range(300))  # of 8 at a time
            failed = await asyncio.gather(*reads, return_exceptions=True)
            took = loop.time() - began
        assert {type(each) for each in failed} == {StoreFailedError}
        assert took < HANGS_S
        assert await store.claim(name, 0, "h", LONG_LEASE_S)


async def _check_without_database(url: str, key: str) -> None:
    """What needs the store is refused, everything else is done."""
    async with httpx2.AsyncClient(base_url=url, timeout=LIMIT_S, trust_env=False) as client:
        refused = await client.post("/solve/batch", json=BODY, headers={"Idempotency-Key": key})
        assert refused.status_code == 503
        assert refused.json()["type"] == "/problems/store-unavailable"
        assert int(refused.headers["Retry-After"]) >= 1
        answer = await client.post("/solve", json={"question": "How many?", "strategy": "draft"})
        assert answer.status_code == 200
        batch = {"questions": [{"question": "How many?"}], "strategy": "draft"}
        answer = await client.post("/solve/batch", json=batch)
        assert answer.text.endswith('{"done":true,"ok":1,"errors":0}\n')
