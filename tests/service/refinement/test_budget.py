"""Engine calls beyond those promised, and calls that nobody needs any more."""

import asyncio

import pytest

from glore.engines.ports import EngineError, FaultReason, NoCallLeftError
from glore.refinement.caps import spare_calls, spare_tokens
from glore.refinement.policy import advance, useless
from glore.refinement.runner import NoDraftError, Solved, refine
from glore.refinement.state import apply
from glore.refinement.types import (
    Degradation,
    DegradedReason,
    Job,
    Rerank,
    ScoreSteps,
    SelectionReason,
    Stage,
    State,
    Stopped,
    Strategy,
)
from tests.service.clock import ManualClock
from tests.service.fakes import DRAFT
from tests.service.refinement.builders import after, cost, drafted, failed, job, refined_globally
from tests.service.refinement.split_engines import SplitEngines


async def solve(fakes: SplitEngines, chosen: Job) -> Solved:
    return await refine(chosen, fakes.engines(), ManualClock())


@pytest.mark.parametrize(
    ("strategy", "spare"), [(Strategy.GLORE, 4), (Strategy.DRAFT, 4), (Strategy.BEST_OF_N, 2)]
)
def test_a_draft_may_be_requested_again_at_the_cost_of_refinements(
    strategy: Strategy, spare: int
) -> None:
    assert spare_calls(after(State(job(strategy, max_calls=5)))) == spare


def test_while_the_draft_is_scored_the_local_refinement_and_the_rerank_are_left_alone() -> None:
    state = after(State(job(max_calls=7)), drafted())  # one made, two in flight, two ahead
    assert spare_calls(state) == 2
    state = after(State(job(Strategy.LOCAL, max_calls=7)), drafted())
    assert spare_calls(state) == 4
    state = after(State(job(Strategy.GATED, max_calls=7)), drafted())  # one in flight, three ahead
    assert spare_calls(state) == 2


def test_where_the_orm_is_requested_each_candidate_a_call_is_stored_for_each() -> None:
    state = after(State(job(Strategy.BEST_OF_N, n=4, max_calls=9), ranked_singly=True))
    assert spare_calls(state) == 3  # two in flight, four to rank
    state = after(State(job(max_calls=9), ranked_singly=True), drafted())
    assert spare_calls(state) == 2  # one made, two in flight, one ahead, three to rank
    state = after(state, refined_globally())
    assert spare_calls(state) == 2


async def test_a_cap_that_retries_use_up_costs_refinements_and_says_so() -> None:
    fakes = SplitEngines()
    fakes.student.extra_calls = 2
    outcome = await solve(fakes, job(max_calls=5))
    assert fakes.student.reserved == 2
    assert outcome.state.engine_calls == 5
    assert {Degradation(Stage.SCORE, DegradedReason.CALL_CAP)} == set(outcome.state.degraded)
    assert outcome.selection.reason is SelectionReason.OUTCOME_SCORE


async def test_retries_in_flight_count_before_they_end() -> None:
    fakes = SplitEngines()
    fakes.sorm.extra_calls = fakes.global_refiner.extra_calls = 3
    fakes.global_refiner.release = asyncio.Event()
    answer = asyncio.create_task(solve(fakes, job(max_calls=6)))
    await fakes.local_refiner.called.wait()
    assert fakes.sorm.reserved + fakes.global_refiner.reserved == 1
    fakes.global_refiner.release.set()
    outcome = await answer
    assert outcome.state.engine_calls == 6
    assert outcome.state.degraded == ()


async def test_no_call_left_is_reported_as_such() -> None:
    fakes = SplitEngines()
    fakes.orm.fault = NoCallLeftError()
    outcome = await solve(fakes, job())
    assert Degradation(Stage.RERANK, DegradedReason.CALL_CAP) in outcome.state.degraded
    assert outcome.selection.reason is SelectionReason.STEP_SCORE


async def test_a_draft_without_a_call_to_spare_is_not_requested_again() -> None:
    fakes = SplitEngines()
    fakes.student.extra_calls = 1
    fakes.student.fault = "overloaded"
    with pytest.raises(NoDraftError):
        await solve(fakes, job(Strategy.DRAFT, max_calls=1))
    assert fakes.student.reserved == 0


def test_nothing_is_useless_while_every_score_may_come() -> None:
    state = after(State(job(Strategy.BEST_OF_N)), drafted(DRAFT, "#### 1", "#### 2"))
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
    fakes = SplitEngines()
    fakes.orm.fault = "failed"
    fakes.sorm.hangs = True

    def fail_the_second() -> None:
        if len(fakes.sorm.requests) == 2:
            raise EngineError("sorm", "failed")  # noqa: EM101 - a role

    fakes.sorm.on_call = fail_the_second
    async with asyncio.timeout(10):
        outcome = await solve(fakes, job(Strategy.BEST_OF_N))
    assert fakes.sorm.cancelled == 2
    assert outcome.state.engine_calls == 6
    assert outcome.selection.reason is SelectionReason.FALLBACK


# --- tokens of calls that are lost -----------------------------------------------------------


def used(outcome: Solved, stage: Stage) -> tuple[int, int]:
    """Tokens of a stage that are known, and those that may have been generated unseen."""
    (cost,) = [cost for cost in outcome.state.costs if cost.stage is stage]
    return cost.generated_tokens, cost.lost_tokens


@pytest.mark.parametrize(
    ("reason", "reported", "known", "lost"),
    [
        ("bad_response", 0, 0, 100),  # an answer that came whole: nobody knows
        ("bad_response", 30, 30, 70),
        ("bad_response", 101, 100, 0),  # what it claims beyond its grant is not believed
        ("timeout", 30, 30, 70),
        ("failed", 1, 1, 99),
        ("overloaded", 0, 0, 0),  # nothing was begun
        ("unreachable", 0, 0, 0),
        ("circuit_open", 0, 0, 0),
    ],
)
async def test_a_refinement_that_fails_has_cost_what_it_reported(
    reason: FaultReason, reported: int, known: int, lost: int
) -> None:
    fakes = SplitEngines()
    fakes.global_refiner.fault, fakes.global_refiner.reported_tokens = reason, reported
    outcome = await solve(fakes, job())
    assert used(outcome, Stage.REFINE_GLOBALLY) == (known, lost)
    assert outcome.state.generated_tokens == known + 10  # the draft, the local refinement
    assert outcome.state.lost_tokens == lost
    assert outcome.state.engine_calls == 6 - (reason == "circuit_open")


async def test_a_refinement_stopped_by_the_deadline_has_cost_what_it_reported() -> None:
    fakes = SplitEngines()
    fakes.global_refiner.hangs, fakes.global_refiner.reported_tokens = True, 30
    outcome = await solve(fakes, job(deadline=30.0, rerank_reserve=29.95))
    assert Degradation(Stage.REFINE_GLOBALLY, DegradedReason.DEADLINE) in outcome.state.degraded
    assert used(outcome, Stage.REFINE_GLOBALLY) == (30, 70)


async def test_a_draft_that_is_late_beside_samples_has_cost_what_it_reported() -> None:
    fakes = SplitEngines()
    fakes.student.hangs, fakes.student.reported_tokens = True, 30
    outcome = await solve(fakes, job(Strategy.BEST_OF_N, deadline=30.0, rerank_reserve=29.95))
    assert used(outcome, Stage.DRAFT) == (30 + 10, 70)


async def test_a_question_without_a_draft_tells_what_was_spent() -> None:
    fakes = SplitEngines()
    fakes.student.fault, fakes.student.reported_tokens = "failed", 30
    with pytest.raises(NoDraftError) as caught:
        await solve(fakes, job(Strategy.DRAFT))
    assert (caught.value.state.generated_tokens, caught.value.state.lost_tokens) == (30, 70)


async def test_what_an_answer_reported_on_its_way_is_not_counted_twice() -> None:
    fakes = SplitEngines()
    fakes.global_refiner.reported_tokens = 4
    fakes.local_refiner.text, fakes.local_refiner.reported_tokens = " ", 4  # blank, but an answer
    outcome = await solve(fakes, job())
    assert outcome.state.generated_tokens == 15
    assert outcome.state.lost_tokens == 0


async def test_the_tokens_of_a_lost_attempt_are_missing_later() -> None:
    fakes = SplitEngines()
    fakes.student.repeated_calls = 1
    outcome = await solve(fakes, job(Strategy.GLOBAL, max_generated_tokens=240))
    assert used(outcome, Stage.DRAFT) == (5, 100)
    assert outcome.state.engine_calls == 3
    assert outcome.state.generated_tokens == 10  # which is all that is known
    fakes = SplitEngines()
    fakes.student.repeated_calls = 1
    await solve(fakes, job(Strategy.GLOBAL, max_generated_tokens=205))
    assert fakes.global_refiner.requests[0].max_tokens == 100
    fakes = SplitEngines()
    fakes.student.repeated_calls = 1
    await solve(fakes, job(Strategy.GLOBAL, max_generated_tokens=200))
    assert fakes.global_refiner.requests[0].max_tokens == 95


@pytest.mark.parametrize(("cap", "reserved"), [(199, 0), (200, 1), (299, 1), (300, 2)])
async def test_work_is_repeated_only_if_its_tokens_are_there_once_more(
    cap: int, reserved: int
) -> None:
    fakes = SplitEngines()
    fakes.student.repeated_calls = 3
    await solve(fakes, job(Strategy.DRAFT, max_generated_tokens=cap))
    assert fakes.student.reserved == reserved


async def test_samples_are_repeated_at_the_cost_of_all_of_them() -> None:
    fakes = SplitEngines()
    fakes.samples.repeated_calls = 1
    await solve(fakes, job(Strategy.BEST_OF_N, n=3, max_generated_tokens=499))
    assert fakes.samples.reserved == 0
    fakes = SplitEngines()
    fakes.samples.repeated_calls = 1
    outcome = await solve(fakes, job(Strategy.BEST_OF_N, n=3, max_generated_tokens=500))
    assert used(outcome, Stage.DRAFT) == (15, 200)


async def test_scores_are_repeated_without_tokens() -> None:
    fakes = SplitEngines()
    fakes.sorm.repeated_calls = fakes.orm.repeated_calls = 1
    outcome = await solve(fakes, job(max_generated_tokens=300))
    assert fakes.sorm.reserved == fakes.orm.reserved == 1
    assert outcome.state.lost_tokens == 0


async def test_tokens_that_are_repeated_in_flight_count_before_they_end() -> None:
    fakes = SplitEngines()
    fakes.global_refiner.repeated_calls = fakes.local_refiner.repeated_calls = 1
    fakes.global_refiner.release, fakes.sorm.release = asyncio.Event(), asyncio.Event()
    answer = asyncio.create_task(solve(fakes, job(max_generated_tokens=345)))
    while not fakes.global_refiner.reserved:
        await asyncio.sleep(0)
    fakes.sorm.release.set()
    await fakes.local_refiner.called.wait()
    fakes.global_refiner.release.set()
    outcome = await answer
    assert fakes.local_refiner.requests[0].max_tokens == 100
    assert fakes.local_refiner.reserved == 0
    assert (outcome.state.generated_tokens, outcome.state.lost_tokens) == (15, 100)


def test_while_the_draft_is_scored_the_tokens_of_refinements_to_come_are_left_alone() -> None:
    state = after(State(job(max_generated_tokens=350)), drafted())  # 100 of them in flight
    assert spare_tokens(state) == 150
    state = after(State(job(Strategy.GATED, max_generated_tokens=350)), drafted())
    assert spare_tokens(state) == 150
    state = after(State(job(Strategy.GATED, max_generated_tokens=150)), drafted())
    assert spare_tokens(state) == 0
    state = after(State(job(Strategy.BEST_OF_N, max_generated_tokens=350)))
    assert spare_tokens(state) == 50
