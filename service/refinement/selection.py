"""Which candidate wins, given what is known when nothing is left to do. Pure."""

from collections.abc import Sequence

from models.formats.answers import same_answer
from service.refinement.types import (
    Candidate,
    CandidateKind,
    Selection,
    SelectionReason,
    State,
    Strategy,
)

_ORDER = tuple(CandidateKind)
_LONG_ANSWER = 100  # characters: beyond, numbers are compared as they are written
RERANKING = frozenset({Strategy.GLORE, Strategy.GATED, Strategy.BEST_OF_N})


def accepted(state: State) -> bool:
    """Whether `gated` takes the draft as it is: every step scores at least the gate.

    A draft without steps has nothing that speaks for it.
    """
    if state.task.strategy is not Strategy.GATED or not state.candidates:
        return False
    scores = state.candidates[0].step_scores or ()
    return min(scores, default=-1.0) >= state.task.gate


def select(state: State) -> Selection | None:
    """The winner, or None without a draft.

    Strategies that rank choose by outcome score, else by the lowest step score when every
    candidate has step scores, else by agreement, else the draft. Of equals the draft wins, then
    a sample, the global, the local refinement: which of the two came first is chance, and the
    same question is to have the same answer.
    """
    if not state.candidates:
        return None
    if state.task.strategy not in RERANKING:
        return _unranked(state)
    if len(state.candidates) == 1:
        alone = SelectionReason.ACCEPTED if accepted(state) else SelectionReason.ONLY_CANDIDATE
        return Selection(0, alone)
    outcome = [c.outcome_score for c in state.candidates if c.outcome_score is not None]
    if len(outcome) == len(state.candidates):
        return Selection(_highest(state.candidates, outcome), SelectionReason.OUTCOME_SCORE)
    lowest = [min(c.step_scores) for c in state.candidates if c.step_scores]
    if len(lowest) == len(state.candidates):
        return Selection(_highest(state.candidates, lowest), SelectionReason.STEP_SCORE)
    return _agreed(state.candidates)


def _same(left: Candidate, right: Candidate) -> bool:
    """Whether both have the same answer. Parsing numbers of 100,000 digits takes too long here."""
    if left.answer is None or right.answer is None:
        return False
    if len(left.answer) > _LONG_ANSWER or len(right.answer) > _LONG_ANSWER:
        return left.answer == right.answer
    return same_answer(left.answer, right.answer)


def _highest(candidates: tuple[Candidate, ...], values: Sequence[float]) -> int:
    """The place of the highest value; of equals that of the earlier kind, then the earlier one."""
    places = sorted(range(len(values)), key=lambda place: _ORDER.index(candidates[place].kind))
    return max(places, key=values.__getitem__)


def _unranked(state: State) -> Selection:
    """What `draft`, `global` and `local` asked for, or the draft when it is all there is."""
    strategy = state.task.strategy
    wanted = {Strategy.GLOBAL: CandidateKind.GLOBAL, Strategy.LOCAL: CandidateKind.LOCAL}.get(
        strategy, CandidateKind.DRAFT
    )
    for place, candidate in enumerate(state.candidates):
        if candidate.kind is wanted:
            return Selection(place, SelectionReason.STRATEGY)
    if strategy is Strategy.LOCAL and state.candidates[0].step_scores and state.first_error is None:
        return Selection(0, SelectionReason.STRATEGY)  # no error: the draft is the answer
    return Selection(0, SelectionReason.ONLY_CANDIDATE)


def _agreed(candidates: tuple[Candidate, ...]) -> Selection:
    """A candidate with the most common answer, of equals as above; the draft when no two agree.

    A candidate without an answer agrees with none, and loses to any that has one.
    """
    votes = [sum(_same(each, other) for other in candidates) for each in candidates]
    winner = _highest(candidates, votes)
    if winner == 0 and votes[0] <= 1:
        return Selection(0, SelectionReason.FALLBACK)
    return Selection(winner, SelectionReason.AGREEMENT)
