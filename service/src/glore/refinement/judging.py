"""What is known of a candidate: its first error, whether it passes, whether it may win. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from glore.engines.ports import STOPPED
from glore.formats import steps
from glore.formats.critique import mark
from glore.refinement.state import in_flight
from glore.refinement.types import Candidate, ScoreDraftOutcome, ScoreSteps, State
from glore.verifiers.ports import Finding, first_refuted_step

SORM: Final = "sorm"
_DECIMAL: Final = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class ErrorLocation:
    """The first wrong step of a candidate, and who says so: `sorm` or the name of a verifier."""

    step: int
    found_by: str


def first_error(state: State, index: int = 0) -> ErrorLocation | None:
    """The first step that a verifier refutes, else the first that scores below the threshold.

    None when there is none, or none is known yet. Verifiers go first because they are exact.
    """
    candidate = state.candidates[index]
    refuted = first_refuted_step(candidate.findings)
    if refuted is not None:
        return ErrorLocation(refuted, candidate.findings[0].verifier)
    low = steps.first_error(candidate.step_scores or (), state.job.threshold)
    return None if low is None else ErrorLocation(low, SORM)


def correction(candidate: Candidate) -> Finding | None:
    """The first finding, if it says which number is right instead."""
    if not candidate.findings:
        return None
    first = candidate.findings[0]
    return first if _DECIMAL.fullmatch(first.expected) else None


def critique_of(state: State) -> str | None:
    """The draft with `[BAD]` before its first error, None when no error was found."""
    error = first_error(state) if state.candidates else None
    return mark(state.candidates[0].solution, error.step) if error else None


def passes(state: State, index: int) -> bool | None:
    """Whether a candidate passes; None while that takes step scores which it does not have.

    A candidate without steps has nothing that speaks for it.
    """
    candidate = state.candidates[index]
    if candidate.findings or candidate.finish_reason == STOPPED:
        return False
    if state.job.gate is None:
        return True
    if candidate.step_scores is None:
        return None
    return min(candidate.step_scores, default=-1.0) >= state.job.gate


def contenders(candidates: tuple[Candidate, ...]) -> tuple[int, ...]:
    """The indices of the candidates that may win.

    No stopped one beside a whole one, and no refuted one beside one that is not.
    """
    whole = [i for i, each in enumerate(candidates) if each.finish_reason != STOPPED]
    sound = [i for i in whole if not candidates[i].findings]
    return tuple(sound or whole or range(len(candidates)))


def solutions_to_rerank(state: State) -> tuple[str, ...]:
    """The different solutions of contenders without an outcome score, known or on its way.

    In order; none where there is but one contender.
    """
    rivals = [state.candidates[index] for index in contenders(state.candidates)]
    if len(rivals) == 1:
        return ()
    unscored = {each.solution: None for each in rivals if each.outcome_score is None}
    if ScoreDraftOutcome() in in_flight(state):
        unscored.pop(state.candidates[0].solution, None)
    return tuple(unscored)


def unscored(state: State) -> tuple[ScoreSteps, ...]:
    """One action per solution text whose steps nobody has scored or is scoring."""
    first: dict[str, int] = {}
    for index, candidate in enumerate(state.candidates):
        if candidate.step_scores is None:
            first.setdefault(candidate.solution, index)
    actions = (ScoreSteps(index) for index in first.values())
    return tuple(action for action in actions if action not in state.started)
