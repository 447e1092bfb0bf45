"""The policy, strategy by strategy and fault by fault."""

from dataclasses import replace

import pytest

from glore.refinement.policy import advance, next_actions
from glore.refinement.types import (
    Action,
    Degradation,
    DegradedReason,
    Draft,
    DraftOutcomeScored,
    Finish,
    RefineGlobally,
    RefineLocally,
    Rerank,
    Reranked,
    ScoreDraftOutcome,
    ScoreSteps,
    Selection,
    SelectionReason,
    Stage,
    State,
    StepsScored,
    Strategy,
)
from tests.service.fakes import DRAFT, GLOBAL
from tests.service.refinement.builders import (
    after,
    drafted,
    failed,
    finish,
    first_error_step,
    job,
    refined_globally,
    refined_locally,
)

GLOBALLY = RefineGlobally(100)
LOCALLY = RefineLocally(1, 100)
DRAFT_ALONE = Draft(samples=0, max_tokens=100, sample_max_tokens=0)
WRONG_STEP = StepsScored(0, (0.9, 0.2, 0.1))
NO_WRONG_STEP = StepsScored(0, (0.9, 0.8, 0.7))
EARLY = ScoreDraftOutcome()


def in_flight(state: State) -> set[Action]:
    return set(state.started - state.ended)


@pytest.mark.parametrize(
    "strategy", [Strategy.GLORE, Strategy.DRAFT, Strategy.GLOBAL, Strategy.LOCAL]
)
def test_everything_starts_with_one_draft(strategy: Strategy) -> None:
    assert next_actions(State(job(strategy))) == (DRAFT_ALONE,)


def test_the_policy_does_not_change_its_state_and_answers_alike_each_time() -> None:
    state = State(job())
    assert next_actions(state) == next_actions(state)
    assert state == State(job())


def test_what_has_begun_is_not_started_again() -> None:
    state, _ = advance(State(job()))
    assert next_actions(state) == ()


# --- glore -------------------------------------------------------------------------------


def test_global_refinement_starts_beside_scoring_in_the_same_step() -> None:
    state = after(State(job()), drafted())
    assert in_flight(state) == {GLOBALLY, ScoreSteps(0)}


def test_local_refinement_starts_at_the_first_error_while_the_global_one_runs() -> None:
    state = after(State(job()), drafted(), WRONG_STEP)
    assert first_error_step(state) == 1
    assert in_flight(state) == {GLOBALLY, LOCALLY, EARLY}


def test_reranking_waits_for_both_refinements() -> None:
    state = after(State(job()), drafted(), WRONG_STEP, refined_globally())
    assert in_flight(state) == {LOCALLY, EARLY}
    state = after(state, refined_locally())
    assert in_flight(state) == {Rerank(), EARLY}


def test_glore_returns_the_highest_outcome_score() -> None:
    state = after(
        State(job()),
        drafted(),
        WRONG_STEP,
        DraftOutcomeScored(0.1),
        refined_globally(),
        refined_locally(),
        Reranked((0.1, 0.8, 0.9)),
    )
    assert finish(state) == Selection(2, SelectionReason.OUTCOME_SCORE)
    assert [c.outcome_score for c in state.candidates] == [0.1, 0.8, 0.9]
    assert state.degraded == ()


def test_glore_without_an_error_ranks_draft_and_global_refinement_undegraded() -> None:
    state = after(State(job()), drafted(), NO_WRONG_STEP, refined_globally())
    assert in_flight(state) == {Rerank(), EARLY}
    state = after(state, DraftOutcomeScored(0.9), Reranked((None, 0.3)))
    assert finish(state) == Selection(0, SelectionReason.OUTCOME_SCORE)
    assert first_error_step(state) is None
    assert state.degraded == ()


def test_glore_without_the_sorm_has_no_local_candidate() -> None:
    state = after(State(job()), drafted(), failed(ScoreSteps(0)), refined_globally())
    assert in_flight(state) == {Rerank(), EARLY}
    state = after(state, Reranked((None, 0.3)), DraftOutcomeScored(0.2))
    assert finish(state) == Selection(1, SelectionReason.OUTCOME_SCORE)
    assert state.degraded == (Degradation(Stage.SCORE, "unreachable"),)


def test_glore_without_any_refiner_returns_the_draft_unranked() -> None:
    state = after(
        State(job()),
        drafted(),
        WRONG_STEP,
        failed(GLOBALLY),
        failed(LOCALLY),
        DraftOutcomeScored(0.4),
    )
    assert finish(state) == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert [missing.stage for missing in state.degraded] == [
        Stage.REFINE_GLOBALLY,
        Stage.REFINE_LOCALLY,
    ]


def test_without_a_draft_there_is_no_selection() -> None:
    state = after(State(job()), failed(DRAFT_ALONE))
    assert finish(state) is None


# --- without the ORM ---------------------------------------------------------------------


def unranked() -> State:
    """Draft, global and local refinement are there; the ORM is not."""
    return after(
        State(job()),
        drafted(),
        WRONG_STEP,
        failed(EARLY),
        refined_globally(),
        refined_locally(),
        failed(Rerank()),
    )


def test_without_the_orm_the_sorm_scores_the_other_candidates_side_by_side() -> None:
    assert in_flight(unranked()) == {ScoreSteps(1), ScoreSteps(2)}


def test_the_highest_lowest_step_score_wins_without_the_orm() -> None:
    state = after(unranked(), StepsScored(1, (0.9, 0.4)), StepsScored(2, (0.6, 0.7, 0.6)))
    assert finish(state) == Selection(2, SelectionReason.STEP_SCORE)
    assert state.degraded == (Degradation(Stage.RERANK, "unreachable"),)


def test_agreement_decides_when_the_sorm_fails_too() -> None:
    state = after(unranked(), StepsScored(1, (0.9, 0.4)), failed(ScoreSteps(2)))
    assert finish(state) == Selection(1, SelectionReason.AGREEMENT)


def test_a_dead_sorm_is_not_requested_again() -> None:
    state = after(
        State(job()),
        drafted(),
        failed(ScoreSteps(0)),
        failed(EARLY),
        refined_globally(),
        failed(Rerank()),
    )
    assert in_flight(state) == set()
    assert finish(state) == Selection(0, SelectionReason.FALLBACK)


def test_nothing_more_is_scored_when_reranking_ran_out_of_time() -> None:
    state = after(
        State(job()),
        drafted(),
        WRONG_STEP,
        DraftOutcomeScored(0.1),
        refined_globally(),
        refined_locally(),
        failed(Rerank(), DegradedReason.DEADLINE),
    )
    assert finish(state) == Selection(1, SelectionReason.AGREEMENT)


def test_equal_solutions_are_scored_once_and_share_the_scores() -> None:
    state = after(
        State(job()),
        drafted(),
        WRONG_STEP,
        DraftOutcomeScored(0.1),
        refined_globally(),
        refined_locally(GLOBAL),
        failed(Rerank()),
    )
    assert in_flight(state) == {ScoreSteps(1)}
    state = after(state, StepsScored(1, (0.8, 0.9)))
    assert [c.step_scores for c in state.candidates] == [(0.9, 0.2, 0.1), (0.8, 0.9), (0.8, 0.9)]
    assert finish(state) == Selection(1, SelectionReason.STEP_SCORE)


@pytest.mark.parametrize("scored_first", [True, False])
def test_a_refinement_equal_to_the_draft_shares_its_scores_and_loses_the_tie(
    scored_first: bool,
) -> None:
    events = (NO_WRONG_STEP, refined_globally(DRAFT))
    state = State(job(max_calls=4))  # none for the ORM while the refinement is written
    state = after(state, drafted(), *(events if scored_first else reversed(events)))
    state = after(state, failed(Rerank()))
    assert finish(state) == Selection(0, SelectionReason.STEP_SCORE)


# --- draft, global, local ----------------------------------------------------------------


def test_draft_is_done_with_the_draft() -> None:
    state = after(State(job(Strategy.DRAFT)), drafted())
    assert finish(state) == Selection(0, SelectionReason.STRATEGY)


def test_global_returns_the_refinement_unranked() -> None:
    state = after(State(job(Strategy.GLOBAL)), drafted())
    assert in_flight(state) == {GLOBALLY}
    state = after(state, refined_globally())
    assert finish(state) == Selection(1, SelectionReason.STRATEGY)


def test_global_without_its_refiner_returns_the_draft() -> None:
    state = after(State(job(Strategy.GLOBAL)), drafted(), failed(GLOBALLY))
    assert finish(state) == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert state.degraded == (Degradation(Stage.REFINE_GLOBALLY, "unreachable"),)


def test_local_returns_the_refinement_unranked() -> None:
    state = after(State(job(Strategy.LOCAL)), drafted())
    assert in_flight(state) == {ScoreSteps(0)}
    state = after(state, WRONG_STEP, refined_locally())
    assert finish(state) == Selection(1, SelectionReason.STRATEGY)


def test_local_without_an_error_returns_the_draft_undegraded() -> None:
    state = after(State(job(Strategy.LOCAL)), drafted(), NO_WRONG_STEP)
    assert finish(state) == Selection(0, SelectionReason.STRATEGY)
    assert state.degraded == ()


@pytest.mark.parametrize("fault", ["sorm", "refiner"])
def test_local_with_a_fault_returns_the_draft_degraded(fault: str) -> None:
    state = after(State(job(Strategy.LOCAL)), drafted())
    if fault == "sorm":
        state = after(state, failed(ScoreSteps(0)))
    else:
        state = after(state, WRONG_STEP, failed(LOCALLY))
    assert finish(state) == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert len(state.degraded) == 1


# --- gated ---------------------------------------------------------------------------------


def test_gated_takes_a_draft_without_a_step_below_the_gate() -> None:
    state = after(State(job(Strategy.GATED)), drafted())
    assert in_flight(state) == {ScoreSteps(0)}
    state = after(state, NO_WRONG_STEP)
    assert finish(state) == Selection(0, SelectionReason.ACCEPTED)
    assert state.degraded == ()


def test_gated_refines_any_other_draft_as_glore_does() -> None:
    state = after(State(job(Strategy.GATED)), drafted(), WRONG_STEP)
    assert in_flight(state) == {GLOBALLY, LOCALLY, EARLY}
    state = after(state, refined_globally(), refined_locally())
    assert in_flight(state) == {Rerank(), EARLY}
    state = after(state, DraftOutcomeScored(0.1), Reranked((None, 0.8, 0.9)))
    assert finish(state) == Selection(2, SelectionReason.OUTCOME_SCORE)


def test_the_gate_is_not_the_threshold_of_a_first_error() -> None:
    strict = replace(job(Strategy.GATED), gate=0.95)
    state = after(State(strict), drafted(), NO_WRONG_STEP)
    assert in_flight(state) == {GLOBALLY, EARLY}  # no error to refine from, and yet not sure
    lenient = replace(job(Strategy.GATED), gate=0.05)
    state = after(State(lenient), drafted(), WRONG_STEP)
    assert first_error_step(state) == 1
    assert finish(state) == Selection(0, SelectionReason.ACCEPTED)


def test_gated_without_the_sorm_refines_globally() -> None:
    state = after(State(job(Strategy.GATED)), drafted(), failed(ScoreSteps(0)))
    assert in_flight(state) == {GLOBALLY, EARLY}
    state = after(state, DraftOutcomeScored(0.2), refined_globally(), Reranked((0.2, 0.3)))
    assert finish(state) == Selection(1, SelectionReason.OUTCOME_SCORE)
    assert state.degraded == (Degradation(Stage.SCORE, "unreachable"),)


# --- best of n ---------------------------------------------------------------------------


def test_best_of_n_draws_the_samples_with_the_draft() -> None:
    assert next_actions(State(job(Strategy.BEST_OF_N, n=4))) == (Draft(3, 100, 100),)


def test_best_of_n_reranks_and_returns_the_first_of_the_best() -> None:
    state = after(State(job(Strategy.BEST_OF_N)), drafted("#### 1", "#### 2", "#### 3"))
    assert in_flight(state) == {Rerank()}
    state = after(state, Reranked((0.5, 0.7, 0.7)))
    assert finish(state) == Selection(1, SelectionReason.OUTCOME_SCORE)


def test_best_of_n_without_the_orm_lets_the_sorm_score_all_candidates() -> None:
    state = after(
        State(job(Strategy.BEST_OF_N)), drafted("#### 1", "#### 2", "#### 2"), failed(Rerank())
    )
    assert in_flight(state) == {ScoreSteps(0), ScoreSteps(1)}
    state = after(state, failed(ScoreSteps(0)), StepsScored(1, (0.9,)))
    assert finish(state) == Selection(1, SelectionReason.AGREEMENT)


def test_best_of_n_that_lost_its_samples_returns_the_draft_unranked() -> None:
    state = after(State(job(Strategy.BEST_OF_N)), drafted("#### 1"))
    assert finish(state) == Selection(0, SelectionReason.ONLY_CANDIDATE)


# --- the call cap ------------------------------------------------------------------------


def test_no_call_no_draft() -> None:
    state, actions = advance(State(job(max_calls=0)))
    assert actions == (Finish(None),)
    assert state.degraded == (Degradation(Stage.DRAFT, DegradedReason.CALL_CAP),)


@pytest.mark.parametrize("calls", [1, 2])
def test_a_refinement_that_could_not_be_ranked_is_not_started(calls: int) -> None:
    state = after(State(job(max_calls=calls)), drafted())
    assert finish(state) == Selection(0, SelectionReason.ONLY_CANDIDATE)
    assert state.degraded[0].stage is Stage.REFINE_GLOBALLY


def test_three_calls_are_a_draft_a_global_refinement_and_the_rerank() -> None:
    state = after(State(job(max_calls=3)), drafted())
    assert in_flight(state) == {GLOBALLY}
    assert state.degraded == (Degradation(Stage.SCORE, DegradedReason.CALL_CAP),)
    assert in_flight(after(state, refined_globally())) == {Rerank()}


def test_four_calls_leave_none_for_the_local_refinement() -> None:
    state = after(State(job(max_calls=4)), drafted(), WRONG_STEP)
    assert in_flight(state) == {GLOBALLY}
    assert state.degraded == (Degradation(Stage.REFINE_LOCALLY, DegradedReason.CALL_CAP),)


def test_five_calls_are_enough_for_all_of_glore() -> None:
    state = after(State(job(max_calls=5)), drafted(), WRONG_STEP)
    state = after(state, refined_globally(), refined_locally())
    assert in_flight(state) == {Rerank()}
    assert state.degraded == ()


def test_an_unranked_strategy_keeps_no_call_for_reranking() -> None:
    state = after(State(job(Strategy.GLOBAL, max_calls=2)), drafted())
    assert in_flight(state) == {GLOBALLY}


def test_best_of_n_with_two_calls_is_the_draft_alone() -> None:
    state, actions = advance(State(job(Strategy.BEST_OF_N, max_calls=2)))
    assert actions == (DRAFT_ALONE,)
    assert state.degraded == (Degradation(Stage.DRAFT, DegradedReason.CALL_CAP),)


def test_the_sorm_scores_all_candidates_or_none() -> None:
    solutions = drafted("#### 1", "#### 2", "#### 3")
    state = State(job(Strategy.BEST_OF_N, max_calls=6))
    state = after(state, solutions, failed(Rerank()))
    assert in_flight(state) == {ScoreSteps(0), ScoreSteps(1), ScoreSteps(2)}
    state = State(job(Strategy.BEST_OF_N, max_calls=4))
    state = after(state, solutions, failed(Rerank()))
    assert finish(state) == Selection(0, SelectionReason.FALLBACK)
    assert state.degraded == (
        Degradation(Stage.RERANK, "unreachable"),
        Degradation(Stage.SCORE, DegradedReason.CALL_CAP),
    )


# --- the token cap -----------------------------------------------------------------------


def test_no_token_no_draft() -> None:
    state, actions = advance(State(job(max_generated_tokens=0)))
    assert actions == (Finish(None),)
    assert state.degraded == (Degradation(Stage.DRAFT, DegradedReason.TOKEN_CAP),)


def test_the_draft_is_cut_to_the_token_cap() -> None:
    assert next_actions(State(job(max_generated_tokens=30))) == (Draft(0, 30, 0),)


def test_a_refinement_is_cut_to_what_is_left_beside_those_in_flight() -> None:
    state = after(State(job(max_generated_tokens=130)), drafted(), WRONG_STEP)
    assert in_flight(state) == {GLOBALLY, RefineLocally(1, 30), EARLY}


def test_no_refinement_starts_without_a_token_left() -> None:
    state = after(State(job(max_generated_tokens=100)), drafted(), WRONG_STEP)
    assert in_flight(state) == {GLOBALLY, EARLY}
    assert state.degraded == (Degradation(Stage.REFINE_LOCALLY, DegradedReason.TOKEN_CAP),)


def test_what_a_failed_refinement_may_have_used_stays_used() -> None:
    state = after(State(job(max_generated_tokens=130)), drafted(), failed(GLOBALLY), WRONG_STEP)
    assert state.lost_tokens == 100
    assert in_flight(state) == {RefineLocally(1, 30), EARLY}


@pytest.mark.parametrize(
    ("cap", "samples", "sample_max_tokens"),
    [(100, 0, 0), (140, 1, 40), (200, 1, 100), (299, 1, 100), (300, 2, 100)],
)
def test_samples_are_as_many_as_the_token_cap_allows(
    cap: int, samples: int, sample_max_tokens: int
) -> None:
    state, actions = advance(State(job(Strategy.BEST_OF_N, max_generated_tokens=cap)))
    assert actions == (Draft(samples, 100, sample_max_tokens),)
    missing = Degradation(Stage.DRAFT, DegradedReason.TOKEN_CAP)
    assert state.degraded == (() if samples == 2 else (missing,))
