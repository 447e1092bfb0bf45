"""The whole gateway before engines that fail now and then: no request makes more than it may."""

import itertools

import pytest

from loadtest.simulation.settings import Simulated, parse_fault
from service.refinement.types import Strategy
from service.settings import Settings
from tests.service.test_overload import ask, gateway

SEEDS = range(3)


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
        retried += sum(
            float(line.rpartition(" ")[2])
            for line in metrics.splitlines()
            if line.startswith("glore_engine_retries_total")
        )
    assert retried > 0


@pytest.mark.parametrize("strategy", Strategy)
async def test_fan_out_cannot_be_raised_past_the_caps(
    settings: Settings, strategy: Strategy
) -> None:
    """Every text is as long as it may be."""
    body = {"strategy": strategy, "sampling": {"n": 8, "max_tokens": 200}}
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
