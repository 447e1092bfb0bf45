from typing import Any

from glore_client import SolveResult
from glore_models.evaluation.outcomes import (
    any_candidate,
    as_answered,
    derived_draft,
    derived_global,
    derived_local,
)
from tests.clients.python import samples

DRAFT = samples.candidate("draft", "12", 0.2)
GLOBAL = samples.candidate("global_refinement", "10", 0.9)
LOCAL = samples.candidate("local_refinement", "11", 0.4)


def result(**parts: Any) -> SolveResult:
    return SolveResult.model_validate(samples.result(**parts))


def test_a_response_as_it_is() -> None:
    outcome = as_answered(result(selected=1), "10.0")
    assert outcome.correct
    assert outcome.generated_tokens == 190
    assert outcome.seconds == 3.25
    assert not as_answered(result(selected=0), "10").correct


def test_a_perfect_selector_is_right_when_any_candidate_is() -> None:
    assert any_candidate(result(selected=0), "11").correct
    assert not any_candidate(result(selected=0), "7").correct


def test_a_missing_score_degrades_the_choice_but_not_the_ceiling() -> None:
    unranked = result(degraded=[{"stage": "rerank", "reason": "timeout"}])
    assert as_answered(unranked, "10").degraded
    assert not any_candidate(unranked, "10").degraded


def test_the_draft_out_of_a_glore_response() -> None:
    outcome = derived_draft(result(selected=1), "12")
    assert outcome.correct
    assert (outcome.generated_tokens, outcome.seconds) == (70, 1.0)


def test_the_global_refinement_out_of_a_glore_response() -> None:
    outcome = derived_global(result(selected=0), "10")
    assert outcome.correct
    assert not outcome.degraded
    assert (outcome.generated_tokens, outcome.seconds) == (150, 3.0)


def test_without_a_global_refinement_the_draft_counts_and_it_is_said() -> None:
    outcome = derived_global(result(candidates=[DRAFT, LOCAL]), "12")
    assert outcome.correct
    assert outcome.degraded


def test_the_local_refinement_out_of_a_glore_response() -> None:
    outcome = derived_local(result(), "11")
    assert outcome.correct
    assert (outcome.generated_tokens, outcome.seconds) == (110, 2.5)


def test_no_error_found_is_the_draft_and_nothing_is_degraded() -> None:
    stages = [stage for stage in samples.GLORE_STAGES if stage["stage"] != "refine_locally"]
    clean = result(candidates=[DRAFT, GLOBAL], first_error=None, stages=stages)
    outcome = derived_local(clean, "12")
    assert outcome.correct
    assert not outcome.degraded
    assert (outcome.generated_tokens, outcome.seconds) == (70, 1.5)


def test_a_local_stage_that_failed_is_the_draft_degraded() -> None:
    outcome = derived_local(result(candidates=[DRAFT, GLOBAL]), "12")
    assert outcome.correct
    assert outcome.degraded


def test_a_draft_that_was_not_scored_is_degraded_for_local() -> None:
    body = samples.result(candidates=[DRAFT, GLOBAL], first_error=None)
    for step in body["draft"]["steps"]:
        step["score"] = None
    assert derived_local(SolveResult.model_validate(body), "12").degraded


def test_scoring_the_candidates_later_is_not_the_local_strategys_time() -> None:
    again = samples.stage("score", 5.0, 9.0, 0)
    outcome = derived_local(result(stages=[again, *samples.GLORE_STAGES]), "11")
    assert outcome.seconds == 2.5
