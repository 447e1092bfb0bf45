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
from tests.service.refinement.builders import DRAFT, GLOBAL, LOCAL, first_error_step, job
from tests.service.refinement.fakes import FakeClock, FakeEngines

TAIL = "3 * 4 = 12\n#### 12"


async def solve(fakes: FakeEngines, told: list[ProgressItem], chosen: Job | None = None) -> Solved:
    return await refine(chosen or job(), fakes.engines(), FakeClock(), told.append)


def text_of(told: list[ProgressItem], stage: Stage) -> str:
    return "".join(each.text for each in told if isinstance(each, Delta) and each.stage is stage)


def advanced(told: list[ProgressItem]) -> list[StageDone]:
    return [each for each in told if isinstance(each, StageDone)]


async def test_every_event_is_told_with_the_state_after_it() -> None:
    told: list[ProgressItem] = []
    outcome = await solve(FakeEngines(), told)
    kinds = [type(each.event) for each in advanced(told)]
    assert kinds[0] is Drafted
    assert kinds[-1] is Reranked
    assert sorted(kind.__name__ for kind in kinds[1:-1]) == [
        "DraftOutcomeScored",
        "Refined",
        "Refined",
        "StepsScored",
    ]
    assert advanced(told)[-1].state == outcome.state
    for each in advanced(told):
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


async def test_texts_are_told_while_they_are_written() -> None:
    fakes, told = FakeEngines(), list[ProgressItem]()
    fakes.student.draft.gate = asyncio.Event()
    run = asyncio.create_task(solve(fakes, told))
    await fakes.student.draft.arrived.wait()
    assert text_of(told, Stage.DRAFT) == DRAFT
    assert advanced(told) == []
    fakes.student.draft.gate.set()
    await run
    assert text_of(told, Stage.DRAFT) == DRAFT
    assert text_of(told, Stage.REFINE_GLOBALLY) == GLOBAL
    assert text_of(told, Stage.REFINE_LOCALLY) == TAIL  # without the step that is kept
    for kind, stage in (
        (CandidateKind.GLOBAL, Stage.REFINE_GLOBALLY),
        (CandidateKind.LOCAL, Stage.REFINE_LOCALLY),
    ):
        last = max(
            n for n, each in enumerate(told) if isinstance(each, Delta) and each.stage is stage
        )
        (whole,) = (
            n
            for n, each in enumerate(told)
            if isinstance(each, StageDone)
            and isinstance(each.event, Refined)
            and each.event.candidate.kind is kind
        )
        assert last < whole


async def test_telling_changes_nothing() -> None:
    quiet, fakes = FakeEngines(), FakeEngines()
    outcome = await refine(job(), quiet.engines(), FakeClock())
    assert await solve(fakes, []) == outcome
    assert [c.solution for c in outcome.state.candidates] == [DRAFT, GLOBAL, LOCAL]
    for engines, streamed in ((quiet, False), (fakes, True)):
        for writer in (engines.student.draft, engines.global_refiner, engines.local_refiner):
            assert [asked.streamed for asked in writer.asked] == [streamed]


async def test_of_best_of_n_only_the_draft_is_streamed() -> None:
    fakes, told = FakeEngines(), list[ProgressItem]()
    outcome = await solve(fakes, told, job(Strategy.BEST_OF_N))
    assert [asked.streamed for asked in fakes.student.samples.asked] == [False]
    assert text_of(told, Stage.DRAFT) == DRAFT
    (drafted, _) = advanced(told)
    assert len(drafted.state.candidates) == 3
    assert len(outcome.state.candidates) == 3


async def test_a_refinement_that_fails_is_told_as_such_after_its_text() -> None:
    fakes, told = FakeEngines(), list[ProgressItem]()
    fakes.global_refiner.fault = "bad_response"
    await solve(fakes, told)
    assert text_of(told, Stage.REFINE_GLOBALLY) == GLOBAL
    events = [each.event for each in advanced(told)]
    assert any(
        isinstance(event, ActionFailed) and event.degradation.stage is Stage.REFINE_GLOBALLY
        for event in events
    )
    assert not any(
        isinstance(event, Refined) and event.candidate.kind is CandidateKind.GLOBAL
        for event in events
    )


async def test_a_draft_that_fails_is_told_before_it_is_raised() -> None:
    fakes, told = FakeEngines(), list[ProgressItem]()
    fakes.student.draft.fault = "failed"
    with pytest.raises(NoDraftError):
        await solve(fakes, told)
    assert text_of(told, Stage.DRAFT) == DRAFT
    (last,) = advanced(told)
    assert isinstance(last.event, ActionFailed)
