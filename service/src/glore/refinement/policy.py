"""What to do next: the algorithm of GLoRe as a pure function of the state.

Order of `glore`: draft -> (global refinement || step scores -> local refinement) -> rerank.
When an engine call can be spared, the ORM scores the draft while it is refined, once the SORM is
done with it; the rerank then scores the refinements that differ from the draft.
`gated` refines only a draft that does not pass; `adaptive` also writes one candidate after the
other, and ends at the first that passes. While the best candidate does not pass and rounds are
left, another round refines that one.
The caps on engine calls and generated tokens hold here. An action that does not fit is skipped
and reported. What reranking needs is reserved for it. The runner watches the time.
"""

from dataclasses import replace

from glore.refinement.caps import (
    candidates_in_flight,
    largest_draft,
    max_tokens,
    missing_samples,
    refusal,
    spare_calls,
)
from glore.refinement.judging import (
    contenders,
    correction,
    first_error,
    passes,
    solutions_to_rerank,
    unscored,
)
from glore.refinement.selection import select
from glore.refinement.state import (
    begin,
    calls_left,
    calls_of,
    degrade,
    in_flight,
    ranking_failed,
    refuse,
    tokens_left,
    tried_in_round,
)
from glore.refinement.types import (
    Action,
    CandidateKind,
    Degradation,
    DegradedReason,
    Draft,
    Finish,
    RefineGlobally,
    RefineLocally,
    Rerank,
    Sample,
    ScoreDraftOutcome,
    ScoreSteps,
    Stage,
    State,
)


def next_actions(state: State) -> tuple[Action, ...]:
    """The actions to start now; `(Finish(...),)` when nothing is in flight or left to do.

    Empty while all there is to do is wait for actions in flight.
    """
    return advance(state)[1]


def advance(state: State) -> tuple[State, tuple[Action, ...]]:
    """`next_actions`, and the state in which they have begun.

    What the caps forbid has ended in that state, with a degradation that says so.
    """
    actions: list[Action] = []
    while True:
        while (action := _wanted(state)) is not None:
            reason = refusal(state, action)
            if reason is not None:
                state = refuse(state, action, reason)
                continue
            if isinstance(action, Draft):
                state = degrade(state, *missing_samples(state, action))
            state = begin(state, action)
            actions.append(action)
        if in_flight(state):
            return state, tuple(actions)
        if not _goes_on(state):
            return state, (*actions, Finish(select(state)))
        state = replace(state, round=state.round + 1, base=_next_base(state))


def useless(state: State) -> frozenset[Action]:
    """The actions in flight whose result can change nothing any more.

    Scores rank the candidates only if every one has them: when the ORM fails on one, those of the
    others are no longer needed, and so it is with the SORM. A draft alone needs no outcome score.
    """
    running = in_flight(state)
    if not ranking_failed(state):
        alone = len(state.candidates) == 1 and running == {ScoreDraftOutcome()}
        return running if alone else frozenset()
    unneeded: tuple[type[Action], ...] = (ScoreDraftOutcome, Rerank)
    if _sorm_failed(state):
        unneeded = (*unneeded, ScoreSteps)
    return frozenset(action for action in running if isinstance(action, unneeded))


def _wanted(state: State) -> Action | None:
    """The first action the strategy would begin now, the caps aside."""
    if not _tried(state, Draft):
        return largest_draft(state)
    if not state.candidates:
        return None
    return (
        _gate(state)
        or _refinement(state)
        or _early_outcome(state)
        or _ranking(state)
        or _judgement(state)
    )


def _gate(state: State) -> Action | None:
    """The step scores that say whether a candidate passes, and the others are not needed."""
    judged = _judged(state)
    if judged is None or passes(state, judged) is not None or _sorm_failed(state):
        return None
    scoring = ScoreSteps(judged)
    return None if scoring in state.started else scoring


def _refinement(state: State) -> Action | None:
    """The next candidate of this round."""
    plan = state.job.plan
    judged = _judged(state)
    if judged is not None:
        verdict = passes(state, judged)
        if verdict or (verdict is None and not _sorm_failed(state)):
            return None
    if plan.in_turn:
        return None if candidates_in_flight(state) else _next_in_turn(state)
    if plan.refines_globally and not tried_in_round(state, RefineGlobally):
        return RefineGlobally(max_tokens(state), state.base, state.round)
    return _local(state) if plan.refines_locally else None


def _judged(state: State) -> int | None:
    """The index of the candidate that is the answer if it passes; None if there is none."""
    plan = state.job.plan
    if plan.in_turn:
        return len(state.candidates) - 1
    return 0 if plan.gated and state.round == 1 else None


def _next_in_turn(state: State) -> Action | None:
    """Corrections first: they are short. Then a global and a local refinement, then a sample."""
    corrected = _corrected(state) if state.job.correct else None
    if corrected is not None and not _tried_from(state, corrected):
        found = correction(state.candidates[corrected])
        if found is not None:
            tokens = max_tokens(state)
            return RefineLocally(found.step, tokens, corrected, state.round, found)
    if not tried_in_round(state, RefineGlobally):
        return RefineGlobally(max_tokens(state), state.base, state.round)
    if not tried_in_round(state, RefineLocally) and (action := _local(state)) is not None:
        return action
    if in_flight(state) or tried_in_round(state, Sample):
        return None
    return Sample(max_tokens(state), state.round)


def _corrected(state: State) -> int | None:
    """The last of this round's base and its corrections; None if that got no further."""
    last, error, step = state.base, first_error(state, state.base), -1
    for index, candidate in enumerate(state.candidates):
        if error is not None and candidate.kind is CandidateKind.LOCAL and candidate.base == last:
            step = error.step
            last, error = index, first_error(state, index)
    return last if error is not None and error.step > step else None


def _local(state: State) -> Action | None:
    """Refine from the first error on; look for it where no verifier has found it.

    The draft is scored in any case, unless one candidate comes after the other: its step scores
    are a part of the answer, and cost no time beside the global refinement.
    """
    if tried_in_round(state, RefineLocally):
        return None
    base = state.candidates[state.base]
    error, scoring = first_error(state, state.base), ScoreSteps(state.base)
    shown = state.base == 0 and not state.job.plan.in_turn
    if base.step_scores is None and scoring not in state.started and (error is None or shown):
        return scoring
    if error is None:
        return None
    found = correction(base) if state.job.correct else None
    return RefineLocally(error.step, max_tokens(state), state.base, state.round, found)


def _early_outcome(state: State) -> Action | None:
    """Score the draft with the ORM beside refinements, if a call can be spared.

    Not beside its step scores: the local refinement waits for those. A refuted draft hardly wins.
    """
    plan = state.job.plan
    if not plan.ranks or plan.in_turn or ScoreDraftOutcome() in state.started:
        return None
    if state.candidates[0].findings or state.candidates[0].outcome_score is not None:
        return None
    refining = candidates_in_flight(state) > 0
    if not refining or ScoreSteps(0) in in_flight(state) or spare_calls(state) == 0:
        return None
    return ScoreDraftOutcome()


def _ranking(state: State) -> Action | None:
    """Rerank once all candidates are there; without the ORM, let the SORM score them all."""
    plan = state.job.plan
    if not plan.ranks or len(state.candidates) == 1:
        return None
    if plan.in_turn and passes(state, len(state.candidates) - 1):
        return None
    if not ranking_failed(state):
        rerank = Rerank(state.round)
        waits = in_flight(state) - {ScoreDraftOutcome()} or rerank in state.started
        return rerank if not waits and solutions_to_rerank(state) else None
    late = Degradation(Stage.RERANK, DegradedReason.DEADLINE) in state.degraded
    if late or _sorm_failed(state) or candidates_in_flight(state):
        return None
    return next(iter(unscored(state)), None)


def _judgement(state: State) -> Action | None:
    """The step scores that say whether the best candidate passes, if a round may follow."""
    if in_flight(state) or not _may_go_on(state) or _sorm_failed(state):
        return None
    best = _best(state)
    scoring = ScoreSteps(best)
    return scoring if passes(state, best) is None and scoring not in state.started else None


def _goes_on(state: State) -> bool:
    """Whether another round begins. A candidate whose step scores failed does not pass."""
    return _may_go_on(state) and not passes(state, _best(state))


def _may_go_on(state: State) -> bool:
    """Whether rounds, calls and tokens are left for one more refinement that is then ranked."""
    plan = state.job.plan
    if not (plan.ranks and plan.refines_globally) or not state.candidates:
        return False
    calls = calls_left(state) > calls_of(Rerank())
    return state.round < state.job.rounds and calls and tokens_left(state) > 0


def _best(state: State) -> int:
    selection = select(state)
    return selection.candidate if selection else 0


def _next_base(state: State) -> int:
    """The contender with the fewest findings; of several the best."""
    best = _best(state)
    rivals = contenders(state.candidates)
    counts = {index: len(state.candidates[index].findings) for index in rivals}
    least = min(rivals, key=counts.__getitem__)
    return best if counts[best] == counts[least] else least


def _tried(state: State, kind: type[Draft]) -> bool:
    return kind in map(type, state.started)


def _tried_from(state: State, base: int) -> bool:
    """Whether a correction of this candidate was begun."""
    return any(isinstance(each, RefineLocally) and each.base == base for each in state.started)


def _sorm_failed(state: State) -> bool:
    """Whether some step scores were requested and did not come."""
    return any(
        isinstance(action, ScoreSteps) and state.candidates[action.candidate].step_scores is None
        for action in state.ended
    )
