"""What verifiers change in the policy, one candidate after the other, and rounds."""

import pytest

from glore.refinement.judging import correction, first_error
from glore.refinement.state import in_flight
from glore.refinement.types import (
    CandidateKind,
    Drafted,
    DraftOutcomeScored,
    Event,
    Job,
    Refined,
    RefineGlobally,
    RefineLocally,
    Rerank,
    Reranked,
    Sample,
    ScoreDraftOutcome,
    ScoreSteps,
    Selection,
    SelectionReason,
    State,
    StepsScored,
    Strategy,
)
from tests.service.fakes import DRAFT, GLOBAL, LOCAL
from tests.service.refinement.builders import after, checked, failed, finish, job

SOUND = "3 * 4 = 12\n#### 12"
SLIPS = "2 + 2 = 5\n5 * 2 = 11\n#### 11"  # two false equations
ADAPTIVE = job(Strategy.ADAPTIVE, gate=None)
KIND_OF = {
    RefineGlobally: CandidateKind.GLOBAL,
    RefineLocally: CandidateKind.LOCAL,
    Sample: CandidateKind.SAMPLE,
}


def draft(solution: str = DRAFT) -> Drafted:
    return Drafted((checked(CandidateKind.DRAFT, solution),))


def written(kind: CandidateKind, solution: str, base: int | None = 0) -> Refined:
    return Refined(checked(kind, solution, base))


def walk(chosen: Job, *solutions: str) -> tuple[State, list[object]]:
    """The state once these solutions were written in turn, and what was begun for each."""
    begun: list[object] = []
    state = after(State(chosen), draft(solutions[0]))
    for solution in solutions[1:]:
        (action,) = in_flight(state)
        assert isinstance(action, RefineGlobally | RefineLocally | Sample)
        begun.append(action)
        base = None if isinstance(action, Sample) else action.base
        state = after(state, written(KIND_OF[type(action)], solution, base))
    return state, begun


# --- one after the other -----------------------------------------------------------------


def test_a_draft_that_no_verifier_refutes_is_the_answer() -> None:
    state, begun = walk(ADAPTIVE, SOUND)
    assert (begun, finish(state)) == ([], Selection(0, SelectionReason.ACCEPTED))


def test_candidates_are_written_one_at_a_time_until_one_passes() -> None:
    state, begun = walk(ADAPTIVE, DRAFT, DRAFT, SLIPS, SOUND)
    assert begun == [RefineGlobally(100), RefineLocally(1, 100), Sample(100)]
    assert finish(state) == Selection(3, SelectionReason.VERIFIED)
    for end in (2, 3):
        state, _ = walk(ADAPTIVE, *[DRAFT] * (end - 1), SOUND)
        assert finish(state) == Selection(end - 1, SelectionReason.VERIFIED)


def test_when_none_passes_the_orm_ranks_them_all() -> None:
    state, _ = walk(ADAPTIVE, DRAFT, SLIPS, DRAFT, SLIPS)
    assert in_flight(state) == {Rerank()}
    state = after(state, Reranked((0.1, 0.4, 0.1, 0.4)))
    assert finish(state) == Selection(3, SelectionReason.OUTCOME_SCORE)  # a sample wins ties


def test_a_gate_asks_for_step_scores_of_what_no_verifier_refutes() -> None:
    gated = job(Strategy.ADAPTIVE, gate=0.5)
    state = after(State(gated), draft(SOUND))
    assert in_flight(state) == {ScoreSteps(0)}
    assert finish(after(state, StepsScored(0, (0.9, 0.9)))) == Selection(
        0, SelectionReason.ACCEPTED
    )
    state = after(state, StepsScored(0, (0.9, 0.2)))
    assert in_flight(state) == {RefineGlobally(100)}
    state = after(state, written(CandidateKind.GLOBAL, GLOBAL))
    assert in_flight(state) == {ScoreSteps(1)}
    state = after(state, StepsScored(1, (0.6, 0.6)))
    assert finish(state) == Selection(1, SelectionReason.STEP_SCORE)


def test_without_the_sorm_a_gate_lets_nothing_pass() -> None:
    state = after(State(job(Strategy.ADAPTIVE)), draft(SOUND), failed(ScoreSteps(0)))
    assert in_flight(state) == {RefineGlobally(100)}


def test_a_refiner_that_fails_is_passed_over() -> None:
    state = after(State(ADAPTIVE), draft(), failed(RefineGlobally(100)))
    assert in_flight(state) == {RefineLocally(1, 100)}
    state = after(state, failed(RefineLocally(1, 100)))
    assert in_flight(state) == {Sample(100)}
    state = after(state, failed(Sample(100)))
    assert finish(state) == Selection(0, SelectionReason.ONLY_CANDIDATE)


# --- corrections -------------------------------------------------------------------------


def test_corrections_go_first_and_on_as_long_as_the_error_moves() -> None:
    first = "2 + 2 = 4\n4 * 2 = 9\n#### 9"
    chosen = job(Strategy.ADAPTIVE, gate=None, correct=True)
    state, begun = walk(chosen, SLIPS, first)
    (action,) = in_flight(state)
    assert [getattr(each, "first_error", None) for each in (*begun, action)] == [0, 1]
    assert [each.correction.expected for each in (*begun, action)] == ["4", "8"]  # type: ignore[attr-defined]
    assert isinstance(action, RefineLocally)
    assert action.base == 1
    state = after(state, written(CandidateKind.LOCAL, first, base=1))  # no further than before
    assert in_flight(state) == {RefineGlobally(100)}


def test_a_correction_needs_a_decimal() -> None:
    third = checked(CandidateKind.DRAFT, "7 / 3 = 5\n#### 5")
    assert third.findings[0].expected == "7/3"
    assert correction(third) is None
    assert correction(checked(CandidateKind.DRAFT, SOUND)) is None


# --- the first error ---------------------------------------------------------------------


@pytest.mark.parametrize("scores", [(0.1, 0.1, 0.1), (0.9, 0.9, 0.9), None])
def test_the_first_refuted_step_goes_before_step_scores(scores: tuple[float, ...] | None) -> None:
    state = after(State(job()), draft())
    if scores is not None:
        state = after(state, StepsScored(0, scores))
    error = first_error(state)
    assert error is not None
    assert (error.step, error.found_by) == (1, "arithmetic")


def test_glore_refines_locally_without_waiting_for_step_scores() -> None:
    state = after(State(job()), draft())
    assert in_flight(state) == {RefineGlobally(100), RefineLocally(1, 100), ScoreSteps(0)}
    plain = after(State(job()), draft(SOUND))
    assert in_flight(plain) == {RefineGlobally(100), ScoreSteps(0)}


def test_gated_refines_what_is_refuted_whatever_its_scores() -> None:
    state = after(State(job(Strategy.GATED)), draft())
    assert RefineGlobally(100) in in_flight(state)


# --- selection ---------------------------------------------------------------------------


def ranked(*solutions: str, scores: tuple[float | None, ...]) -> Selection | None:
    """The selection of `glore` among the draft, the global and the local refinement."""
    state = after(State(job()), draft(solutions[0]))
    events: list[Event] = []
    for action in sorted(in_flight(state), key=repr):
        match action:
            case RefineGlobally():
                events.append(written(CandidateKind.GLOBAL, solutions[1]))
            case RefineLocally():
                events.append(written(CandidateKind.LOCAL, solutions[2]))
            case ScoreSteps():
                events.append(StepsScored(0, (0.1, 0.9, 0.9)))
    state = after_all(state, events)
    if ScoreDraftOutcome() in in_flight(state):
        state = after(state, DraftOutcomeScored(0.0))
    if Rerank() in in_flight(state):
        state = after(state, Reranked(scores))
    return finish(state)


def after_all(state: State, events: list[Event]) -> State:
    for event in events:
        state = after(state, event)
    return state


def test_the_only_candidate_that_is_not_refuted_wins_without_the_orm() -> None:
    assert ranked(DRAFT, DRAFT, LOCAL, scores=()) == Selection(2, SelectionReason.VERIFIED)


def test_the_orm_ranks_what_no_verifier_refutes() -> None:
    chosen = ranked(DRAFT, GLOBAL, LOCAL, scores=(None, 0.3, 0.4))
    assert chosen == Selection(2, SelectionReason.OUTCOME_SCORE)


# --- rounds ------------------------------------------------------------------------------


def test_the_next_round_refines_the_best_candidate_sampled() -> None:
    state, _ = walk(job(Strategy.ADAPTIVE, gate=None, rounds=2), SLIPS, DRAFT, SLIPS, SLIPS)
    state = after(state, Reranked((0.9, 0.1, 0.9, 0.9)))
    assert (state.round, state.base) == (2, 1)  # the fewest false equations
    assert in_flight(state) == {RefineGlobally(100, base=1, round=2)}
    state = after(state, written(CandidateKind.GLOBAL, SOUND, base=1))
    assert finish(state) == Selection(4, SelectionReason.VERIFIED)


def test_rounds_of_glore_refine_both_ways_until_the_best_passes() -> None:
    chosen = job(rounds=3, gate=None)
    state = after(State(chosen), draft())
    state = after(state, StepsScored(0, (0.1, 0.1, 0.1)))
    state = after(state, written(CandidateKind.GLOBAL, DRAFT), written(CandidateKind.LOCAL, SLIPS))
    state = after(state, Reranked((0.2, 0.2, 0.1)))
    assert state.round == 2
    again = {RefineGlobally(100, base=0, round=2), RefineLocally(1, 100, base=0, round=2)}
    assert in_flight(state) == again
    state = after(state, written(CandidateKind.GLOBAL, SOUND), written(CandidateKind.LOCAL, SLIPS))
    assert finish(state) == Selection(3, SelectionReason.VERIFIED)


@pytest.mark.parametrize(("max_calls", "rounds"), [(6, 1), (7, 2)])
def test_a_round_begins_only_while_calls_are_left_to_refine_and_rank(
    max_calls: int, rounds: int
) -> None:
    chosen = job(Strategy.ADAPTIVE, gate=None, rounds=3, max_calls=max_calls)
    state, _ = walk(chosen, *[SLIPS] * 4)
    state = after(state, Reranked((0.1,) * 4))
    if rounds == 2:
        state = after(state, written(CandidateKind.GLOBAL, DRAFT), Reranked((0.1,) * 4 + (0.0,)))
    assert (state.round, finish(state)) == (rounds, Selection(0, SelectionReason.OUTCOME_SCORE))


def test_what_an_earlier_round_ranked_wins_when_the_last_was_not_ranked() -> None:
    state, _ = walk(job(Strategy.ADAPTIVE, gate=None, rounds=2), DRAFT, DRAFT, SLIPS, SLIPS)
    state = after(state, Reranked((0.2, 0.2, 0.7, 0.7)))
    for kind in (CandidateKind.GLOBAL, CandidateKind.LOCAL, CandidateKind.SAMPLE):
        state = after(state, written(kind, "2 + 2 = 7\n#### 7"))
    state = after(state, failed(Rerank(2)))
    while in_flight(state):  # the SORM is asked, and fails too
        state = after(state, *(failed(action) for action in in_flight(state)))
    assert finish(state) == Selection(3, SelectionReason.OUTCOME_SCORE)
