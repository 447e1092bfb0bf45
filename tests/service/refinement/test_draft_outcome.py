"""The ORM scores the draft while it is refined: when, with which call, and what its faults cost."""

import asyncio

import pytest

from glore.engines.ports import FaultReason
from glore.refinement.caps import spare_calls
from glore.refinement.judging import solutions_to_rerank
from glore.refinement.policy import advance, useless
from glore.refinement.runner import Solved, refine
from glore.refinement.state import apply, in_flight
from glore.refinement.types import (
    Degradation,
    DegradedReason,
    DraftOutcomeScored,
    Event,
    Job,
    Rerank,
    Reranked,
    ScoreDraftOutcome,
    ScoreSteps,
    Selection,
    SelectionReason,
    Stage,
    State,
    StepsScored,
    Stopped,
    Strategy,
)
from tests.service.clock import ManualClock
from tests.service.fakes import DRAFT, GLOBAL, LOCAL
from tests.service.refinement.builders import (
    after,
    cost,
    drafted,
    failed,
    finish,
    job,
    refined_globally,
    refined_locally,
)
from tests.service.refinement.split_engines import SplitEngines

EARLY = ScoreDraftOutcome()
WRONG_STEP = StepsScored(0, (0.9, 0.2, 0.1))
NO_WRONG_STEP = StepsScored(0, (0.9, 0.9, 0.9))


async def solve(fakes: SplitEngines, chosen: Job | None = None) -> Solved:
    return await refine(chosen or job(), fakes.engines(), ManualClock())


def refining(chosen: Job | None = None, *, singly: bool = False) -> State:
    """Both refinements are being written."""
    return after(State(chosen or job(), ranked_singly=singly), drafted(), WRONG_STEP)


# --- when -------------------------------------------------------------------------------


def test_it_waits_for_the_step_scores_and_runs_beside_the_refinements() -> None:
    state = after(State(job()), drafted())
    assert EARLY not in state.started
    assert EARLY in in_flight(after(state, WRONG_STEP))
    assert EARLY in in_flight(after(state, NO_WRONG_STEP))
    assert EARLY in in_flight(after(state, failed(ScoreSteps(0))))


def test_it_is_left_to_the_rerank_when_nothing_is_being_refined() -> None:
    state = after(State(job()), drafted(), refined_globally(), NO_WRONG_STEP)
    assert in_flight(state) == {Rerank()}
    assert solutions_to_rerank(state) == (DRAFT, GLOBAL)


@pytest.mark.parametrize(
    ("strategy", "events"),
    [
        (Strategy.GLOBAL, (drafted(),)),
        (Strategy.LOCAL, (drafted(), WRONG_STEP)),
        (Strategy.BEST_OF_N, (drafted(DRAFT, "#### 2"),)),
    ],
)
def test_it_is_not_wanted_where_no_refinements_are_ranked(
    strategy: Strategy, events: tuple[Event, ...]
) -> None:
    assert EARLY not in after(State(job(strategy)), *events).started


# --- which call ---------------------------------------------------------------------------


@pytest.mark.parametrize(("singly", "enough"), [(False, 5), (True, 7)])
def test_it_takes_a_call_that_nothing_else_needs(singly: bool, enough: int) -> None:
    without = refining(job(max_calls=enough), singly=singly)
    assert EARLY not in without.started
    assert without.degraded == ()
    state = refining(job(max_calls=enough + 1), singly=singly)
    assert EARLY in in_flight(state)
    assert spare_calls(state) == 0
    state = after(state, failed(EARLY), refined_globally(), refined_locally())
    assert in_flight(state) == {Rerank()}
    assert state.degraded == ()


def test_a_score_that_came_is_a_call_fewer_for_an_orm_that_is_requested_each_candidate() -> None:
    state = refining(job(max_calls=8), singly=True)
    assert spare_calls(after(state, DraftOutcomeScored(0.3))) == 1


async def test_no_further_call_is_spent_on_it() -> None:
    fakes = SplitEngines()
    fakes.orm.extra_calls = 3
    fakes.global_refiner.release = asyncio.Event()
    answer = asyncio.create_task(solve(fakes))
    await fakes.orm.called.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert fakes.orm.reserved == 0
    fakes.global_refiner.release.set()
    assert (await answer).state.engine_calls == 6 + 3
    assert fakes.orm.reserved == 3


# --- what is left for the rerank ---------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "during"])
def test_the_rerank_scores_what_differs_from_the_draft(when: str) -> None:
    state = after(refining(), refined_globally(DRAFT))
    if when == "before":
        state = after(state, DraftOutcomeScored(0.3), refined_locally())
        state = after(state, Reranked((0.3, 0.3, 0.8)))
    else:
        state = after(state, refined_locally())
        assert solutions_to_rerank(state) == (LOCAL,)
        state = after(state, Reranked((None, None, 0.8)), DraftOutcomeScored(0.3))
    assert [each.outcome_score for each in state.candidates] == [0.3, 0.3, 0.8]
    assert finish(state) == Selection(2, SelectionReason.OUTCOME_SCORE)


@pytest.mark.parametrize("when", ["first", "last"])
def test_nothing_is_reranked_when_every_text_is_the_drafts(when: str) -> None:
    refinements = refined_globally(DRAFT), refined_locally(DRAFT)
    if when == "first":
        state = after(refining(), DraftOutcomeScored(0.3), *refinements)
    else:
        state = after(refining(), *refinements)
        assert in_flight(state) == {EARLY}
        assert useless(state) == frozenset()
        state = after(state, DraftOutcomeScored(0.3))
    assert Rerank() not in state.started
    assert [each.outcome_score for each in state.candidates] == [0.3, 0.3, 0.3]
    assert finish(state) == Selection(0, SelectionReason.OUTCOME_SCORE)
    assert state.degraded == ()


async def test_an_orm_slower_than_the_refiners_scores_both_at_once() -> None:
    fakes = SplitEngines()
    fakes.orm.release = asyncio.Event()
    answer = asyncio.create_task(solve(fakes))
    async with asyncio.timeout(10):
        while len(fakes.orm.requests) < 2:
            await asyncio.sleep(0)
        assert [request.texts for request in fakes.orm.requests] == [(DRAFT,), (GLOBAL, LOCAL)]
        fakes.orm.release.set()
        outcome = await answer
    assert [each.outcome_score for each in outcome.state.candidates] == [0.3, 0.8, 0.8]
    assert outcome.selection == Selection(1, SelectionReason.OUTCOME_SCORE)


async def test_a_client_that_goes_ends_both_calls() -> None:
    fakes = SplitEngines()
    fakes.orm.hangs = True
    answer = asyncio.create_task(solve(fakes))
    async with asyncio.timeout(10):
        while len(fakes.orm.requests) < 2:
            await asyncio.sleep(0)
        answer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answer
    assert fakes.orm.cancelled == 2


# --- what faults cost -----------------------------------------------------------------------


@pytest.mark.parametrize("text", [GLOBAL, DRAFT])
def test_after_another_fault_than_time_the_rerank_scores_the_draft_too(text: str) -> None:
    state = after(refining(), failed(EARLY), refined_globally(text), refined_locally(text))
    assert in_flight(state) == {Rerank()}
    assert solutions_to_rerank(state) == tuple(dict.fromkeys((DRAFT, text)))
    assert state.degraded == ()


@pytest.mark.parametrize("reason", ["timeout", DegradedReason.DEADLINE])
def test_an_orm_that_did_not_answer_in_time_is_not_waited_for_again(
    reason: FaultReason | DegradedReason,
) -> None:
    missing = Degradation(Stage.RERANK, reason)
    state = after(refining(), failed(EARLY, reason), refined_globally())
    assert state.degraded == (missing,)
    assert ScoreSteps(1) not in state.started  # a candidate is still to come
    state = after(state, refined_locally())
    assert Rerank() not in state.started
    if reason is DegradedReason.DEADLINE:
        assert finish(state) == Selection(1, SelectionReason.AGREEMENT)
        return
    assert in_flight(state) == {ScoreSteps(1), ScoreSteps(2)}
    state = after(state, StepsScored(1, (0.4, 0.9)), StepsScored(2, (0.8, 0.8, 0.8)))
    assert finish(state) == Selection(2, SelectionReason.STEP_SCORE)
    assert state.degraded == (missing,)


def test_the_sorm_then_scores_all_candidates_or_none() -> None:
    state = after(refining(job(max_calls=6)), failed(EARLY, "timeout"))
    state = after(state, refined_globally(), refined_locally())
    assert in_flight(state) == set()
    assert finish(state) == Selection(1, SelectionReason.AGREEMENT)
    assert state.degraded[-1] == Degradation(Stage.SCORE, DegradedReason.CALL_CAP)


async def test_the_sorm_then_may_use_all_the_time_that_is_left() -> None:
    fakes = SplitEngines()
    fakes.orm.fault = "timeout"
    chosen = job(Strategy.GATED, deadline=30.0, rerank_reserve=4.0)
    outcome = await solve(fakes, chosen)
    assert len(fakes.orm.requests) == 1
    assert [request.timeout for request in fakes.sorm.requests] == [13.0, 30.0, 30.0]
    assert outcome.selection.reason is SelectionReason.STEP_SCORE
    assert outcome.state.degraded == (Degradation(Stage.RERANK, "timeout"),)


def test_what_the_orm_still_works_on_is_useless_once_a_score_will_not_come() -> None:
    both = after(refining(), refined_globally(), refined_locally())
    assert in_flight(both) == {EARLY, Rerank()}
    assert useless(both) == frozenset()
    for fails, stays in ((EARLY, Rerank()), (Rerank(), EARLY)):
        state, _ = advance(apply(both, failed(fails), cost(fails)))
        assert state.degraded == (Degradation(Stage.RERANK, "unreachable"),)
        assert useless(state) == {stays}
        assert {ScoreSteps(1), ScoreSteps(2)} <= in_flight(state)
        state = apply(state, Stopped(stays), cost(stays))
        assert useless(state) == frozenset()


async def test_a_draft_alone_does_not_wait_for_its_outcome_score() -> None:
    fakes = SplitEngines()
    fakes.global_refiner.fault = fakes.local_refiner.fault = "failed"
    fakes.orm.hangs = True
    async with asyncio.timeout(10):
        outcome = await solve(fakes)
    assert fakes.orm.cancelled == 1
    assert outcome.selection == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert Stage.RERANK not in {missing.stage for missing in outcome.state.degraded}
