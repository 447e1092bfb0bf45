"""What events do to a state."""

from dataclasses import replace

import pytest

from glore.refinement.policy import advance
from glore.refinement.state import (
    UnexpectedEventError,
    apply,
    calls_left,
    calls_of,
    in_flight,
    stage_of,
    tokens_left,
    tokens_of,
)
from glore.refinement.types import (
    Degradation,
    DegradedReason,
    Draft,
    Drafted,
    DraftOutcomeScored,
    Event,
    Finish,
    Refined,
    RefineGlobally,
    RefineLocally,
    Rerank,
    Reranked,
    ScoreDraftOutcome,
    ScoreSteps,
    Stage,
    State,
    StepsScored,
    Strategy,
)
from tests.service.refinement.builders import (
    after,
    cost,
    drafted,
    failed,
    first_error_step,
    job,
    refined_globally,
    refined_locally,
)


def test_actions_in_flight_hold_their_calls_and_tokens() -> None:
    state, _ = advance(State(job(Strategy.BEST_OF_N, max_calls=10, max_generated_tokens=1000)))
    assert calls_left(state) == 8
    assert tokens_left(state) == 700


def test_a_result_gives_back_what_it_did_not_use() -> None:
    state, (action,) = advance(State(job(max_calls=10, max_generated_tokens=1000)))
    state = apply(state, drafted(), cost(action, calls=1, tokens=60))
    assert (state.engine_calls, calls_left(state)) == (1, 9)
    assert (state.generated_tokens, tokens_left(state)) == (60, 940)
    assert state.costs == (cost(action, calls=1, tokens=60),)


def test_tokens_that_were_lost_stay_taken() -> None:
    state, (action,) = advance(State(job(Strategy.BEST_OF_N, max_generated_tokens=1000)))
    missing = Degradation(Stage.DRAFT, "failed")
    event = Drafted(drafted().candidates, degraded=(missing,))
    state = apply(state, event, cost(action, calls=2, tokens=60, lost=240))
    assert (state.generated_tokens, state.lost_tokens, tokens_left(state)) == (60, 240, 700)
    assert state.degraded == (missing,)


@pytest.mark.parametrize(
    ("granted", "finish_reason", "reported"),
    [(60, "length", 1), (60, "stop", 0), (100, "length", 0)],
)
def test_a_text_that_the_token_cap_cut_short_is_reported(
    granted: int, finish_reason: str, reported: int
) -> None:
    state = State(job(Strategy.DRAFT, max_tokens=100, max_generated_tokens=granted))
    written = replace(drafted().candidates[0], finish_reason=finish_reason)
    state = after(state, Drafted((written,)))
    assert state.degraded == (Degradation(Stage.DRAFT, DegradedReason.TOKEN_CAP),) * reported


def test_a_refinement_that_the_token_cap_cut_short_is_reported_and_stored() -> None:
    state = after(State(job(max_tokens=100, max_generated_tokens=150)), drafted())
    cut = replace(refined_globally().candidate, finish_reason="length")
    short = RefineGlobally(50)
    state = replace(state, started=frozenset({*state.ended, ScoreSteps(0), short}))
    state = apply(state, Refined(cut), cost(short))
    assert Degradation(Stage.REFINE_GLOBALLY, DegradedReason.TOKEN_CAP) in state.degraded
    assert len(state.candidates) == 2


def test_what_an_action_in_flight_took_beyond_its_promise_is_not_left() -> None:
    state = after(State(job(max_calls=10, max_generated_tokens=1000)), drafted())
    assert (calls_left(state), tokens_left(state)) == (7, 900)
    taken = replace(state, reserved_calls=2, reserved_tokens=200)
    assert (calls_left(taken), tokens_left(taken)) == (5, 700)


def test_a_degradation_is_reported_once() -> None:
    state = State(job(Strategy.BEST_OF_N))
    state = after(state, drafted("#### 1", "#### 2"), failed(Rerank()))
    state = after(state, failed(ScoreSteps(0)), failed(ScoreSteps(1)))
    assert state.degraded == (
        Degradation(Stage.RERANK, "unreachable"),
        Degradation(Stage.SCORE, "unreachable"),
    )


def test_only_scores_of_the_draft_set_the_first_error() -> None:
    state = after(State(job(Strategy.BEST_OF_N)), drafted("#### 1", "#### 2"), failed(Rerank()))
    state = after(state, StepsScored(1, (0.1,)))
    assert first_error_step(state) is None
    assert first_error_step(after(state, StepsScored(0, (0.2,)))) == 0


@pytest.mark.parametrize("score", [0.5, 0.9])
def test_a_step_at_the_threshold_is_no_error(score: float) -> None:
    state = after(State(job()), drafted(), StepsScored(0, (score,) * 3))
    assert first_error_step(state) is None


@pytest.mark.parametrize(
    "event",
    [
        drafted(),
        Drafted(()),
        StepsScored(1, (0.5,)),
        refined_locally(),
        DraftOutcomeScored(0.5),
        Reranked((0.5,)),
        failed(RefineLocally(0, 100)),
    ],
)
def test_an_event_that_nothing_in_flight_gives_is_refused(event: Event) -> None:
    state = after(State(job()), drafted())
    with pytest.raises(UnexpectedEventError):
        apply(state, event, cost(Rerank()))


def test_outcome_scores_must_be_one_per_candidate() -> None:
    state = after(State(job(Strategy.BEST_OF_N)), drafted("#### 1", "#### 2"))
    with pytest.raises(UnexpectedEventError):
        apply(state, Reranked((0.1,)), cost(Rerank()))


def test_a_result_comes_once() -> None:
    state = after(State(job()), drafted(), refined_globally())
    with pytest.raises(UnexpectedEventError):
        apply(state, refined_globally(), cost(RefineGlobally(1)))


def test_each_action_has_a_stage_and_limits() -> None:
    actions = (
        Draft(2, 10, 5),
        ScoreSteps(0),
        RefineGlobally(7),
        RefineLocally(1, 8),
        ScoreDraftOutcome(),
        Rerank(),
    )
    assert tuple(stage_of(action) for action in actions) == (*Stage, Stage.RERANK)
    assert tuple(calls_of(action) for action in actions) == (2, 1, 1, 1, 1, 1)
    assert tuple(tokens_of(action) for action in actions) == (20, 0, 7, 8, 0, 0)


def test_finish_is_no_work() -> None:
    assert calls_of(Finish(None)) == tokens_of(Finish(None)) == 0
    with pytest.raises(ValueError, match="no stage"):
        stage_of(Finish(None))


def test_nothing_is_in_flight_at_first() -> None:
    assert in_flight(State(job())) == frozenset()
