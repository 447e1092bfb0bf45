"""The caps of a request: what of its engine calls and tokens an action may use. Pure.

What reranking needs is reserved for it.
"""

from typing import Final

from glore.refinement.judging import solutions_to_rerank, unscored
from glore.refinement.state import (
    calls_left,
    calls_of,
    in_flight,
    ranking_failed,
    tokens_left,
    tokens_of,
    tried_in_round,
)
from glore.refinement.types import (
    Action,
    Degradation,
    DegradedReason,
    Draft,
    Job,
    RefineGlobally,
    RefineLocally,
    Rerank,
    Sample,
    ScoreSteps,
    Stage,
    State,
    Strategy,
)

_CALLS_WITH_SAMPLES: Final = 3  # the draft, the samples, the rerank


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
    ahead = _refinements_ahead(state) * state.job.sampling.max_tokens
    return max(0, tokens_left(state) - ahead)


def largest_draft(state: State) -> Draft:
    """The draft, with as many samples of full length as the caps allow, or one cut short."""
    most = max_tokens(state)
    samples = min(_samples_wanted(state.job), _most_samples(state))
    if samples == 0:
        return Draft(samples=0, max_tokens=most, sample_max_tokens=0)
    rest = tokens_left(state) - most
    sample_max_tokens = min(state.job.sampling.max_tokens, rest)
    if sample_max_tokens == 0:
        return Draft(samples=0, max_tokens=most, sample_max_tokens=0)
    samples = min(samples, rest // sample_max_tokens)
    return Draft(samples=samples, max_tokens=most, sample_max_tokens=sample_max_tokens)


def _samples_wanted(job: Job) -> int:
    return job.sampling.n - 1 if job.strategy is Strategy.BEST_OF_N else 0


def _most_samples(state: State) -> int:
    """How many the cap on calls leaves room for, all reranked."""
    left = calls_left(state) - _CALLS_WITH_SAMPLES
    if state.ranked_singly:
        return max(0, left)
    return _samples_wanted(state.job) if left >= 0 else 0


def missing_samples(state: State, action: Draft) -> tuple[Degradation, ...]:
    """What to report when the caps allow fewer samples than were requested."""
    if action.samples == _samples_wanted(state.job):
        return ()
    too_few_calls = action.samples == _most_samples(state)
    reason = DegradedReason.CALL_CAP if too_few_calls else DegradedReason.TOKEN_CAP
    return (Degradation(Stage.DRAFT, reason),)


def max_tokens(state: State) -> int:
    """How long one more generation may get."""
    return min(state.job.sampling.max_tokens, tokens_left(state))


def refusal(state: State, action: Action) -> DegradedReason | None:
    """The cap that `action` would break, if any."""
    if calls_left(state) < _calls_needed(state, action):
        return DegradedReason.CALL_CAP
    generates = isinstance(action, Draft | RefineGlobally | RefineLocally | Sample)
    if generates and tokens_of(action) == 0:
        return DegradedReason.TOKEN_CAP
    return None


def _calls_needed(state: State, action: Action) -> int:
    """The calls of `action` and those without which it would be of no use.

    Before reranking, these are the rerank's, unless there is but a draft to come. Without the
    ORM, the SORM scores every candidate or none: scores of some do not rank them all.
    """
    if isinstance(action, ScoreSteps) and ranking_failed(state):
        return len(unscored(state))
    if isinstance(action, Rerank):
        return len(solutions_to_rerank(state)) if state.ranked_singly else 1
    alone = isinstance(action, Draft) and action.samples == 0
    return calls_of(action) + (0 if alone else _rank_calls(state, _adds(action)))


def _rank_calls(state: State, more: int = 0) -> int:
    """The calls of the rerank to come, of the candidates known or in flight and `more`."""
    if not state.job.plan.ranks or Rerank(state.round) in state.started or ranking_failed(state):
        return 0
    if not state.ranked_singly:
        return 1
    unscored = {each.solution for each in state.candidates if each.outcome_score is None}
    return len(unscored) + candidates_in_flight(state) + more


def candidates_in_flight(state: State) -> int:
    """How many candidates the actions in flight may give."""
    return sum(map(_adds, in_flight(state)))


def _adds(action: Action) -> int:
    """How many candidates it may give."""
    match action:
        case Draft():
            return 1 + action.samples
        case RefineGlobally() | RefineLocally() | Sample():
            return 1
        case _:
            return 0


def _drafting(state: State) -> Draft | None:
    if state.candidates:
        return None
    return next((action for action in in_flight(state) if isinstance(action, Draft)), None)


def _refinements_ahead(state: State) -> int:
    """How many may follow in this round from what is in flight, other than from a draft."""
    plan = state.job.plan
    if (
        _drafting(state) is not None
        or plan.in_turn
        or ScoreSteps(state.base) not in in_flight(state)
    ):
        return 0
    locally = plan.refines_locally and not tried_in_round(state, RefineLocally)
    globally = plan.gated and not tried_in_round(state, RefineGlobally)
    return locally + globally
