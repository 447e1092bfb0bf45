"""The last answers of a gateway that is about to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from glore.api.batch_schemas import BatchBroken, BatchLine
from glore.api.draining import Drain
from glore.app import create_app
from glore.engines.ports import Generation
from glore.errors import ShuttingDownError
from glore.settings import Settings
from glore.startup import version
from tests.service.api.test_batch import PATH, post, questions
from tests.service.fakes import QUESTION, FakeEngines, FakeGenerator
from tests.service.lines import lines_of

AT_WORK = 8  # GLORE_BATCH_CONCURRENCY
BATCH = {"questions": questions(20)}
KEY = {"Idempotency-Key": "k"}
Asked: TypeAlias = asyncio.Task[httpx2.Response]


class Student(FakeGenerator):
    """Answers at once, or, while it is held, as many questions as it was told to."""

    def __init__(self) -> None:
        super().__init__("student")
        self.held = False
        self._answers = asyncio.Semaphore(0)

    async def generate(self, *given: Any, **settings: Any) -> Generation:
        generation = await super().generate(*given, **settings)
        if self.held:
            await self._answers.acquire()
        return generation

    def free(self, count: int) -> None:
        """Answer so many."""
        for _ in range(count):
            self._answers.release()

    async def requested(self, count: int) -> None:
        """Wait until it has been asked so many questions, and not one more."""
        async with asyncio.timeout(20):
            while self.calls < count:
                await asyncio.sleep(0.01)
        assert self.calls == count


@pytest.fixture
def student() -> Student:
    return Student()


@pytest.fixture
def engines(student: Student) -> FakeEngines:
    return FakeEngines(student)


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
    assert ready.json() == {"status": "stopping", "version": version(), "engines": {}}
    assert engines.probes["generation"].checks == 0
    assert alive.status_code == after.status_code == 200
    assert after.json()["answer"] == before.json()["answer"]
    assert {each.headers["Connection"] for each in (ready, alive, after)} == {"close"}


async def test_what_is_not_answered_in_time_is_reported_so(
    client: httpx2.AsyncClient, engines: FakeEngines, drain: Drain
) -> None:
    engines.student.hangs = True
    requested = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
    await engines.student.called.wait()
    drain.end()
    response = await requested
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
    requested = asyncio.create_task(client.post("/solve", json={"question": QUESTION}))
    await engines.student.called.wait()
    drain.end()  # one signal more than needed
    await asyncio.sleep(0)  # the work is being cancelled
    drain.end()  # and the end of the grace time
    response = await requested
    assert response.json()["type"] == "/problems/shutting-down"


async def test_who_waits_for_a_turn_is_reported_so_too(
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
        requested = [
            asyncio.create_task(
                client.post("/solve", json={"question": QUESTION}, headers={"Accept": accept})
            )
            for accept in ("*/*", "application/json", "text/event-stream")
        ]
        await engines.student.called.wait()
        drain.end()
        answers = await asyncio.gather(*requested)
    assert [each.status_code for each in answers] == [503] * 3
    assert {each.json()["type"] for each in answers} == {"/problems/shutting-down"}


async def test_a_stream_ends_with_the_error(
    client: httpx2.AsyncClient, engines: FakeEngines, drain: Drain
) -> None:
    engines.student.hangs = True
    accept = {"Accept": "text/event-stream"}
    requested = asyncio.create_task(
        client.post("/solve", json={"question": QUESTION}, headers=accept)
    )
    await engines.student.called.wait()
    drain.end()
    response = await requested
    assert response.status_code == 200
    last = response.text.rstrip().rpartition("\n\n")[2]
    assert "event: error" in last
    assert "/problems/shutting-down" in last


@asynccontextmanager
async def another(settings: Settings, engines: FakeEngines) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway with the same store, which is not about to stop."""
    gateway = create_app(settings, connect=engines.connect)
    transport = httpx2.ASGITransport(app=gateway)
    async with (
        gateway.router.lifespan_context(gateway),
        httpx2.AsyncClient(transport=transport, base_url="http://another") as client,
        asyncio.timeout(20),  # well within a lease
    ):
        yield client


async def begun(client: httpx2.AsyncClient, student: Student, **headers: str) -> Asked:
    """A batch whose first questions are at work, and have no answer until `student.free`."""
    student.held = True
    requested = asyncio.create_task(client.post(PATH, json=BATCH, headers=headers))
    await student.requested(AT_WORK)
    return requested


def broken(response: httpx2.Response, ok: int) -> None:
    """Check that so many questions were told as ok, no others, and that the gateway stops."""
    *reported, last = lines_of(response)
    lines = [BatchLine.model_validate_json(line) for line in reported]
    assert [line.status for line in lines] == ["ok"] * ok
    assert len({line.index for line in lines}) == ok
    end = BatchBroken.model_validate_json(last)
    assert (end.done, end.ok, end.errors) == (False, ok, 0)
    assert (end.error.type, end.error.status) == ("/problems/shutting-down", 503)
    assert end.error.request_id == response.headers["X-Request-ID"]


async def test_a_batch_under_a_key_is_left_to_another_gateway_once_this_one_takes_nothing_new(
    settings: Settings, client: httpx2.AsyncClient, student: Student, drain: Drain
) -> None:
    requested = await begun(client, student, **KEY)
    drain.begin()
    student.free(3)
    await student.requested(AT_WORK + 3)  # it goes on while the gateway listens
    drain.close()
    student.free(AT_WORK)  # what is being worked on is finished, and nothing else begun
    async with asyncio.timeout(20):
        broken(await requested, AT_WORK + 3)
    assert student.calls == AT_WORK + 3
    other = FakeEngines()
    async with another(settings, other) as resuming:
        _, done = await post(resuming, BATCH, key="k")
    assert done.ok == 20
    assert other.student.calls == 20 - (AT_WORK + 3)
    metrics = (await client.get("/metrics")).text
    refused = 'glore_requests_total{route="/solve/batch",status="503",strategy="none"} 1.0'
    assert refused in metrics
    assert 'glore_batch_questions_total{outcome="error"} 0.0' in metrics


async def test_what_the_grace_time_is_too_short_for_is_not_reported_and_another_gateway_asks_it(
    settings: Settings, client: httpx2.AsyncClient, student: Student, drain: Drain
) -> None:
    requested = await begun(client, student, **KEY)
    drain.close()
    student.free(2)
    async with asyncio.timeout(20):
        while 'questions_total{outcome="ok"} 2.0' not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.01)
    drain.end()
    broken(await requested, 2)
    other = FakeEngines()
    async with another(settings, other) as resuming:
        _, done = await post(resuming, BATCH, key="k")
    assert done.ok == 20
    assert other.student.calls == 20 - 2


async def test_a_batch_without_a_key_is_worked_on_to_the_end(
    client: httpx2.AsyncClient, student: Student, drain: Drain
) -> None:
    requested = await begun(client, student)
    drain.close()
    student.free(20)
    async with asyncio.timeout(20):
        response = await requested
    assert lines_of(response)[-1] == '{"done":true,"ok":20,"errors":0}'


async def test_a_batch_without_a_key_that_the_grace_time_is_too_short_for_breaks(
    client: httpx2.AsyncClient, student: Student, drain: Drain
) -> None:
    requested = await begun(client, student)
    drain.close()
    student.free(5)
    await student.requested(AT_WORK + 5)
    drain.end()
    async with asyncio.timeout(20):
        broken(await requested, 5)
    assert student.calls == AT_WORK + 5


@pytest.mark.parametrize("headers", [{}, KEY])
async def test_a_batch_that_comes_while_the_gateway_listens_is_answered(
    client: httpx2.AsyncClient, drain: Drain, headers: dict[str, str]
) -> None:
    drain.begin()
    response = await client.post(PATH, json=BATCH, headers=headers)
    assert lines_of(response)[-1] == '{"done":true,"ok":20,"errors":0}'
    assert response.headers["Connection"] == "close"


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
