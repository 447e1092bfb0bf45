"""Every fault of every engine under every strategy: see `table`."""

import asyncio
from contextlib import AsyncExitStack
from typing import get_args

import pytest

from loadtest.simulation.server import UPSTREAM_TEXT
from loadtest.simulation.settings import FAULTS
from service.api.problems import Problem
from service.api.schemas import SolveResponse
from service.engines.ports import Role
from service.refinement.types import Strategy
from tests.service.faults.table import IMPOSSIBLE, REASONS, expected
from tests.service.faults.world import (
    DEADLINES_MS,
    JSON,
    PATIENCE_MS,
    REFUSED,
    STREAM,
    Observed,
    engines,
    gateway,
    observe,
)
from tests.service.lateness import watched

SLACK_S = 0.1  # past the deadline


def test_the_table_knows_every_fault() -> None:
    assert set(REASONS) == {REFUSED, *FAULTS}


@pytest.mark.parametrize("accept", [JSON, STREAM])
@pytest.mark.parametrize("fault", REASONS)
async def test_what_a_fault_costs(fault: str, accept: str) -> None:
    roles: tuple[Role, ...] = get_args(Role)
    asked = [engine for engine in roles if (engine, fault) not in IMPOSSIBLE]
    all_there = asyncio.Barrier(len(asked))
    found = await asyncio.gather(*(_answers(engine, fault, accept, all_there) for engine in asked))
    observed = dict(zip(asked, found, strict=True))
    assert [
        f"{engine} {strategy}: {each.line}"
        for engine, answers in observed.items()
        for strategy, each in answers.items()
    ] == [
        f"{engine} {strategy}: {expected(engine, fault, strategy)}"
        for engine in asked
        for strategy in Strategy
    ]
    for answers in observed.values():
        for strategy, each in answers.items():
            _check_schema(each, strategy)
            _check_silence(each)
            _check_deadline(each, fault)


async def _answers(
    engine: Role, fault: str, accept: str, all_there: asyncio.Barrier
) -> dict[Strategy, Observed]:
    """The answer under each strategy; the engines are idle afterwards."""
    deadline_ms = DEADLINES_MS.get(fault, PATIENCE_MS)
    async with AsyncExitStack() as stack:
        settings, simulator = await stack.enter_async_context(engines(engine, fault))
        gateways = [await stack.enter_async_context(gateway(settings)) for _ in Strategy]
        lateness = await stack.enter_async_context(watched())
        await all_there.wait()
        found = await asyncio.gather(
            *(
                observe(app, strategy, accept, deadline_ms, lateness)
                for app, strategy in zip(gateways, Strategy, strict=True)
            )
        )
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while simulator.running:  # noqa: ASYNC110 - the simulator has no event for it
                await asyncio.sleep(0.01)
    return dict(zip(Strategy, found, strict=True))


def _check_schema(observed: Observed, strategy: Strategy) -> None:
    """The answer is of its shape, and its parts fit together."""
    if observed.status != 200:
        problem = Problem.model_validate_json(observed.answer, strict=True)
        slug = {503: "student-unavailable", 504: "no-draft-in-time"}[problem.status]
        assert problem.type == f"/problems/{slug}"
        return
    answer = SolveResponse.model_validate_json(observed.answer, strict=True)
    assert answer.strategy is strategy
    chosen = answer.candidates[answer.selected.candidate]
    assert (chosen.kind, chosen.solution) == (answer.selected.kind, answer.solution)
    scores = [candidate.outcome_score for candidate in answer.candidates]
    if answer.selected.reason == "outcome_score":
        assert chosen.outcome_score == max(score for score in scores if score is not None)
    else:
        assert set(scores) == {None}


def _check_silence(observed: Observed) -> None:
    """Nothing that an engine said of its fault is in what the client gets."""
    response = observed.response
    said = response.text + "".join(f"{key}: {value}\n" for key, value in response.headers.items())
    assert UPSTREAM_TEXT not in said
    assert "x-simulated-fault" not in response.headers


def _check_deadline(observed: Observed, fault: str) -> None:
    """It took no longer than the deadline and 100 ms; what the loop was busy is not counted."""
    deadline = DEADLINES_MS.get(fault, PATIENCE_MS) / 1000
    assert observed.seconds <= deadline + SLACK_S + observed.late
