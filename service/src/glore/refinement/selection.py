"""Which candidate wins, given what is known when nothing is left to do. Pure."""

from collections.abc import Sequence
from typing import Final

from glore.formats.answers import same_answer
from glore.refinement.judging import contenders, first_error, passes
from glore.refinement.types import (
    CandidateKind,
    Selection,
    SelectionReason,
    State,
    Strategy,
)

_ORDER: Final = tuple(CandidateKind)
_LONG_ANSWER: Final = 100  # characters: beyond, numbers are compared as they are written


def select(state: State) -> Selection | None:
    """The winner, or None without a draft.

    Strategies that rank leave out stopped and refuted candidates if there are others (tool first:
    T1, arXiv 2504.04718). Among the rest they choose by outcome score, else by the lowest step
    score when every one has step scores, else by agreement, else the first. On a tie the draft
    wins, then a sample, the global, the local refinement: the order of arrival is chance, and the
    same question is to have the same answer.
    """
    if not state.candidates:
        return None
    if not state.job.plan.ranks:
        return _unranked(state)
    if len(state.candidates) == 1:
        accepted = state.job.plan.gated and passes(state, 0)
        return Selection(
            0, SelectionReason.ACCEPTED if accepted else SelectionReason.ONLY_CANDIDATE
        )
    rivals = contenders(state.candidates)
    if len(rivals) == 1:
        refuted = bool(state.candidates[rivals[0]].findings)
        return Selection(
            rivals[0], SelectionReason.ONLY_CANDIDATE if refuted else SelectionReason.VERIFIED
        )
    return _ranked(state, rivals)


def _ranked(state: State, rivals: Sequence[int]) -> Selection:
    """The best of several by the first kind of score that all of them have, else by agreement.

    After the first round those compete that an earlier round has ranked, if the last was not.
    """
    if state.round > 1:
        ranked = [each for each in rivals if state.candidates[each].outcome_score is not None]
        rivals = ranked or rivals
    known = [state.candidates[index] for index in rivals]
    outcome = [each.outcome_score for each in known if each.outcome_score is not None]
    if len(outcome) == len(rivals):
        return Selection(_highest(state, rivals, outcome), SelectionReason.OUTCOME_SCORE)
    lowest = [min(each.step_scores) for each in known if each.step_scores]
    if len(lowest) == len(rivals):
        return Selection(_highest(state, rivals, lowest), SelectionReason.STEP_SCORE)
    return _agreed(state, rivals)


def _highest(state: State, rivals: Sequence[int], values: Sequence[float]) -> int:
    """The index with the highest value; on a tie the earlier kind, then the earlier index."""

    def order(number: int) -> tuple[float, int]:
        kind = state.candidates[rivals[number]].kind
        return values[number], -_ORDER.index(kind)

    return rivals[max(range(len(rivals)), key=order)]


def _unranked(state: State) -> Selection:
    """What `draft`, `global` and `local` name, or the draft when it is all there is."""
    strategy = state.job.strategy
    wanted = {Strategy.GLOBAL: CandidateKind.GLOBAL, Strategy.LOCAL: CandidateKind.LOCAL}.get(
        strategy, CandidateKind.DRAFT
    )
    for index, candidate in enumerate(state.candidates):
        if candidate.kind is wanted:
            return Selection(index, SelectionReason.STRATEGY)
    if strategy is Strategy.LOCAL and state.candidates[0].step_scores and not first_error(state):
        return Selection(0, SelectionReason.STRATEGY)  # no error: the draft is the answer
    return Selection(0, SelectionReason.ONLY_CANDIDATE)


def _agreed(state: State, rivals: Sequence[int]) -> Selection:
    """A candidate with the most common answer, on a tie as above; the first when no two agree.

    A candidate without an answer agrees with none, and loses to any that has one.
    """
    answers = [state.candidates[index].answer for index in rivals]
    votes = [sum(_same(answer, other) for other in answers) for answer in answers]
    winner = _highest(state, rivals, votes)
    if winner == rivals[0] and votes[0] <= 1:
        return Selection(winner, SelectionReason.FALLBACK)
    return Selection(winner, SelectionReason.AGREEMENT)


def _same(left: str | None, right: str | None) -> bool:
    """Whether both name one number. Parsing numbers of 100,000 digits takes too long here."""
    if left is None or right is None:
        return False
    if len(left) > _LONG_ANSWER or len(right) > _LONG_ANSWER:
        return left == right
    return same_answer(left, right)
