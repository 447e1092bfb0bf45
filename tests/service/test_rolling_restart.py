"""Two gateways behind a balancer, replaced one after the other under a steady load."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from glore.role_settings import ROLES
from glore_client import Answered, AsyncClient, Question, RetryPolicy
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing
from tests.service.balancer import Balancer, balanced
from tests.service.processes import START_S, Served, free_port, served

ASKERS = 6  # of each kind
ONCE = RetryPolicy(max_retries=0)  # what is lost is not asked again
# A busy machine is no fault of an engine, for which a role would be given up.
PATIENT = {
    "probe_timeout": "30",
    "max_running": "1600",  # 100 late calls of a role
    **{f"timeouts__{role}": "60" for role in ROLES if role != "student"},
}
BATCH = 120  # questions; they take a minute, as long as the gateways may take to be replaced


@dataclass(slots=True)
class Load:
    """Questions asked one after the other, by several askers, until it is over."""

    url: str
    over: bool = False
    answered: Counter[str] = field(default_factory=Counter)  # by kind

    async def by_sdk(self) -> None:
        """Ask with the SDK. Raises whatever it raises."""
        async with AsyncClient(self.url, retry=ONCE) as client:
            while not self.over:
                result = await client.solve("How many?")
                assert not result.degraded
                self.answered["sdk"] += 1

    async def by_stream(self) -> None:
        """Ask for streams with a plain client, and read each to its end."""
        accept = {"Accept": "text/event-stream"}
        async with httpx2.AsyncClient(timeout=START_S, trust_env=False, headers=accept) as client:
            while not self.over:
                response = await client.post(f"{self.url}/solve", json={"question": "How many?"})
                assert response.status_code == 200
                assert "event: done\n" in response.text.rstrip().rpartition("\n\n")[2]
                self.answered["stream"] += 1


async def test_no_question_is_lost_when_gateways_are_replaced() -> None:
    timing = Timing(first_token=0.05, spread=0.3)
    ports = free_port(), free_port()
    settings = {"drain_delay": "600", "grace": "30", **PATIENT}
    async with AsyncExitStack() as stack, running(Simulated(timing=timing)) as (_, engine):

        async def start(port: int) -> Served:
            return await stack.enter_async_context(served(engine, port, **settings))

        gateways = [await start(port) for port in ports]
        balancer = await stack.enter_async_context(balanced(*(each.url for each in gateways)))
        await _ready(balancer, 2)
        load = Load(balancer.url)
        async with asyncio.TaskGroup() as group:
            for _ in range(ASKERS):
                group.create_task(load.by_sdk())
                group.create_task(load.by_stream())
            for old, port in zip(gateways, ports, strict=True):
                await _requested(load)
                old.tell(signal.SIGTERM)
                await _left(balancer, old)
                old.tell(signal.SIGTERM)  # no need to wait for the balancer any more
                assert await old.ended() == 0
                await _requested(load)  # the other one does it all
                await start(port)
                await _ready(balancer, 2)
            await _requested(load)
            load.over = True
    assert balancer.refused == 0
    assert load.answered["sdk"] > ASKERS
    assert load.answered["stream"] > ASKERS


@dataclass(slots=True)
class Batch:
    """A batch that is asked once, under a key, and goes on by itself."""

    key: str
    answers: list[Answered] = field(default_factory=list)

    async def ask(self, url: str) -> None:
        """Ask with the SDK, and take each answer. Raises whatever it raises."""
        questions = [Question(f"{self.key} {i}: how many?", id=str(i)) for i in range(BATCH)]
        async with AsyncClient(url) as client:
            reported = client.solve_batch(questions, idempotency_key=self.key, strategy="draft")
            async for outcome in reported:
                assert isinstance(outcome, Answered)
                self.answers.append(outcome)


async def test_batches_go_on_when_gateways_are_replaced_and_no_question_is_run_twice(
    tmp_path: Path,
) -> None:
    slow, fast = Timing(first_token=1.0), Timing()
    ports = free_port(), free_port()
    store = f"sqlite:///{tmp_path / 'batches.sqlite3'}"
    settings = {"drain_delay": "0.5", "grace": "30", "store": store, "batch_concurrency": "2"}
    batches = [Batch("first"), Batch("second")]  # one at each gateway
    async with AsyncExitStack() as stack, running(Simulated(timing=slow)) as (simulator, engine):

        async def start(port: int) -> Served:
            return await stack.enter_async_context(served(engine, port, **settings))

        gateways = [await start(port) for port in ports]
        balancer = await stack.enter_async_context(balanced(*(each.url for each in gateways)))
        await _ready(balancer, 2)
        async with asyncio.TaskGroup() as group:
            requesting = [group.create_task(each.ask(balancer.url)) for each in batches]
            await _reported(batches)
            for old, port in zip(gateways, ports, strict=True):
                old.tell(signal.SIGTERM)
                assert await old.ended() == 0
                await _reported(batches)  # the other one goes on with both
                await start(port)
                await _ready(balancer, 2)
            assert not any(task.done() for task in requesting)
            simulator.settings = Simulated(timing=fast)
    for batch in batches:
        assert sorted(each.index for each in batch.answers) == list(range(BATCH))
    assert sum(simulator.came.values()) == 2 * BATCH
    assert max(simulator.came.values()) == 1
    assert balancer.refused == 0
    assert balancer.taken >= 2 + 3  # the first was broken off once or twice, the second as often


async def _reported(batches: Sequence[Batch]) -> None:
    """Wait until each batch has had an answer more."""
    before = [len(each.answers) for each in batches]
    async with asyncio.timeout(START_S):
        while any(len(each.answers) <= had for each, had in zip(batches, before, strict=True)):
            await asyncio.sleep(0.02)


async def _ready(balancer: Balancer, count: int) -> None:
    """Wait until the balancer knows so many gateways that are ready."""
    async with asyncio.timeout(START_S):
        while len(balancer.ready) != count:
            await asyncio.sleep(0.02)


async def _left(balancer: Balancer, old: Served) -> None:
    """Wait until a gateway says that it stops, and the balancer knows."""
    async with asyncio.timeout(START_S), httpx2.AsyncClient(trust_env=False) as client:
        while "stopping" not in (await client.get(f"{old.url}/readyz", timeout=START_S)).text:
            await asyncio.sleep(0.02)
        seen = balancer.looks + 2  # the look that goes on may be older
        while balancer.looks < seen:
            await asyncio.sleep(0.02)
    assert old.url not in balancer.ready


async def _requested(load: Load) -> None:
    """Wait until each asker has had an answer or two."""
    enough = sum(load.answered.values()) + 2 * 2 * ASKERS
    async with asyncio.timeout(START_S):
        while sum(load.answered.values()) < enough:
            await asyncio.sleep(0.02)
