"""The last answers of a gateway that is about to stop."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from service.api.draining import Drain
from service.app import create_app
from service.errors import ShuttingDownError
from service.settings import Settings
from tests.service.api.test_batch import PATH, questions
from tests.service.fakes import QUESTION, FakeEngines


@pytest.fixture
def drain() -> Drain:
    return Drain()


@pytest_asyncio.fixture
async def app(settings: Settings, engines: FakeEngines, drain: Drain) -> AsyncIterator[FastAPI]:
    gateway = create_app(settings, connect=engines.connect, drain=drain)
    async with gateway.router.lifespan_context(gateway):
        yield gateway


async def test_it_is_not_ready_but_alive_and_answers_for_the_last_time(
    client: httpx2.AsyncClient, engines: FakeEngines, drain: Drain
) -> None:
    before = await client.post("/solve", json={"question": QUESTION})
    drain.begin()
    ready = await client.get("/readyz")
    alive = await client.get("/livez")
    after = await client.post("/solve", json={"question": QUESTION})
    assert "Connection" not in before.headers
    assert ready.status_code == 503
    assert ready.json() == {"status": "stopping", "engines": {}}
    assert engines.probes["generation"].checks == 0
    assert alive.status_code == after.status_code == 200
    assert after.json()["answer"] == before.json()["answer"]
    assert {each.headers["Connection"] for each in (ready, alive, after)} == {"close"}


async def test_what_is_not_answered_in_time_is_told_so(
    client: httpx2.AsyncClient, engines: FakeEngines, drain: Drain
) -> None:
    engines.student.hangs = True
    asked = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
    await engines.student.called.wait()
    drain.end()
    response = await asked
    assert engines.student.cancelled
    assert response.status_code == 503
    assert response.json()["type"] == "/problems/shutting-down"
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Connection"] == "close"
    late = await client.post("/solve", json={"question": QUESTION})
    assert late.json()["type"] == "/problems/shutting-down"
    assert engines.student.calls == 1


async def test_the_end_may_be_said_twice(
    client: httpx2.AsyncClient, engines: FakeEngines, drain: Drain
) -> None:
    engines.student.hangs = True
    asked = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
    await engines.student.called.wait()
    drain.end()  # one signal more than needed
    await asyncio.sleep(0)  # the work is being cancelled
    drain.end()  # and the end of the grace time
    response = await asked
    assert response.json()["type"] == "/problems/shutting-down"


async def test_who_waits_for_a_turn_is_told_so_too(
    settings: Settings, engines: FakeEngines, drain: Drain
) -> None:
    engines.student.hangs = True
    one = create_app(
        settings.model_copy(update={"max_running": 1}), connect=engines.connect, drain=drain
    )
    transport = httpx2.ASGITransport(app=one)
    async with (
        one.router.lifespan_context(one),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        asked = [
            asyncio.create_task(
                client.post("/solve", json={"question": QUESTION}, headers={"Accept": accept})
            )
            for accept in ("*/*", "application/json", "text/event-stream")
        ]
        await engines.student.called.wait()
        drain.end()
        answers = await asyncio.gather(*asked)
    assert [each.status_code for each in answers] == [503] * 3
    assert {each.json()["type"] for each in answers} == {"/problems/shutting-down"}


async def test_a_stream_ends_with_the_error(
    client: httpx2.AsyncClient, engines: FakeEngines, drain: Drain
) -> None:
    engines.student.hangs = True
    accept = {"Accept": "text/event-stream"}
    asked = asyncio.create_task(client.post("/solve", json={"question": QUESTION}, headers=accept))
    await engines.student.called.wait()
    drain.end()
    response = await asked
    assert response.status_code == 200
    last = response.text.rstrip().rpartition("\n\n")[2]
    assert "event: error" in last
    assert "/problems/shutting-down" in last


async def test_a_batch_ends_with_an_error_for_each_question_that_is_left(
    client: httpx2.AsyncClient, engines: FakeEngines, drain: Drain
) -> None:
    body = {"questions": questions(20)}
    headers = {"Idempotency-Key": "k"}
    engines.student.hangs = True
    asked = asyncio.create_task(client.post(PATH, json=body, headers=headers))
    await engines.student.called.wait()
    drain.end()
    *lines, last = (await asked).text.splitlines()
    assert last == '{"done":true,"ok":0,"errors":20}'
    assert all("/problems/shutting-down" in line for line in lines)
    assert engines.student.calls <= 8  # as many as a batch has at work


async def test_other_timeouts_are_left_alone(drain: Drain) -> None:
    with pytest.raises(TimeoutError):
        async with drain.work():
            raise TimeoutError
    with pytest.raises(asyncio.CancelledError):
        async with drain.work():
            raise asyncio.CancelledError
    drain.end()
    with pytest.raises(ShuttingDownError):
        async with drain.work():
            pytest.fail("nothing is begun any more")
