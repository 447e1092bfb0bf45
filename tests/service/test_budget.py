"""The whole gateway before engines that fail now and then: no request spends more than it may."""

import itertools
from typing import Literal

import pytest

from glore.refinement.types import Strategy
from glore.role_settings import Families
from glore.settings import Settings
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.service.test_overload import ask, gateway
from tests.service.test_streaming import stream

SEEDS = range(3)


def counted(metrics: str, name: str) -> float:
    """A counter, summed over its labels."""
    lines = [line for line in metrics.splitlines() if line.startswith(f"{name}_total")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("strategy", Strategy)
async def test_retries_count_as_the_calls_they_are(settings: Settings, strategy: Strategy) -> None:
    retried = 0.0
    for cap, seed in itertools.product(range(1, 8), SEEDS):
        simulated = Simulated(faults=(parse_fault("429=0.4"),), seed=seed, right=0.3)
        async with gateway(settings, simulated) as (client, simulator):
            answer = await ask(client, strategy=strategy, max_engine_calls=cap)
            metrics = (await client.get("/metrics")).text
        came = sum(simulator.came.values())
        assert came <= cap
        if answer.status_code == 200:
            assert answer.json()["usage"]["engine_calls"] == came
        retried += counted(metrics, "glore_engine_retries")
    assert retried > 0


@pytest.mark.parametrize("strategy", Strategy)
async def test_fan_out_cannot_be_raised_past_the_caps(
    settings: Settings, strategy: Strategy
) -> None:
    """Every text is as long as it may be."""
    drawn = {"n": 8} if strategy is Strategy.BEST_OF_N else {}
    body = {"strategy": strategy, "sampling": {"max_tokens": 200, **drawn}}
    endless = Simulated(faults=(parse_fault("endless"),))
    async with gateway(settings, endless, max_calls=4) as (client, simulator):
        for beyond in ({"sampling": {"n": 9}}, {"max_engine_calls": 5}):
            refused = await ask(client, **body | beyond)
            assert refused.status_code == 422
        assert not simulator.came
        for tokens in (150, 500, 1000):
            before = sum(simulator.came.values())
            answer = await ask(client, **body, max_generated_tokens=tokens)
            assert answer.status_code == 200
            assert sum(simulator.came.values()) - before <= 4
            assert answer.json()["usage"]["generated_tokens"] <= tokens


@pytest.mark.parametrize("family", [None, "sequence", "likelihood"])
async def test_calls_that_an_open_circuit_refuses_are_not_counted(
    settings: Settings, family: Literal["sequence", "likelihood"] | None
) -> None:
    """The ORM is one call for all candidates, or one for each."""
    broken = Simulated(faults=(parse_fault("orm:500"),), right=0.0, seed=7)
    families = Families(orm=family)
    async with gateway(settings, broken, families=families) as (client, simulator):
        for _ in range(11):
            before = sum(simulator.came.values())
            answer = (await ask(client)).json()
        assert {"stage": "rerank", "reason": "circuit_open"} in answer["degraded"]
        assert answer["usage"]["engine_calls"] == sum(simulator.came.values()) - before


@pytest.mark.parametrize("strategy", [Strategy.GLORE, Strategy.GATED, Strategy.BEST_OF_N])
@pytest.mark.parametrize("cap", [5, 6, 7, 8])
async def test_calls_are_stored_to_rank_whatever_there_is(
    settings: Settings, strategy: Strategy, cap: int
) -> None:
    """The ORM is asked for each candidate by itself."""
    families = Families(orm="sequence")
    draws: dict[str, object] = {"verify": strategy is not Strategy.GATED}  # which would stop them
    if strategy is Strategy.BEST_OF_N:
        draws |= {"sampling": {"n": 5}}
    wrong = Simulated(right=0.0, seed=7)
    async with gateway(settings, wrong, families=families) as (client, simulator):
        answer = (await ask(client, strategy=strategy, max_engine_calls=cap, **draws)).json()
    assert answer["selected"]["reason"] == "outcome_score"
    assert answer["usage"]["engine_calls"] == sum(simulator.came.values()) <= cap
    assert {item["reason"] for item in answer["degraded"]} == ({"call_cap"} if cap < 7 else set())


@pytest.mark.parametrize("fault", [None, "orm:count", "orm:nan"])
async def test_likelihoods_rank_all_candidates_in_one_call(
    settings: Settings, fault: str | None
) -> None:
    families = Families(orm="likelihood")
    faults = () if fault is None else (parse_fault(fault),)
    wrong = Simulated(right=0.0, seed=7, faults=faults)
    async with gateway(settings, wrong, families=families) as (client, simulator):
        answer = (await ask(client)).json()
    assert answer["usage"]["engine_calls"] == sum(simulator.came.values())
    scores = [each["outcome_score"] for each in answer["candidates"]]
    if fault is None:
        assert answer["degraded"] == []
        assert answer["usage"]["engine_calls"] <= 6  # the draft's score comes early
        assert len(set(scores)) > 1
        assert answer["selected"]["reason"] == "outcome_score"
        assert answer["selected"]["candidate"] == scores.index(max(scores))
    else:
        assert scores == [None] * 3
        reason = "wrong_scores" if fault == "orm:count" else "bad_response"
        assert answer["degraded"] == [{"stage": "rerank", "reason": reason}]


# What ends an answer that was begun.
LOSSES = tuple(parse_fault(f"{kind}=0.12") for kind in ("cut", "stall", "noise", "broken", "hang"))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("strategy", Strategy)
async def test_answers_that_are_lost_stay_within_the_caps(
    settings: Settings, strategy: Strategy, *, streamed: bool
) -> None:
    """Some break off, some never come."""
    timing = Timing(first_token=0.02, spread=1.0)
    for cap, seed in itertools.product((150, 400), SEEDS):
        simulated = Simulated(timing=timing, faults=LOSSES, seed=seed, right=0.3)
        body = {"strategy": strategy, "deadline_ms": 300, "sampling": {"max_tokens": 60}}
        body |= {"max_generated_tokens": cap, "max_engine_calls": 8}
        async with gateway(settings, simulated, rerank_reserve=0.05) as (client, simulator):
            if streamed:
                _, answer = (await stream(client, **body))[-1]
            else:
                answer = (await ask(client, **body)).json()
            metrics = (await client.get("/metrics")).text
        assert counted(metrics, "glore_generated_tokens") <= simulator.written <= cap
        came = sum(simulator.came.values())  # a call may be stopped before it gets there
        assert came <= answer.get("usage", {}).get("engine_calls", 8) <= 8


async def test_the_tokens_of_a_stream_that_breaks_are_in_the_usage(settings: Settings) -> None:
    simulated = Simulated(faults=(parse_fault("global_refiner:broken"),), right=0.0)
    async with gateway(settings, simulated) as (client, simulator):
        _, done = (await stream(client))[-1]
        metrics = (await client.get("/metrics")).text
    assert {item["stage"] for item in done["degraded"]} == {"refine_globally"}
    by_stage = {stage["stage"]: stage["generated_tokens"] for stage in done["usage"]["stages"]}
    assert by_stage["refine_globally"] > 0
    assert done["usage"]["generated_tokens"] == simulator.written
    assert counted(metrics, "glore_generated_tokens") == simulator.written
