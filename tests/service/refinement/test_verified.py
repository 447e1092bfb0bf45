"""A whole request with verifiers, through fakes at the ports."""

import pytest

from glore.engines.ports import STOPPED
from glore.formats.prompts import local_refiner_prompt, student_prompt
from glore.refinement.progress import Delta, ProgressItem
from glore.refinement.runner import Solved, refine
from glore.refinement.types import (
    CandidateKind,
    Job,
    Selection,
    SelectionReason,
    Stage,
    Strategy,
)
from glore.verifiers.arithmetic import Arithmetic
from tests.service.clock import ManualClock
from tests.service.fakes import DRAFT, GLOBAL, LOCAL
from tests.service.refinement.builders import job
from tests.service.refinement.split_engines import SplitEngines

SLIP = "3 * 4 = 14\n#### 14"


async def solve(chosen: Job, **texts: str) -> tuple[Solved, SplitEngines]:
    fakes = SplitEngines(verifiers=(Arithmetic(),))
    for role, text in texts.items():
        getattr(fakes, role).text = text
    return await refine(chosen, fakes.engines(), ManualClock()), fakes


async def test_candidates_have_their_findings_and_the_sound_ones_are_ranked() -> None:
    outcome, fakes = await solve(job(), local_refiner=SLIP)
    found = [[each.claimed for each in c.findings] for c in outcome.state.candidates]
    assert sorted(found) == [[], ["13"], ["14"]]
    assert outcome.selected.solution == GLOBAL
    assert outcome.selection.reason is SelectionReason.VERIFIED
    assert fakes.orm.requests == []  # there is nothing to rank
    assert outcome.first_error is not None
    assert outcome.first_error.found_by == "arithmetic"


async def test_a_request_without_verifiers_is_answered_as_in_the_paper() -> None:
    outcome, fakes = await solve(job(verify=False), local_refiner=SLIP)
    assert all(candidate.findings == () for candidate in outcome.state.candidates)
    assert outcome.selection.reason is SelectionReason.OUTCOME_SCORE
    assert outcome.first_error is not None
    assert outcome.first_error.found_by == "sorm"
    assert len(fakes.orm.requests) == 2


async def test_adaptive_writes_no_more_than_it_needs() -> None:
    chosen = job(Strategy.ADAPTIVE, gate=None)
    outcome, fakes = await solve(chosen, global_refiner=SLIP)
    kinds = [candidate.kind for candidate in outcome.state.candidates]
    assert kinds == [CandidateKind.DRAFT, CandidateKind.GLOBAL, CandidateKind.LOCAL]
    assert [candidate.base for candidate in outcome.state.candidates] == [None, 0, 0]
    assert outcome.selected.solution == LOCAL
    assert fakes.sorm.requests == fakes.orm.requests == fakes.samples.requests == []
    assert outcome.state.engine_calls == 3


@pytest.mark.parametrize("strategy", [Strategy.GATED, Strategy.ADAPTIVE])
@pytest.mark.parametrize("reported", [True, False])
async def test_a_refinement_ends_at_its_first_refuted_step(
    strategy: Strategy, reported: bool
) -> None:
    fakes = SplitEngines(verifiers=(Arithmetic(),))
    fakes.global_refiner.text = "So 3 * 4 = 14\nThe end.\n#### 14"
    fakes.local_refiner.text = fakes.samples.text = "3 * 4 = 14\nThe end.\n#### 14"
    texts: list[ProgressItem] = []
    on_progress = texts.append if reported else None
    chosen = job(strategy, gate=None)
    outcome = await refine(chosen, fakes.engines(), ManualClock(), on_progress)
    draft, globally, locally, *samples = outcome.state.candidates
    assert draft.finish_reason == "stop"
    assert {each.finish_reason for each in (globally, locally, *samples)} == {STOPPED}
    assert globally.solution == "So 3 * 4 = 14"
    assert locally.solution == "Tom has 3 bags.\n3 * 4 = 14"
    assert [each.solution for each in samples] == ["3 * 4 = 14"] * len(samples)
    assert outcome.selection == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert fakes.orm.requests == []  # no stopped text wins against a whole one
    assert outcome.state.degraded == ()
    deltas = [e.text for e in texts if isinstance(e, Delta) and e.stage is Stage.REFINE_GLOBALLY]
    assert "".join(deltas) == ("So 3 * 4 = 14\n" if reported else "")


async def test_nothing_is_stopped_where_texts_are_compared_or_not_verified() -> None:
    slip = "3 * 4 = 14\nThe end.\n#### 14"
    for chosen in (job(), job(Strategy.GATED, verify=False), job(Strategy.BEST_OF_N)):
        outcome, fakes = await solve(chosen, global_refiner=slip, local_refiner=slip)
        assert {each.finish_reason for each in outcome.state.candidates} == {"stop"}
        assert not any(request.streamed for request in fakes.global_refiner.requests)


async def test_the_tokens_of_a_stopped_text_count() -> None:
    chosen = job(Strategy.GATED, gate=None)
    outcome, fakes = await solve(chosen, global_refiner="1 + 1 = 3\nThe end.\n#### 3")
    written = (fakes.student, fakes.global_refiner, fakes.local_refiner)
    assert outcome.state.generated_tokens == sum(each.generated_tokens for each in written)
    assert outcome.state.lost_tokens == 0
    assert outcome.selected.solution == LOCAL
    assert outcome.selection.reason is SelectionReason.VERIFIED


async def test_a_correction_goes_on_from_where_the_last_one_was_stopped() -> None:
    chosen = job(Strategy.ADAPTIVE, gate=None, correct=True)
    slip = "12 + 1 = 14\nThe end.\n#### 14"
    outcome, fakes = await solve(chosen, local_refiner=slip)
    first, second = outcome.state.candidates[1:3]
    assert first.solution == "Tom has 3 bags.\n3 * 4 = 12\n12 + 1 = 14"
    assert second.base == 1
    assert fakes.local_refiner.requests[1].prompt == local_refiner_prompt(
        chosen.question, first.solution, 2, "12 + 1 = 13\n"
    )


async def test_further_samples_and_refinements_of_later_rounds_are_sampled() -> None:
    fakes = SplitEngines(verifiers=(Arithmetic(),))
    fakes.global_refiner.text = fakes.local_refiner.text = SLIP
    fakes.samples.samples = (SLIP,)
    chosen = job(Strategy.ADAPTIVE, gate=None, rounds=2)
    outcome = await refine(chosen, fakes.engines(), ManualClock())
    assert (outcome.state.round, len(outcome.state.candidates)) == (2, 7)
    for engine in (fakes.global_refiner, fakes.local_refiner):
        assert [request.temperature for request in engine.requests] == [0.0, 0.7]
    for sample in fakes.samples.requests:
        assert (sample.temperature, sample.prompt) == (0.7, student_prompt(chosen.question))
    assert len(fakes.samples.requests) == 2


async def test_a_correction_goes_on_behind_the_right_value() -> None:
    chosen = job(Strategy.ADAPTIVE, gate=None, correct=True)
    outcome, fakes = await solve(chosen, local_refiner="#### 12")
    (request,) = fakes.local_refiner.requests
    right = "3 * 4 = 12\n"
    assert request.prompt == local_refiner_prompt(chosen.question, DRAFT, 1, right)
    assert request.temperature == 0.0
    assert outcome.selected.solution == f"Tom has 3 bags.\n{right}#### 12"
    assert outcome.selected.completion_offset == len(f"Tom has 3 bags.\n{right}")
    assert fakes.global_refiner.requests == []


async def test_the_last_step_of_a_text_that_was_cut_off_is_not_checked() -> None:
    fakes = SplitEngines(verifiers=(Arithmetic(),))
    fakes.student.text = "3 * 4 = 13\n10 * 10 = 10"
    fakes.student.finish_reason = "length"
    outcome = await refine(job(Strategy.DRAFT), fakes.engines(), ManualClock())
    assert [each.claimed for each in outcome.selected.findings] == ["13"]
