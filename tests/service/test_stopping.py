"""`glore serve` from SIGTERM to its exit."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.service.lines import lines_of
from tests.service.processes import START_S, served

BODY = {"question": "How many?", "strategy": "draft"}
Engine = tuple[Simulator, str]
Asked = asyncio.Task[httpx2.Response]


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[Engine]:
    async with running(Simulated(timing=Timing(first_token=1.5))) as simulated:
        yield simulated


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=START_S, trust_env=False) as browser:
        yield browser


async def ask(
    client: httpx2.AsyncClient,
    url: str,
    engine: Simulator,
    path: str = "/solve",
    body: object = BODY,
    headers: Mapping[str, str] | None = None,
) -> Asked:
    """A question, or a batch, that an engine is at work on."""
    before = sum(engine.came.values())
    requested = asyncio.create_task(client.post(f"{url}{path}", json=body, headers=headers))
    async with asyncio.timeout(START_S):
        while sum(engine.came.values()) == before:
            await asyncio.sleep(0.01)
    return requested


async def test_what_is_being_worked_on_is_answered_and_new_questions_too(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    simulator, url = engine
    async with served(url, drain_delay="2", grace="30") as gateway:
        ready = await client.get(f"{gateway.url}/readyz")
        early = await ask(client, gateway.url, simulator)
        gateway.tell(signal.SIGTERM)
        stopping = await _not_ready(client, gateway.url)
        late = await ask(client, gateway.url, simulator)
        answers = await asyncio.gather(early, late)
        assert await gateway.ended() == 0
    assert ready.status_code == 200
    assert stopping.json()["status"] == "stopping"
    assert [each.status_code for each in answers] == [200, 200]
    assert {each.headers["Connection"] for each in (stopping, *answers)} == {"close"}


async def test_what_the_grace_time_is_too_short_for_is_reported_so_and_not_cut(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    simulator, url = engine
    simulator.settings = Simulated(faults=(parse_fault("hang"),))
    async with served(url, drain_delay="0", grace="0.5") as gateway:
        requested = await ask(client, gateway.url, simulator)
        started = time.monotonic()
        gateway.tell(signal.SIGTERM)
        answer = await requested
        took = time.monotonic() - started
        assert await gateway.ended() == 0
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/shutting-down"
    assert took >= 0.4
    async with asyncio.timeout(START_S):  # the engine sees a moment later that nobody waits
        while simulator.running:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_the_wait_for_the_balancer(
    client: httpx2.AsyncClient, engine: Engine, again: signal.Signals
) -> None:
    async with served(engine[1], drain_delay="600") as gateway:
        gateway.tell(signal.SIGTERM)
        await _not_ready(client, gateway.url)
        gateway.tell(again)
        assert await gateway.ended() == 0


async def test_a_batch_goes_on_while_it_listens_and_then_only_finishes_what_it_has_begun(
    client: httpx2.AsyncClient, engine: Engine, tmp_path: Path
) -> None:
    simulator, url = engine
    simulator.settings = Simulated(timing=Timing(first_token=0.5))
    store = f"sqlite:///{tmp_path / 'batches.sqlite3'}"
    headers = {"Idempotency-Key": "k"}
    batch = {"questions": [BODY] * 200}
    async with served(
        url, drain_delay="1.5", grace="30", batch_concurrency="2", store=store
    ) as gateway:
        requested = await ask(client, gateway.url, simulator, "/solve/batch", batch, headers)
        gateway.tell(signal.SIGTERM)
        await _not_ready(client, gateway.url)
        before = sum(simulator.came.values())
        answer = await requested
        assert await gateway.ended() == 0
    *lines, last = [json.loads(line) for line in lines_of(answer)]
    assert (last["done"], last["errors"]) == (False, 0)
    assert last["error"]["type"] == "/problems/shutting-down"
    assert before < len(lines) == last["ok"] == sum(simulator.came.values()) < 200


async def test_after_ctrl_c_nobody_is_waited_for_but_those_who_have_requested(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    simulator, url = engine
    async with served(url, drain_delay="600", grace="600") as gateway:
        early = await ask(client, gateway.url, simulator)
        gateway.tell(signal.SIGINT)
        answer = await early
        assert await gateway.ended() == 0
    assert answer.status_code == 200


async def test_one_more_ctrl_c_ends_all_work(client: httpx2.AsyncClient, engine: Engine) -> None:
    simulator, url = engine
    simulator.settings = Simulated(faults=(parse_fault("hang"),))
    async with served(url, grace="600") as gateway:
        requested = await ask(client, gateway.url, simulator)
        for _ in range(2):
            gateway.tell(signal.SIGINT)
            await asyncio.sleep(0.5)
        answer = await requested
        assert await gateway.ended() == 0
    assert answer.json()["type"] == "/problems/shutting-down"


async def _not_ready(client: httpx2.AsyncClient, url: str) -> httpx2.Response:
    """The first answer of /readyz that says no."""
    async with asyncio.timeout(START_S):
        while True:
            answer = await client.get(f"{url}/readyz")
            if answer.status_code != httpx2.codes.OK:
                return answer
            await asyncio.sleep(0.01)
