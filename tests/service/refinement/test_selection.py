"""The choice between candidates."""

import time
from dataclasses import replace

import pytest

from glore.refinement.selection import select
from glore.refinement.types import CandidateKind, Selection, SelectionReason, State, Strategy
from tests.service.refinement.builders import drafted, job, with_scores


def candidates(*solutions: str) -> State:
    return State(job(Strategy.BEST_OF_N), candidates=drafted(*solutions).candidates)


@pytest.mark.parametrize(
    ("solutions", "winner", "reason"),
    [
        (("#### 1", "#### 2", "#### 2"), 1, SelectionReason.AGREEMENT),
        (("#### 1", "#### 2", "#### 1.0"), 0, SelectionReason.AGREEMENT),
        (("#### 1", "#### 2", "#### 2", "#### 1"), 0, SelectionReason.AGREEMENT),
        (("#### 1", "#### 2", "#### 3"), 0, SelectionReason.FALLBACK),
        (("no answer", "#### 2", "#### 3"), 1, SelectionReason.AGREEMENT),
        (("none", "none", "none"), 0, SelectionReason.FALLBACK),
        (("none", "none", "#### 3"), 2, SelectionReason.AGREEMENT),
    ],
)
def test_without_scores_the_most_common_answer_wins(
    solutions: tuple[str, ...], winner: int, reason: SelectionReason
) -> None:
    assert select(candidates(*solutions)) == Selection(winner, reason)


def test_agreement_on_very_long_numbers_takes_no_time() -> None:
    """Numbers of 100,000 digits, which take 10 ms each to parse."""
    digits = ["1" * 100_000 + str(last) for last in range(8)]
    draft = drafted("#### 1").candidates[0]
    created = [replace(draft, answer=each) for each in (*digits, digits[3])]
    began = time.process_time()
    chosen = select(State(job(Strategy.BEST_OF_N), candidates=tuple(created)))
    assert time.process_time() - began < 0.05
    assert chosen == Selection(3, SelectionReason.AGREEMENT)


def test_the_orm_ranks_by_score_alone() -> None:
    state = with_scores(candidates("#### 1", "no answer", "#### 1"), outcome=(0.1, 0.9, 0.2))
    assert select(state) == Selection(1, SelectionReason.OUTCOME_SCORE)


def test_the_first_of_equal_scores_wins() -> None:
    state = with_scores(candidates("#### 1", "#### 2", "#### 3"), outcome=(0.5, 0.5, 0.5))
    assert select(state) == Selection(0, SelectionReason.OUTCOME_SCORE)


@pytest.mark.parametrize("scored", ["outcome", "steps", "nothing"])
def test_which_refinement_came_first_decides_nothing(scored: str) -> None:
    """The two often write the same, and then score the same."""
    draft = drafted("#### 1").candidates[0]
    created = [
        replace(draft, kind=CandidateKind.LOCAL, solution="#### 2", answer="2"),
        replace(draft, kind=CandidateKind.GLOBAL, solution="#### 2", answer="2"),
    ]
    for refined in (created, created[::-1]):
        state = State(job(Strategy.GLORE), candidates=(draft, *refined))
        if scored == "outcome":
            state = with_scores(state, outcome=(0.2, 0.7, 0.7))
        elif scored == "steps":
            state = with_scores(state, steps=((0.2,), (0.7,), (0.7,)))
        selection = select(state)
        assert selection is not None
        assert state.candidates[selection.candidate].kind is CandidateKind.GLOBAL


def test_outcome_scores_come_before_step_scores() -> None:
    state = with_scores(candidates("#### 1", "#### 2"), outcome=(0.6, 0.5), steps=((0.1,), (0.9,)))
    assert select(state) == Selection(0, SelectionReason.OUTCOME_SCORE)


def test_the_weakest_step_counts() -> None:
    state = with_scores(candidates("#### 1", "#### 2"), steps=((0.9, 0.2, 0.9), (0.4, 0.3)))
    assert select(state) == Selection(1, SelectionReason.STEP_SCORE)


def test_step_scores_of_some_candidates_decide_nothing() -> None:
    state = with_scores(candidates("#### 1", "#### 2", "#### 2"), steps=((0.9,), None, None))
    assert select(state) == Selection(1, SelectionReason.AGREEMENT)


def test_nothing_is_selected_without_a_candidate() -> None:
    assert select(State(job())) is None
