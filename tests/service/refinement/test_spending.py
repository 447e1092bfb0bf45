"""Engine calls beyond those promised, and calls that nobody needs any more."""

import asyncio

import pytest

from service.engines.ports import EngineError, NoCallLeftError
from service.refinement.policy import advance, spare_calls, useless
from service.refinement.runner import NoDraftError, Outcome, refine
from service.refinement.state import apply
from service.refinement.types import (
    Degradation,
    DegradedReason,
    Rerank,
    ScoreSteps,
    SelectionReason,
    Stage,
    State,
    Stopped,
    Strategy,
    Task,
)
from tests.service.refinement.builders import DRAFT as TEXT
from tests.service.refinement.builders import (
    after,
    cost,
    drafted,
    failed,
    task,
)
from tests.service.refinement.fakes import FakeClock, FakeEngines


async def solve(fakes: FakeEngines, chosen: Task) -> Outcome:
    return await refine(chosen, fakes.engines(), FakeClock())


@pytest.mark.parametrize(
    ("strategy", "spare"), [(Strategy.GLORE, 4), (Strategy.DRAFT, 4), (Strategy.BEST_OF_N, 2)]
)
def test_a_draft_may_be_asked_for_again_at_the_cost_of_refinements(
    strategy: Strategy, spare: int
) -> None:
    assert spare_calls(after(State(task(strategy, max_calls=5)))) == spare


def test_while_the_draft_is_scored_the_local_refinement_and_the_rerank_are_left_alone() -> None:
    state = after(State(task(max_calls=7)), drafted())  # one made, two in flight, two ahead
    assert spare_calls(state) == 2
    state = after(State(task(Strategy.LOCAL, max_calls=7)), drafted())
    assert spare_calls(state) == 4
    state = after(State(task(Strategy.GATED, max_calls=7)), drafted())  # one in flight, three ahead
    assert spare_calls(state) == 2


async def test_a_cap_that_retries_use_up_costs_refinements_and_says_so() -> None:
    fakes = FakeEngines()
    fakes.student.draft.wants = 2
    outcome = await solve(fakes, task(max_calls=5))
    assert fakes.student.draft.took == 2
    assert outcome.state.engine_calls == 5
    assert {Degradation(Stage.SCORE, DegradedReason.CALL_CAP)} == set(outcome.state.degraded)
    assert outcome.selection.reason is SelectionReason.OUTCOME_SCORE


async def test_retries_in_flight_count_before_they_end() -> None:
    fakes = FakeEngines()
    fakes.sorm.wants = fakes.global_refiner.wants = 3
    fakes.global_refiner.gate = asyncio.Event()
    answer = asyncio.create_task(solve(fakes, task(max_calls=6)))
    await fakes.local_refiner.arrived.wait()
    assert fakes.sorm.took + fakes.global_refiner.took == 1
    fakes.global_refiner.gate.set()
    outcome = await answer
    assert outcome.state.engine_calls == 6
    assert outcome.state.degraded == ()


async def test_no_call_left_is_told_as_such() -> None:
    fakes = FakeEngines()
    fakes.orm.fault = NoCallLeftError()
    outcome = await solve(fakes, task())
    assert Degradation(Stage.RERANK, DegradedReason.CALL_CAP) in outcome.state.degraded
    assert outcome.selection.reason is SelectionReason.STEP_SCORE


async def test_a_draft_without_a_call_to_spare_is_not_asked_for_again() -> None:
    fakes = FakeEngines()
    fakes.student.draft.wants = 1
    fakes.student.draft.fault = EngineError("student", "overloaded")
    with pytest.raises(NoDraftError):
        await solve(fakes, task(Strategy.DRAFT, max_calls=1))
    assert fakes.student.draft.took == 0


def test_nothing_is_useless_while_every_score_may_come() -> None:
    state = after(State(task(Strategy.BEST_OF_N)), drafted(TEXT, "#### 1", "#### 2"))
    state = after(state, failed(Rerank()))
    assert {ScoreSteps(0), ScoreSteps(1), ScoreSteps(2)} <= state.started
    assert useless(state) == frozenset()
    state, _ = advance(apply(state, failed(ScoreSteps(1)), cost(ScoreSteps(1))))
    assert useless(state) == {ScoreSteps(0), ScoreSteps(2)}
    for action in (ScoreSteps(0), ScoreSteps(2)):
        state = apply(state, Stopped(action), cost(action))
    assert useless(state) == frozenset()
    assert state.engine_calls == 5
    assert len(state.degraded) == 2


async def test_scores_that_cannot_be_of_use_any_more_are_cancelled() -> None:
    fakes = FakeEngines()
    fakes.orm.fault = EngineError("orm", "failed")
    fakes.sorm.gate = asyncio.Event()

    def fail_the_second() -> None:
        if len(fakes.sorm.asked) == 2:
            raise EngineError("sorm", "failed")  # noqa: EM101 - a role

    fakes.sorm.on_call = fail_the_second
    async with asyncio.timeout(10):
        outcome = await solve(fakes, task(Strategy.BEST_OF_N))
    assert fakes.sorm.cancelled == 2
    assert outcome.state.engine_calls == 6
    assert outcome.selection.reason is SelectionReason.FALLBACK
