"""What overlaps, what is cancelled, and what the deadline stops."""

import asyncio

import pytest

from glore.refinement.runner import NoDraftError, Solved, refine
from glore.refinement.types import (
    CandidateKind,
    Degradation,
    DegradedReason,
    Job,
    Selection,
    SelectionReason,
    Stage,
    Strategy,
)
from tests.service.clock import ManualClock
from tests.service.fakes import GLOBAL, LOCAL, FakeEngine
from tests.service.refinement.builders import job
from tests.service.refinement.split_engines import SplitEngines


async def solve(fakes: SplitEngines, chosen: Job | None = None) -> Solved:
    return await refine(chosen or job(), fakes.engines(), ManualClock())


def kinds(outcome: Solved) -> list[CandidateKind]:
    return [candidate.kind for candidate in outcome.state.candidates]


# --- concurrency -------------------------------------------------------------------------


async def test_the_global_refiner_runs_beside_scoring_and_local_refinement() -> None:
    fakes = SplitEngines()
    held = fakes.global_refiner.release = asyncio.Event()
    fakes.sorm.release = asyncio.Event()
    answer = asyncio.create_task(solve(fakes))
    await fakes.global_refiner.called.wait()
    await fakes.sorm.called.wait()
    fakes.sorm.release.set()
    await fakes.local_refiner.called.wait()
    assert not any(
        GLOBAL in request.texts or LOCAL in request.texts for request in fakes.orm.requests
    )
    held.set()
    assert len((await answer).state.candidates) == 3


async def test_the_samples_are_drawn_beside_the_draft() -> None:
    fakes = SplitEngines()
    fakes.student.release = fakes.samples.release = asyncio.Event()
    answer = asyncio.create_task(solve(fakes, job(Strategy.BEST_OF_N)))
    await fakes.student.called.wait()
    await fakes.samples.called.wait()
    fakes.student.release.set()
    assert len((await answer).state.candidates) == 3


@pytest.mark.parametrize(
    ("strategy", "names"),
    [
        (Strategy.DRAFT, ["student"]),
        (Strategy.BEST_OF_N, ["student", "samples"]),
        (Strategy.GLORE, ["global_refiner", "sorm"]),
        (Strategy.GLORE, ["global_refiner", "local_refiner"]),
        (Strategy.GLORE, ["orm"]),
    ],
)
async def test_cancelling_a_request_cancels_every_call_in_flight(
    strategy: Strategy, names: list[str]
) -> None:
    fakes = SplitEngines()
    held: list[FakeEngine] = [getattr(fakes, name) for name in names]
    for engine in held:
        engine.hangs = True
    answer = asyncio.create_task(solve(fakes, job(strategy)))
    for engine in held:
        await engine.called.wait()
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert [engine.cancelled for engine in held] == [1] * len(held)
    assert sum(engine.cancelled for engine in fakes.all()) == len(held)


# --- the deadline ------------------------------------------------------------------------


async def test_every_call_gets_what_is_left_of_the_one_deadline() -> None:
    fakes, clock = SplitEngines(), ManualClock()
    for engine in fakes.all():
        engine.on_call = lambda: clock.advance(2.0)
    await refine(job(deadline=30.0, rerank_reserve=3.0), fakes.engines(), clock)
    assert fakes.student.requests[0].timeout == 30.0
    assert fakes.global_refiner.requests[0].timeout == 25.0
    assert fakes.sorm.requests[0].timeout == 23.0
    assert fakes.local_refiner.requests[0].timeout == 21.0
    assert [request.timeout for request in fakes.orm.requests] == [22.0, 20.0]


async def test_an_unranked_strategy_keeps_no_time_for_reranking() -> None:
    fakes = SplitEngines()
    await solve(fakes, job(Strategy.GLOBAL, deadline=30.0, rerank_reserve=3.0))
    assert fakes.global_refiner.requests[0].timeout == 30.0


async def test_samples_leave_time_for_reranking() -> None:
    fakes = SplitEngines()
    await solve(fakes, job(Strategy.BEST_OF_N, deadline=30.0, rerank_reserve=3.0))
    assert fakes.student.requests[0].timeout == 30.0
    assert fakes.samples.requests[0].timeout == 27.0


async def test_step_scores_in_place_of_the_orm_may_use_its_time() -> None:
    fakes = SplitEngines()
    fakes.orm.fault = "failed"
    await solve(fakes, job(deadline=30.0, rerank_reserve=3.0))
    assert [request.timeout for request in fakes.sorm.requests] == [27.0, 30.0, 30.0]


async def test_a_refinement_that_takes_too_long_is_stopped_in_time_for_reranking() -> None:
    fakes = SplitEngines()
    fakes.global_refiner.hangs = True
    outcome = await solve(fakes, job(deadline=30.0, rerank_reserve=29.95))
    assert fakes.global_refiner.cancelled == 1
    assert kinds(outcome) == [CandidateKind.DRAFT, CandidateKind.LOCAL]
    assert outcome.selection == Selection(1, SelectionReason.OUTCOME_SCORE)
    assert outcome.state.degraded == (Degradation(Stage.REFINE_GLOBALLY, DegradedReason.DEADLINE),)


async def test_at_the_deadline_the_best_candidate_so_far_is_the_answer() -> None:
    fakes, clock = SplitEngines(), ManualClock()
    fakes.student.on_call = lambda: clock.advance(9.95)
    fakes.orm.hangs = True
    outcome = await refine(job(deadline=10.0, rerank_reserve=0.0), fakes.engines(), clock)
    assert fakes.orm.cancelled == 2  # the draft's score, and the rerank
    assert len(fakes.sorm.requests) == 1
    assert outcome.selection == Selection(1, SelectionReason.AGREEMENT)
    assert outcome.state.degraded == (Degradation(Stage.RERANK, DegradedReason.DEADLINE),)


async def test_no_call_is_created_without_time() -> None:
    fakes, clock = SplitEngines(), ManualClock()
    fakes.student.on_call = lambda: clock.advance(61.0)
    outcome = await refine(job(), fakes.engines(), clock)
    assert outcome.state.engine_calls == 1
    assert fakes.global_refiner.requests == fakes.sorm.requests == []
    assert outcome.selection == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert {missing.reason for missing in outcome.state.degraded} == {DegradedReason.DEADLINE}


async def test_no_draft_within_the_deadline_is_reported_from_a_failing_engine() -> None:
    fakes = SplitEngines()
    fakes.student.hangs = True
    with pytest.raises(NoDraftError) as caught:
        await solve(fakes, job(deadline=0.02))
    assert caught.value.reason is DegradedReason.DEADLINE
    assert caught.value.timed_out
    assert fakes.student.cancelled == 1


async def test_the_draft_is_stored_when_only_the_samples_are_late() -> None:
    fakes = SplitEngines()
    fakes.samples.hangs = True
    outcome = await solve(fakes, job(Strategy.BEST_OF_N, deadline=30.0, rerank_reserve=29.98))
    assert kinds(outcome) == [CandidateKind.DRAFT]
    assert outcome.state.degraded == (Degradation(Stage.DRAFT, DegradedReason.DEADLINE),)
    assert fakes.samples.cancelled == 1


async def test_a_late_draft_leaves_the_samples_time_for_reranking() -> None:
    fakes = SplitEngines()
    fakes.student.hangs = True
    outcome = await solve(fakes, job(Strategy.BEST_OF_N, deadline=30.0, rerank_reserve=29.95))
    assert fakes.student.cancelled == 1
    assert len(outcome.state.candidates) == 2
    assert outcome.selection.reason is SelectionReason.OUTCOME_SCORE
    assert outcome.state.degraded == (Degradation(Stage.DRAFT, DegradedReason.DEADLINE),)


async def test_a_late_draft_without_samples_has_the_whole_deadline() -> None:
    fakes = SplitEngines()
    fakes.samples.fault = "failed"
    held = fakes.student.release = asyncio.Event()
    answer = asyncio.create_task(
        solve(fakes, job(Strategy.BEST_OF_N, deadline=30.0, rerank_reserve=29.999))
    )
    await fakes.student.called.wait()
    await asyncio.sleep(0.05)
    held.set()
    assert kinds(await answer) == [CandidateKind.DRAFT]


async def test_gated_refines_nothing_while_the_draft_is_scored() -> None:
    fakes = SplitEngines()
    held = fakes.sorm.release = asyncio.Event()
    answer = asyncio.create_task(solve(fakes, job(Strategy.GATED)))
    await fakes.sorm.called.wait()
    assert fakes.global_refiner.requests == fakes.local_refiner.requests == []
    held.set()
    assert len((await answer).state.candidates) == 3


async def test_scores_that_do_not_come_leave_gated_time_to_refine() -> None:
    fakes = SplitEngines()
    fakes.sorm.hangs = True
    outcome = await solve(fakes, job(Strategy.GATED, deadline=0.4, rerank_reserve=0.1))
    assert fakes.sorm.requests[0].timeout == pytest.approx(0.15)
    assert kinds(outcome) == [CandidateKind.DRAFT, CandidateKind.GLOBAL]
    assert outcome.state.degraded == (Degradation(Stage.SCORE, DegradedReason.DEADLINE),)
