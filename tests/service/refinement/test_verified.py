"""A whole request with verifiers, through fakes at the ports."""

from glore.formats.prompts import local_refiner_prompt, student_prompt
from glore.refinement.runner import Solved, refine
from glore.refinement.types import CandidateKind, Job, SelectionReason, Strategy
from glore.verifiers.arithmetic import Arithmetic
from tests.service.refinement.builders import DRAFT, GLOBAL, LOCAL, job
from tests.service.refinement.fakes import FakeClock, FakeEngines

SLIP = "3 * 4 = 14\n#### 14"


async def solve(chosen: Job, **texts: str) -> tuple[Solved, FakeEngines]:
    fakes = FakeEngines(verifiers=(Arithmetic(),))
    for role, text in texts.items():
        (fakes.student.draft if role == "student" else getattr(fakes, role)).text = text
    return await refine(chosen, fakes.engines(), FakeClock()), fakes


async def test_candidates_have_their_findings_and_the_sound_ones_are_ranked() -> None:
    outcome, fakes = await solve(job(), local_refiner=SLIP)
    found = [[each.claimed for each in c.findings] for c in outcome.state.candidates]
    assert sorted(found) == [[], ["13"], ["14"]]
    assert outcome.selected.solution == GLOBAL
    assert outcome.selection.reason is SelectionReason.VERIFIED
    assert fakes.orm.requested == []  # there is nothing to rank
    assert outcome.first_error is not None
    assert outcome.first_error.found_by == "arithmetic"


async def test_a_request_without_verifiers_is_answered_as_in_the_paper() -> None:
    outcome, fakes = await solve(job(verify=False), local_refiner=SLIP)
    assert all(candidate.findings == () for candidate in outcome.state.candidates)
    assert outcome.selection.reason is SelectionReason.OUTCOME_SCORE
    assert outcome.first_error is not None
    assert outcome.first_error.found_by == "sorm"
    assert len(fakes.orm.requested) == 2


async def test_adaptive_writes_no_more_than_it_needs() -> None:
    chosen = job(Strategy.ADAPTIVE, gate=None)
    outcome, fakes = await solve(chosen, global_refiner=SLIP)
    kinds = [candidate.kind for candidate in outcome.state.candidates]
    assert kinds == [CandidateKind.DRAFT, CandidateKind.GLOBAL, CandidateKind.LOCAL]
    assert [candidate.base for candidate in outcome.state.candidates] == [None, 0, 0]
    assert outcome.selected.solution == LOCAL
    assert fakes.sorm.requested == fakes.orm.requested == fakes.student.samples.requested == []
    assert outcome.state.engine_calls == 3


async def test_further_samples_and_refinements_of_later_rounds_are_sampled() -> None:
    fakes = FakeEngines(verifiers=(Arithmetic(),))
    fakes.global_refiner.text = fakes.local_refiner.text = SLIP
    fakes.student.samples.samples = (SLIP,)
    chosen = job(Strategy.ADAPTIVE, gate=None, rounds=2)
    outcome = await refine(chosen, fakes.engines(), FakeClock())
    assert (outcome.state.round, len(outcome.state.candidates)) == (2, 7)
    for engine in (fakes.global_refiner, fakes.local_refiner):
        assert [requested.temperature for requested in engine.requested] == [0.0, 0.7]
    for sample in fakes.student.samples.requested:
        assert (sample.temperature, sample.prompt) == (0.7, student_prompt(chosen.question))
    assert len(fakes.student.samples.requested) == 2


async def test_a_correction_goes_on_behind_the_right_value() -> None:
    chosen = job(Strategy.ADAPTIVE, gate=None, correct=True)
    outcome, fakes = await solve(chosen, local_refiner="#### 12")
    (requested,) = fakes.local_refiner.requested
    right = "3 * 4 = 12\n"
    assert requested.prompt == local_refiner_prompt(chosen.question, DRAFT, 1, right)
    assert requested.temperature == 0.0
    assert outcome.selected.solution == f"Tom has 3 bags.\n{right}#### 12"
    assert outcome.selected.completion_offset == len(f"Tom has 3 bags.\n{right}")
    assert fakes.global_refiner.requested == []


async def test_the_last_step_of_a_text_that_was_cut_off_is_not_checked() -> None:
    fakes = FakeEngines(verifiers=(Arithmetic(),))
    fakes.student.draft.text = "3 * 4 = 13\n10 * 10 = 10"
    fakes.student.draft.finish_reason = "length"
    outcome = await refine(job(Strategy.DRAFT), fakes.engines(), FakeClock())
    assert [each.claimed for each in outcome.selected.findings] == ["13"]
