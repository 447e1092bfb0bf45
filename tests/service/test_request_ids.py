"""The ids by which vLLM knows the calls of a request: they begin as the request's own."""

import asyncio
import re
from collections import Counter

import pytest

from glore.settings import Settings
from loadtest.simulation.server import Simulator
from loadtest.simulation.settings import Simulated, parse_fault
from tests.service.test_overload import gateway

QUESTION = {"question": "How many?"}
STAGES = {
    "student": "draft",
    "sorm": "score",
    "global_refiner": "refine_globally",
    "local_refiner": "refine_locally",
    "orm": "rerank",
}


def ids(simulator: Simulator) -> list[str]:
    """Those of all calls; no two are alike."""
    found = [headers["X-Request-Id"] for _, headers in simulator.called]
    assert len(set(found)) == len(found)
    return found


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_each_call_has_an_id_of_the_request_its_stage_and_a_number(
    settings: Settings, accept: str
) -> None:
    async with gateway(settings, Simulated(right=0.0), verifiers=()) as (client, simulator):
        headers = {"X-Request-ID": "order:66.b_c", "Accept": accept}
        response = await client.post("/solve", json=QUESTION, headers=headers)
        assert response.headers["X-Request-ID"] == "order:66.b_c"
        numbers = []
        for (model, _), call_id in zip(simulator.called, ids(simulator), strict=True):
            parts = re.fullmatch(r"order:66\.b_c-[0-9a-f]{8}-([a-z_]+)-(\d+)", call_id)
            assert parts is not None, call_id
            assert parts[1] == STAGES[model]
            numbers.append(int(parts[2]))
    assert len(numbers) >= len(STAGES)
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


async def test_a_retry_has_an_id_of_its_own(settings: Settings) -> None:
    faults = (parse_fault("global_refiner:429"),)
    async with gateway(settings, Simulated(faults=faults)) as (client, simulator):
        await client.post("/solve", json=QUESTION)
        calls = Counter(model for model, _ in simulator.called)
        assert calls["global_refiner"] > 1
        ids(simulator)


async def test_requests_with_the_same_id_at_once_share_no_id_of_a_call(settings: Settings) -> None:
    async with gateway(settings, Simulated()) as (client, simulator):
        headers = {"X-Request-ID": "again"}
        requested = (client.post("/solve", json=QUESTION, headers=headers) for _ in range(4))
        await asyncio.gather(*requested)
        assert len(ids(simulator)) >= 4 * 4


async def test_the_calls_of_a_batch_name_its_questions(settings: Settings) -> None:
    async with gateway(settings, Simulated()) as (client, simulator):
        body = {"questions": [{**QUESTION, "strategy": "draft"}] * 3}
        await client.post("/solve/batch", json=body, headers={"X-Request-ID": "many"})
        found = {re.sub(r"-[0-9a-f]{8}-.*", "", each) for each in ids(simulator)}
    assert found == {"many-0", "many-1", "many-2"}


@pytest.mark.parametrize("given", ["x" * 128, "x" * 129, "two words", None])
async def test_an_id_of_any_request_is_one_that_a_header_may_hold(
    settings: Settings, given: str | None
) -> None:
    async with gateway(settings, Simulated()) as (client, simulator):
        headers = {"X-Request-ID": given} if given else {}
        body = {**QUESTION, "strategy": "draft"}
        answer = await client.post("/solve", json=body, headers=headers)
        own = answer.json()["request_id"]
        (call_id,) = ids(simulator)
    assert (own == given) == (given == "x" * 128)
    assert call_id.startswith(f"{own}-")
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,200}", call_id)
