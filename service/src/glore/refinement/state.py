"""How a state changes: an action begins, an event comes back. Pure, and free of choices."""

from dataclasses import replace
from typing import assert_never

from glore.refinement.types import (
    TIMED_OUT,
    Action,
    ActionFailed,
    Candidate,
    CandidateKind,
    Cost,
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
    Sample,
    ScoreDraftOutcome,
    ScoreSteps,
    Stage,
    State,
    StepsScored,
    Stopped,
    Writing,
)


class UnexpectedEventError(Exception):
    """An event that no running action can have given: a bug in what feeds events."""


def stage_of(action: Action) -> Stage:
    """The stage an action belongs to. Raises ValueError for Finish, which is no work."""
    match action:
        case Draft() | Sample():
            return Stage.DRAFT
        case ScoreSteps():
            return Stage.SCORE
        case RefineGlobally():
            return Stage.REFINE_GLOBALLY
        case RefineLocally():
            return Stage.REFINE_LOCALLY
        case ScoreDraftOutcome() | Rerank():
            return Stage.RERANK
        case Finish():
            message = "Finish has no stage"
            raise ValueError(message)
        case _:
            assert_never(action)


def calls_of(action: Action) -> int:
    """The engine calls an action makes at most: samples are one call beside the draft's."""
    match action:
        case Finish():
            return 0
        case Draft(samples=samples) if samples:
            return 2
        case _:
            return 1


def tokens_of(action: Action) -> int:
    """The tokens an action may generate at most."""
    match action:
        case Draft():
            return action.max_tokens + action.samples * action.sample_max_tokens
        case RefineGlobally() | RefineLocally() | Sample():
            return action.max_tokens
        case _:
            return 0


def in_flight(state: State) -> frozenset[Action]:
    """The actions that have begun and not ended."""
    return state.started - state.ended


def calls_left(state: State) -> int:
    """Engine calls that are neither used nor promised to an action in flight."""
    promised = sum(calls_of(action) for action in in_flight(state))
    return state.job.budget.max_calls - state.engine_calls - state.reserved_calls - promised


def tokens_left(state: State) -> int:
    """Tokens that are neither generated, lost nor granted to an action in flight."""
    promised = sum(tokens_of(action) for action in in_flight(state))
    used = state.generated_tokens + state.lost_tokens + state.reserved_tokens
    return max(0, state.job.budget.max_generated_tokens - used - promised)


def ranking_failed(state: State) -> bool:
    """Whether outcome scores were wanted and will not come."""
    return any(missing.stage is Stage.RERANK for missing in state.degraded)


def tried_in_round(state: State, kind: type[Writing]) -> bool:
    """Whether an action of this kind was begun in the round of the state."""
    return any(isinstance(each, kind) and each.round == state.round for each in state.started)


def begin(state: State, action: Action) -> State:
    """The state once `action` is handed to the runner."""
    return replace(state, started=state.started | {action})


def refuse(state: State, action: Action, reason: DegradedReason) -> State:
    """The state once `action` is given up unstarted: it counts as ended and is reported."""
    return degrade(
        replace(state, started=state.started | {action}, ended=state.ended | {action}),
        Degradation(stage_of(action), reason),
    )


def degrade(state: State, *missing: Degradation) -> State:
    """The state with these degradations reported, each once."""
    new = tuple(item for item in dict.fromkeys(missing) if item not in state.degraded)
    return replace(state, degraded=state.degraded + new) if new else state


def apply(state: State, event: Event, cost: Cost) -> State:
    """The state after `event`, which cost `cost`.

    Raises UnexpectedEventError when no action in flight can have given it.
    """
    action = _source(state, event)
    state = replace(
        state,
        ended=state.ended | {action},
        costs=(*state.costs, cost),
        engine_calls=state.engine_calls + cost.engine_calls,
        generated_tokens=state.generated_tokens + cost.generated_tokens,
        lost_tokens=state.lost_tokens + cost.lost_tokens,
    )
    match event:
        case Drafted():
            state = replace(state, candidates=event.candidates)
            return degrade(state, *event.degraded, *_cut_short(state, action, event.candidates))
        case StepsScored():
            return _with_step_scores(state, event)
        case Refined():
            missing = _cut_short(state, action, (event.candidate,))
            return degrade(_with_candidate(state, event.candidate), *missing)
        case DraftOutcomeScored():
            return _with_draft_outcome(state, event)
        case Reranked():
            return _with_outcome_scores(state, event)
        case ActionFailed() if not _rerank_repeats(state, event):
            return degrade(state, event.degradation)
        case ActionFailed() | Stopped():
            return state
        case _:
            assert_never(event)


def _source(state: State, event: Event) -> Action:
    """The action in flight that gave `event`."""
    for action in in_flight(state):
        if _gives(action, event):
            return action
    message = f"no action in flight gives {type(event).__name__}"
    raise UnexpectedEventError(message)


def _gives(action: Action, event: Event) -> bool:
    match action, event:
        case _, (ActionFailed(action=source) | Stopped(action=source)):
            return source == action
        case ScoreSteps(candidate=wanted), StepsScored(candidate=given):
            return wanted == given
        case (
            (Draft(), Drafted(candidates=(_, *_)))
            | (RefineGlobally(), Refined(candidate=Candidate(kind=CandidateKind.GLOBAL)))
            | (RefineLocally(), Refined(candidate=Candidate(kind=CandidateKind.LOCAL)))
            | (Sample(), Refined(candidate=Candidate(kind=CandidateKind.SAMPLE)))
            | (ScoreDraftOutcome(), DraftOutcomeScored())
            | (Rerank(), Reranked())
        ):
            return True
    return False


def _cut_short(
    state: State, action: Action, written: tuple[Candidate, ...]
) -> tuple[Degradation, ...]:
    """What to report of texts that ended where the budget, not the request, ended them."""
    match action:
        case Draft():
            granted = [action.max_tokens] + [action.sample_max_tokens] * (len(written) - 1)
        case RefineGlobally() | RefineLocally() | Sample():
            granted = [action.max_tokens]
        case _:
            return ()
    wanted = state.job.sampling.max_tokens
    return tuple(
        Degradation(stage_of(action), DegradedReason.TOKEN_CAP)
        for candidate, tokens in zip(written, granted, strict=True)
        if candidate.finish_reason == "length" and tokens < wanted
    )


def _rerank_repeats(state: State, event: ActionFailed) -> bool:
    """Whether what failed is tried again: the draft's outcome score, by a rerank still to come.

    An ORM that did not answer in time is not waited for twice.
    """
    reranked = any(isinstance(action, Rerank) for action in state.started)
    early = event.action == ScoreDraftOutcome() and not reranked
    return early and event.degradation.reason not in TIMED_OUT


def _with_candidate(state: State, candidate: Candidate) -> State:
    """One candidate more; if its solution is known, so are its scores."""
    for known in state.candidates:
        if known.solution == candidate.solution:
            candidate = replace(
                candidate, step_scores=known.step_scores, outcome_score=known.outcome_score
            )
            break
    return replace(state, candidates=(*state.candidates, candidate))


def _with_step_scores(state: State, event: StepsScored) -> State:
    """Scores belong to the text, so candidates with the same solution share them."""
    solution = state.candidates[event.candidate].solution
    candidates = tuple(
        replace(candidate, step_scores=event.scores)
        if candidate.solution == solution
        else candidate
        for candidate in state.candidates
    )
    return replace(state, candidates=candidates)


def _with_draft_outcome(state: State, event: DraftOutcomeScored) -> State:
    draft = state.candidates[0].solution
    candidates = tuple(
        replace(candidate, outcome_score=event.score) if candidate.solution == draft else candidate
        for candidate in state.candidates
    )
    return replace(state, candidates=candidates)


def _with_outcome_scores(state: State, event: Reranked) -> State:
    if len(event.scores) != len(state.candidates):
        message = f"{len(event.scores)} outcome scores for {len(state.candidates)} candidates"
        raise UnexpectedEventError(message)
    candidates = tuple(
        candidate if score is None else replace(candidate, outcome_score=score)
        for candidate, score in zip(state.candidates, event.scores, strict=True)
    )
    return replace(state, candidates=candidates)
