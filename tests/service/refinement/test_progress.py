"""What is told of a request, and when."""

import asyncio

import pytest

from glore.refinement.judging import critique_of
from glore.refinement.progress import Delta, ProgressItem, StageDone
from glore.refinement.runner import NoDraftError, Solved, refine
from glore.refinement.types import (
    ActionFailed,
    CandidateKind,
    Drafted,
    DraftOutcomeScored,
    Job,
    Refined,
    Reranked,
    Stage,
    StepsScored,
    Strategy,
)
from tests.service.clock import ManualClock
from tests.service.fakes import DRAFT, GLOBAL, LOCAL, LOCAL_TAIL
from tests.service.refinement.builders import first_error_step, job
from tests.service.refinement.split_engines import SplitEngines


async def solve(
    fakes: SplitEngines, reported: list[ProgressItem], chosen: Job | None = None
) -> Solved:
    return await refine(chosen or job(), fakes.engines(), ManualClock(), reported.append)


def text_of(reported: list[ProgressItem], stage: Stage) -> str:
    return "".join(
        each.text for each in reported if isinstance(each, Delta) and each.stage is stage
    )


def advanced(reported: list[ProgressItem]) -> list[StageDone]:
    return [each for each in reported if isinstance(each, StageDone)]


async def test_every_event_is_reported_with_the_state_after_it() -> None:
    reported: list[ProgressItem] = []
    outcome = await solve(SplitEngines(), reported)
    kinds = [type(each.event) for each in advanced(reported)]
    assert kinds[0] is Drafted
    assert kinds[-1] is Reranked
    assert sorted(kind.__name__ for kind in kinds[1:-1]) == [
        "DraftOutcomeScored",
        "Refined",
        "Refined",
        "StepsScored",
    ]
    assert advanced(reported)[-1].state == outcome.state
    for each in advanced(reported):
        match each.event:
            case Drafted():
                assert [one.solution for one in each.state.candidates] == [DRAFT]
                assert critique_of(each.state) is None
            case StepsScored():
                assert first_error_step(each.state) == 1
                assert critique_of(each.state) == outcome.critique
            case Refined(candidate=candidate):
                assert each.state.candidates[-1] == candidate
            case DraftOutcomeScored(score=score):
                assert each.state.candidates[0].outcome_score == score


async def test_texts_are_reported_while_they_are_written() -> None:
    fakes, reported = SplitEngines(), list[ProgressItem]()
    fakes.student.release = asyncio.Event()
    run = asyncio.create_task(solve(fakes, reported))
    await fakes.student.called.wait()
    assert text_of(reported, Stage.DRAFT) == DRAFT
    assert advanced(reported) == []
    fakes.student.release.set()
    await run
    assert text_of(reported, Stage.DRAFT) == DRAFT
    assert text_of(reported, Stage.REFINE_GLOBALLY) == GLOBAL
    assert text_of(reported, Stage.REFINE_LOCALLY) == LOCAL_TAIL  # without the step that is kept
    for kind, stage in (
        (CandidateKind.GLOBAL, Stage.REFINE_GLOBALLY),
        (CandidateKind.LOCAL, Stage.REFINE_LOCALLY),
    ):
        last = max(
            n for n, each in enumerate(reported) if isinstance(each, Delta) and each.stage is stage
        )
        (whole,) = (
            n
            for n, each in enumerate(reported)
            if isinstance(each, StageDone)
            and isinstance(each.event, Refined)
            and each.event.candidate.kind is kind
        )
        assert last < whole


async def test_telling_changes_nothing() -> None:
    quiet, fakes = SplitEngines(), SplitEngines()
    outcome = await refine(job(), quiet.engines(), ManualClock())
    assert await solve(fakes, []) == outcome
    assert [c.solution for c in outcome.state.candidates] == [DRAFT, GLOBAL, LOCAL]
    for engines, streamed in ((quiet, False), (fakes, True)):
        for writer in (engines.student, engines.global_refiner, engines.local_refiner):
            assert [request.streamed for request in writer.requests] == [streamed]


async def test_of_best_of_n_only_the_draft_is_streamed() -> None:
    fakes, reported = SplitEngines(), list[ProgressItem]()
    outcome = await solve(fakes, reported, job(Strategy.BEST_OF_N))
    assert [request.streamed for request in fakes.samples.requests] == [False]
    assert text_of(reported, Stage.DRAFT) == DRAFT
    (drafted, _) = advanced(reported)
    assert len(drafted.state.candidates) == 3
    assert len(outcome.state.candidates) == 3


async def test_a_refinement_that_fails_is_reported_as_such_after_its_text() -> None:
    fakes, reported = SplitEngines(), list[ProgressItem]()
    fakes.global_refiner.fault = "bad_response"
    await solve(fakes, reported)
    assert text_of(reported, Stage.REFINE_GLOBALLY) == GLOBAL
    events = [each.event for each in advanced(reported)]
    assert any(
        isinstance(event, ActionFailed) and event.degradation.stage is Stage.REFINE_GLOBALLY
        for event in events
    )
    assert not any(
        isinstance(event, Refined) and event.candidate.kind is CandidateKind.GLOBAL
        for event in events
    )


async def test_a_draft_that_fails_is_reported_before_it_is_raised() -> None:
    fakes, reported = SplitEngines(), list[ProgressItem]()
    fakes.student.fault = "failed"
    with pytest.raises(NoDraftError):
        await solve(fakes, reported)
    assert text_of(reported, Stage.DRAFT) == DRAFT
    (last,) = advanced(reported)
    assert isinstance(last.event, ActionFailed)
