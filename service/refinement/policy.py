"""What to do next: the algorithm of GLoRe as a pure function of the state.

Order of `glore`: draft -> (global refinement || step scores -> local refinement) -> rerank.
When an engine call can be spared, the ORM scores the draft while it is refined, once the SORM is
done with it; the rerank then scores the refinements that differ from the draft.
`gated` scores the draft first, and only refines one that it does not accept.
The caps on engine calls and generated tokens are kept here: an action that does not fit is
given up and reported, and what reranking needs is kept for it. Time is the runner's business.
"""

from service.refinement.selection import RERANKING, accepted, select
from service.refinement.state import (
    begin,
    calls_left,
    calls_of,
    degrade,
    in_flight,
    ranking_failed,
    refuse,
    solutions_to_rerank,
    tokens_left,
    tokens_of,
)
from service.refinement.types import (
    Action,
    Degradation,
    DegradedReason,
    Draft,
    Finish,
    RefineGlobally,
    RefineLocally,
    Rerank,
    ScoreDraftOutcome,
    ScoreSteps,
    Stage,
    State,
    Strategy,
    Task,
)

_REFINES_GLOBALLY = frozenset({Strategy.GLORE, Strategy.GATED, Strategy.GLOBAL})
_REFINES_LOCALLY = frozenset({Strategy.GLORE, Strategy.GATED, Strategy.LOCAL})
_CALLS_WITH_SAMPLES = 3  # the draft, the samples, the rerank


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
    while (action := _wanted(state)) is not None:
        reason = _refusal(state, action)
        if reason is not None:
            state = refuse(state, action, reason)
            continue
        if isinstance(action, Draft):
            state = degrade(state, *_missing_samples(state, action))
        state = begin(state, action)
        actions.append(action)
    if not in_flight(state):
        actions.append(Finish(select(state)))
    return state, tuple(actions)


def spare_calls(state: State) -> int:
    """How many engine calls the actions in flight may make beyond those promised to them.

    What is still to be promised is left alone: the rerank and, while the draft is being scored,
    the local refinement. A draft comes first: without it nothing else is of use.
    """
    drafting, ahead = _drafting(state), _refinements_ahead(state)
    alone = drafting is not None and drafting.samples == 0
    ranks = 0 if alone else _rank_calls(state, ahead)
    return max(0, calls_left(state) - ranks - ahead)


def spare_tokens(state: State) -> int:
    """As `spare_calls`, in tokens: the refinements still to be promised may be of full length."""
    ahead = _refinements_ahead(state) * state.task.sampling.max_tokens
    return max(0, tokens_left(state) - ahead)


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
        return _draft(state)
    if not state.candidates:
        return None
    return _refinement(state) or _early_outcome(state) or _ranking(state)


def _refinement(state: State) -> Action | None:
    """Refine globally, and beside it look for the first error and refine from there on."""
    strategy = state.task.strategy
    if strategy is Strategy.GATED and ScoreSteps(0) not in state.ended:
        return None if ScoreSteps(0) in state.started else ScoreSteps(0)
    if accepted(state):
        return None
    if strategy in _REFINES_GLOBALLY and not _tried(state, RefineGlobally):
        return RefineGlobally(_max_tokens(state))
    if strategy in _REFINES_LOCALLY:
        if ScoreSteps(0) not in state.started:
            return ScoreSteps(0)
        if state.first_error is not None and not _tried(state, RefineLocally):
            return RefineLocally(state.first_error, _max_tokens(state))
    return None


def _early_outcome(state: State) -> Action | None:
    """Score the draft with the ORM beside refinements, if a call can be spared.

    Not beside its step scores: the local refinement waits for those.
    """
    if state.task.strategy not in RERANKING or ScoreDraftOutcome() in state.started:
        return None
    refining = _candidates_in_flight(state) > 0
    if not refining or ScoreSteps(0) in in_flight(state) or spare_calls(state) == 0:
        return None
    return ScoreDraftOutcome()


def _ranking(state: State) -> Action | None:
    """Rerank once all candidates are there; without the ORM, let the SORM score them all."""
    if state.task.strategy not in RERANKING or len(state.candidates) == 1:
        return None
    if not ranking_failed(state):
        waits = in_flight(state) - {ScoreDraftOutcome()} or Rerank() in state.started
        return Rerank() if not waits and solutions_to_rerank(state) else None
    late = Degradation(Stage.RERANK, DegradedReason.DEADLINE) in state.degraded
    if late or _sorm_failed(state) or _candidates_in_flight(state):
        return None
    return next(iter(_unscored(state)), None)


def _drafting(state: State) -> Draft | None:
    if state.candidates:
        return None
    return next((action for action in in_flight(state) if isinstance(action, Draft)), None)


def _refinements_ahead(state: State) -> int:
    """How many may follow from what is in flight, other than from a draft."""
    if _drafting(state) is not None:
        return 0
    refines = state.task.strategy in _REFINES_LOCALLY and ScoreSteps(0) in in_flight(state)
    gated = state.task.strategy is Strategy.GATED and not _tried(state, RefineGlobally)
    return refines + gated


def _tried(state: State, kind: type[Draft | RefineGlobally | RefineLocally]) -> bool:
    return kind in map(type, state.started)


def _sorm_failed(state: State) -> bool:
    """Whether some step scores were asked for and did not come."""
    return any(
        isinstance(action, ScoreSteps) and state.candidates[action.candidate].step_scores is None
        for action in state.ended
    )


def _unscored(state: State) -> tuple[ScoreSteps, ...]:
    """One action per solution text whose steps nobody has scored or is scoring."""
    first_places: dict[str, int] = {}
    for place, candidate in enumerate(state.candidates):
        if candidate.step_scores is None:
            first_places.setdefault(candidate.solution, place)
    actions = (ScoreSteps(place) for place in first_places.values())
    return tuple(action for action in actions if action not in state.started)


def _draft(state: State) -> Draft:
    """The draft, with as many samples of full length as the caps allow, or one cut short."""
    max_tokens = _max_tokens(state)
    samples = min(_samples_asked(state.task), _most_samples(state))
    if samples == 0:
        return Draft(samples=0, max_tokens=max_tokens, sample_max_tokens=0)
    rest = tokens_left(state) - max_tokens
    sample_max_tokens = min(state.task.sampling.max_tokens, rest)
    if sample_max_tokens == 0:
        return Draft(samples=0, max_tokens=max_tokens, sample_max_tokens=0)
    samples = min(samples, rest // sample_max_tokens)
    return Draft(samples=samples, max_tokens=max_tokens, sample_max_tokens=sample_max_tokens)


def _samples_asked(task: Task) -> int:
    return task.sampling.n - 1 if task.strategy is Strategy.BEST_OF_N else 0


def _most_samples(state: State) -> int:
    """How many the cap on calls leaves room for, all reranked."""
    left = calls_left(state) - _CALLS_WITH_SAMPLES
    if state.ranked_singly:
        return max(0, left)
    return _samples_asked(state.task) if left >= 0 else 0


def _missing_samples(state: State, action: Draft) -> tuple[Degradation, ...]:
    """What to report when the caps allow fewer samples than were asked for."""
    if action.samples == _samples_asked(state.task):
        return ()
    too_few_calls = action.samples == _most_samples(state)
    reason = DegradedReason.CALL_CAP if too_few_calls else DegradedReason.TOKEN_CAP
    return (Degradation(Stage.DRAFT, reason),)


def _max_tokens(state: State) -> int:
    """How long one more generation may get."""
    return min(state.task.sampling.max_tokens, tokens_left(state))


def _refusal(state: State, action: Action) -> DegradedReason | None:
    """The cap that `action` would break, if any."""
    if calls_left(state) < _calls_needed(state, action):
        return DegradedReason.CALL_CAP
    generates = isinstance(action, Draft | RefineGlobally | RefineLocally)
    if generates and tokens_of(action) == 0:
        return DegradedReason.TOKEN_CAP
    return None


def _calls_needed(state: State, action: Action) -> int:
    """The calls of `action` and those without which it would be of no use.

    Before reranking, these are the rerank's, unless there is but a draft to come. Without the
    ORM, the SORM scores every candidate or none: scores of some do not rank them all.
    """
    if isinstance(action, ScoreSteps) and ranking_failed(state):
        return len(_unscored(state))
    if isinstance(action, Rerank):
        return len(solutions_to_rerank(state)) if state.ranked_singly else 1
    alone = isinstance(action, Draft) and action.samples == 0
    return calls_of(action) + (0 if alone else _rank_calls(state, _adds(action)))


def _rank_calls(state: State, more: int = 0) -> int:
    """The calls of the rerank to come, of the candidates known or in flight and `more`."""
    if state.task.strategy not in RERANKING or Rerank() in state.started or ranking_failed(state):
        return 0
    if not state.ranked_singly:
        return 1
    unscored = {each.solution for each in state.candidates if each.outcome_score is None}
    return len(unscored) + _candidates_in_flight(state) + more


def _candidates_in_flight(state: State) -> int:
    """How many candidates the actions in flight may give."""
    return sum(map(_adds, in_flight(state)))


def _adds(action: Action) -> int:
    """How many candidates it may give."""
    match action:
        case Draft():
            return 1 + action.samples
        case RefineGlobally() | RefineLocally():
            return 1
        case _:
            return 0
