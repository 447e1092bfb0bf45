"""A whole request through fakes at the ports: results and faults."""

from dataclasses import replace

import pytest

from glore.engines.ports import FaultReason
from glore.formats.prompts import global_refiner_prompt, local_refiner_prompt, student_prompt
from glore.refinement.runner import NoDraftError, Solved, refine
from glore.refinement.types import (
    CandidateKind,
    Cost,
    Degradation,
    DegradedReason,
    Job,
    Selection,
    SelectionReason,
    Stage,
    Strategy,
)
from tests.service.clock import ManualClock
from tests.service.fakes import DRAFT, GLOBAL, LOCAL
from tests.service.refinement.builders import job
from tests.service.refinement.split_engines import SplitEngines


async def solve(fakes: SplitEngines, chosen: Job | None = None) -> Solved:
    return await refine(chosen or job(), fakes.engines(), ManualClock())


def kinds(outcome: Solved) -> list[CandidateKind]:
    return [candidate.kind for candidate in outcome.state.candidates]


def costs_of(outcome: Solved, stage: Stage) -> list[Cost]:
    return [cost for cost in outcome.state.costs if cost.stage is stage]


# --- results -----------------------------------------------------------------------------


async def test_glore_drafts_scores_refines_twice_and_ranks() -> None:
    outcome = await solve(SplitEngines())
    assert [c.solution for c in outcome.state.candidates] == [DRAFT, GLOBAL, LOCAL]
    assert [c.answer for c in outcome.state.candidates] == ["13", "12", "12"]
    assert [c.outcome_score for c in outcome.state.candidates] == [0.3, 0.8, 0.8]
    assert outcome.selection == Selection(1, SelectionReason.OUTCOME_SCORE)
    assert outcome.selected.kind is CandidateKind.GLOBAL
    assert outcome.draft.step_scores == (0.9, 0.2, 0.2)
    assert outcome.critique == "Tom has 3 bags.\n[BAD] 3 * 4 = 13\n#### 13"
    assert outcome.state.degraded == ()


async def test_each_engine_reads_its_own_prompt() -> None:
    fakes, chosen = SplitEngines(), job()
    await solve(fakes, chosen)
    question = chosen.question
    assert fakes.student.requests[0].prompt == student_prompt(question)
    assert fakes.global_refiner.requests[0].prompt == global_refiner_prompt(question, DRAFT)
    assert fakes.local_refiner.requests[0].prompt == local_refiner_prompt(question, DRAFT, 1)
    assert fakes.sorm.requests[0].texts == ("Tom has 3 bags.", "3 * 4 = 13", "#### 13")
    assert [request.texts for request in fakes.orm.requests] == [(DRAFT,), (GLOBAL, LOCAL)]


async def test_the_local_refinement_keeps_the_text_before_the_first_error() -> None:
    fakes = SplitEngines()
    fakes.student.text = "  Oné\r\n\n \tTwo 13\nThree\n\n"
    fakes.local_refiner.text = "\n\n  Two 12\n#### 12 \n"
    outcome = await solve(fakes, job(Strategy.LOCAL))
    local = outcome.selected
    assert outcome.draft.solution == "Oné\r\n\n \tTwo 13\nThree"
    assert local.solution == "Oné\r\n\nTwo 12\n#### 12"
    assert local.completion_offset == len("Oné\r\n\n")
    assert local.solution[local.completion_offset :] == "Two 12\n#### 12"


async def test_sampling_settings_reach_the_engines() -> None:
    fakes = SplitEngines()
    chosen = job(temperature=0.3, max_tokens=64)
    await solve(fakes, replace(chosen, sampling=replace(chosen.sampling, top_p=0.9)))
    for engine in (fakes.student, fakes.global_refiner, fakes.local_refiner):
        (request,) = engine.requests
        assert (request.n, request.temperature, request.top_p, request.max_tokens) == (
            1,
            0.3,
            0.9,
            64,
        )


@pytest.mark.parametrize(("temperature", "of_samples"), [(0.0, 0.7), (1.2, 1.2)])
async def test_best_of_n_draws_all_samples_in_one_warmer_call(
    temperature: float, of_samples: float
) -> None:
    fakes = SplitEngines()
    outcome = await solve(fakes, job(Strategy.BEST_OF_N, temperature=temperature))
    (draft,), (samples,) = fakes.student.requests, fakes.samples.requests
    assert (draft.n, draft.temperature) == (1, temperature)
    assert (samples.n, samples.temperature) == (2, of_samples)
    assert kinds(outcome) == [CandidateKind.DRAFT, CandidateKind.SAMPLE, CandidateKind.SAMPLE]
    assert outcome.selection == Selection(2, SelectionReason.OUTCOME_SCORE)


async def test_equal_solutions_are_sent_to_the_orm_once() -> None:
    fakes = SplitEngines()
    fakes.global_refiner.text = f"{DRAFT}\n"
    outcome = await solve(fakes)
    assert [request.texts for request in fakes.orm.requests] == [(DRAFT,), (LOCAL,)]
    assert [c.outcome_score for c in outcome.state.candidates] == [0.3, 0.3, 0.8]


async def test_no_first_error_is_no_degradation() -> None:
    fakes = SplitEngines()
    fakes.sorm.scores = (0.9, 0.9, 0.9)
    outcome = await solve(fakes)
    assert kinds(outcome) == [CandidateKind.DRAFT, CandidateKind.GLOBAL]
    assert outcome.critique is None
    assert outcome.state.degraded == ()


async def test_a_cut_off_completion_says_so() -> None:
    fakes = SplitEngines()
    fakes.student.finish_reason = "length"
    outcome = await solve(fakes, job(Strategy.DRAFT))
    assert outcome.selected.finish_reason == "length"


async def test_costs_are_stored_per_stage() -> None:
    fakes, clock = SplitEngines(), ManualClock()
    fakes.student.on_call = lambda: clock.advance(2.0)
    fakes.orm.on_call = lambda: clock.advance(0.5)
    outcome = await refine(job(), fakes.engines(), clock)
    costs = {cost.stage: cost for cost in outcome.state.costs}
    assert set(costs) == set(Stage)
    draft, (early, rerank) = costs[Stage.DRAFT], costs_of(outcome, Stage.RERANK)
    assert (draft.started, draft.seconds) == (0.0, 2.0)
    assert (draft.engine_calls, draft.prompt_tokens, draft.generated_tokens) == (1, 20, 5)
    assert (early.started, early.seconds, early.prompt_tokens) == (2.0, 0.5, 40)
    assert (rerank.started, rerank.seconds, rerank.prompt_tokens) == (2.5, 0.5, 40)
    assert costs[Stage.SCORE].prompt_tokens == 30
    assert outcome.seconds == 3.0
    assert outcome.state.engine_calls == 6
    assert outcome.state.generated_tokens == 15


# --- faults ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "stage", "left"),
    [
        ("global_refiner", Stage.REFINE_GLOBALLY, [CandidateKind.DRAFT, CandidateKind.LOCAL]),
        ("local_refiner", Stage.REFINE_LOCALLY, [CandidateKind.DRAFT, CandidateKind.GLOBAL]),
        ("sorm", Stage.SCORE, [CandidateKind.DRAFT, CandidateKind.GLOBAL]),
    ],
)
@pytest.mark.parametrize("reason", ["unreachable", "timeout", "overloaded"])
async def test_a_failing_engine_costs_its_candidate(
    role: str, stage: Stage, left: list[CandidateKind], reason: FaultReason
) -> None:
    fakes = SplitEngines()
    getattr(fakes, role).fault = reason
    outcome = await solve(fakes)
    assert kinds(outcome) == left
    assert outcome.state.degraded == (Degradation(stage, reason),)
    assert outcome.selection == Selection(1, SelectionReason.OUTCOME_SCORE)


async def test_without_the_orm_the_step_scores_decide() -> None:
    fakes = SplitEngines()
    fakes.orm.fault = "unreachable"
    outcome = await solve(fakes)
    assert outcome.selection == Selection(1, SelectionReason.STEP_SCORE)
    assert [c.step_scores for c in outcome.state.candidates] == [
        (0.9, 0.2, 0.2),
        (0.9, 0.9),
        (0.9, 0.9, 0.9),
    ]
    assert outcome.state.degraded == (Degradation(Stage.RERANK, "unreachable"),)


async def test_with_the_student_alone_the_draft_is_the_answer() -> None:
    fakes = SplitEngines()
    for engine in (fakes.global_refiner, fakes.local_refiner, fakes.sorm, fakes.orm):
        engine.fault = "failed"
    outcome = await solve(fakes)
    assert outcome.selection == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert {missing.stage for missing in outcome.state.degraded} == {
        Stage.SCORE,
        Stage.REFINE_GLOBALLY,
    }


@pytest.mark.parametrize("blank", ["", " \n\t\n"])
async def test_a_blank_refinement_is_a_bad_response(blank: str) -> None:
    fakes = SplitEngines()
    fakes.global_refiner.text = fakes.local_refiner.text = blank
    outcome = await solve(fakes)
    assert kinds(outcome) == [CandidateKind.DRAFT]
    assert outcome.state.degraded == (
        Degradation(Stage.REFINE_GLOBALLY, "bad_response"),
        Degradation(Stage.REFINE_LOCALLY, "bad_response"),
    )
    assert outcome.state.generated_tokens == 15


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((0.5,), "wrong_scores"),
        ((), "wrong_scores"),
        ((0.5, float("nan"), 0.5), "bad_response"),
        ((0.5, 1.5, 0.5), "bad_response"),
    ],
)
async def test_scores_that_make_no_sense_are_refused(
    values: tuple[float, ...], reason: FaultReason
) -> None:
    fakes = SplitEngines()
    fakes.sorm.scores = fakes.orm.scores = values
    outcome = await solve(fakes)
    assert Degradation(Stage.SCORE, reason) in outcome.state.degraded
    assert {missing.stage for missing in outcome.state.degraded} == {Stage.SCORE, Stage.RERANK}
    assert outcome.selection == Selection(0, SelectionReason.FALLBACK)


async def test_samples_that_fail_leave_the_draft() -> None:
    fakes = SplitEngines()
    fakes.samples.fault = "overloaded"
    outcome = await solve(fakes, job(Strategy.BEST_OF_N))
    assert outcome.selection == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert outcome.state.degraded == (Degradation(Stage.DRAFT, "overloaded"),)
    assert outcome.state.engine_calls == 2


async def test_the_first_sample_stands_in_for_a_draft_that_failed() -> None:
    fakes = SplitEngines()
    fakes.student.fault = "failed"
    outcome = await solve(fakes, job(Strategy.BEST_OF_N))
    assert kinds(outcome) == [CandidateKind.DRAFT, CandidateKind.SAMPLE]
    assert outcome.state.degraded == (Degradation(Stage.DRAFT, "failed"),)


async def test_blank_samples_are_left_out() -> None:
    fakes = SplitEngines()
    fakes.samples.samples = (" ", "#### 12")
    outcome = await solve(fakes, job(Strategy.BEST_OF_N))
    assert [c.solution for c in outcome.state.candidates] == [DRAFT, "#### 12"]
    assert outcome.state.degraded == (Degradation(Stage.DRAFT, "bad_response"),)


@pytest.mark.parametrize(
    ("reason", "timed_out"), [("unreachable", False), ("overloaded", False), ("timeout", True)]
)
async def test_no_draft_is_an_error_that_says_why(reason: FaultReason, timed_out: bool) -> None:
    fakes = SplitEngines()
    fakes.student.fault = reason
    with pytest.raises(NoDraftError) as caught:
        await solve(fakes)
    assert caught.value.reason == reason
    assert caught.value.timed_out is timed_out
    assert caught.value.state.engine_calls == 1


async def test_missing_samples_do_not_hide_why_there_is_no_draft() -> None:
    fakes = SplitEngines()
    fakes.student.fault = "timeout"
    with pytest.raises(NoDraftError) as caught:
        await solve(fakes, job(Strategy.BEST_OF_N, max_calls=2))
    assert caught.value.reason == "timeout"
    assert caught.value.state.degraded == (
        Degradation(Stage.DRAFT, DegradedReason.CALL_CAP),
        Degradation(Stage.DRAFT, "timeout"),
    )


async def test_a_blank_draft_is_no_draft() -> None:
    fakes = SplitEngines()
    fakes.student.text = "\n"
    with pytest.raises(NoDraftError, match="bad_response"):
        await solve(fakes)


async def test_a_cap_that_forbids_the_draft_is_reported() -> None:
    with pytest.raises(NoDraftError) as caught:
        await solve(SplitEngines(), job(max_calls=0))
    assert caught.value.reason is DegradedReason.CALL_CAP
    assert not caught.value.timed_out


@pytest.mark.parametrize("bug", [RuntimeError("bug"), TimeoutError("not a port's error")])
async def test_a_bug_in_an_adapter_is_not_hidden_and_stops_the_rest(bug: Exception) -> None:
    fakes = SplitEngines()
    fakes.sorm.fault = bug
    fakes.global_refiner.hangs = True
    with pytest.raises(ExceptionGroup) as caught:
        await solve(fakes)
    assert caught.value.exceptions == (bug,)
    assert fakes.global_refiner.cancelled == 1


async def test_one_engines_may_serve_several_requests() -> None:
    fakes = SplitEngines()
    first = await solve(fakes)
    fakes.student.requests.clear()
    assert (await solve(fakes)).state.candidates == first.state.candidates
