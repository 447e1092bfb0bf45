"""Values for the tests of the algorithm, with everything that does not matter filled in."""

from collections.abc import Iterable
from dataclasses import replace

from glore.engines.ports import FaultReason
from glore.formats.answers import parse_answer
from glore.formats.steps import split_steps
from glore.refinement.judging import first_error
from glore.refinement.policy import advance
from glore.refinement.state import apply, stage_of, tokens_of
from glore.refinement.types import (
    Action,
    ActionFailed,
    Budget,
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
    Job,
    Refined,
    RefineGlobally,
    RefineLocally,
    Rerank,
    Reranked,
    Sample,
    Sampling,
    ScoreDraftOutcome,
    ScoreSteps,
    Selection,
    State,
    StepsScored,
    Strategy,
)
from glore.verifiers.arithmetic import Arithmetic
from tests.service.fakes import DRAFT, GLOBAL, LOCAL


def job(
    strategy: Strategy = Strategy.GLORE,
    *,
    max_calls: int = 20,
    max_generated_tokens: int = 10_000,
    max_tokens: int = 100,
    n: int = 3,
    deadline: float = 60.0,
    rerank_reserve: float = 1.0,
    temperature: float = 0.0,
    gate: float | None = 0.5,
    rounds: int = 1,
    verify: bool = True,
    correct: bool = False,
) -> Job:
    return Job(
        question="How many sweets are in 3 bags of 4?",
        strategy=strategy,
        sampling=Sampling(temperature=temperature, max_tokens=max_tokens, n=n),
        budget=Budget(
            deadline=deadline,
            max_calls=max_calls,
            max_generated_tokens=max_generated_tokens,
            rerank_reserve=rerank_reserve,
        ),
        threshold=0.5,
        gate=gate,
        rounds=rounds,
        verify=verify,
        correct=correct,
    )


def candidate(kind: CandidateKind, solution: str, base: int | None = None) -> Candidate:
    """A candidate that no verifier has checked."""
    return Candidate(
        kind=kind,
        solution=solution,
        answer=parse_answer(solution),
        finish_reason="stop",
        base=base,
    )


def checked(kind: CandidateKind, solution: str, base: int | None = None) -> Candidate:
    """A candidate with what the verifier of arithmetic finds in it."""
    steps = [step.text for step in split_steps(solution)]
    return replace(candidate(kind, solution, base), findings=Arithmetic().check("", steps))


def drafted(*solutions: str) -> Drafted:
    draft, *samples = solutions or (DRAFT,)
    return Drafted(
        (
            candidate(CandidateKind.DRAFT, draft),
            *(candidate(CandidateKind.SAMPLE, sample) for sample in samples),
        )
    )


def refined_globally(solution: str = GLOBAL) -> Refined:
    return Refined(candidate(CandidateKind.GLOBAL, solution))


def refined_locally(solution: str = LOCAL) -> Refined:
    return Refined(candidate(CandidateKind.LOCAL, solution))


def first_error_step(state: State) -> int | None:
    """The index of the draft's first error."""
    error = first_error(state) if state.candidates else None
    return error.step if error else None


def failed(action: Action, reason: FaultReason | DegradedReason | None = None) -> ActionFailed:
    return ActionFailed(action, Degradation(stage_of(action), reason or "unreachable"))


def cost(action: Action, *, calls: int = 1, tokens: int = 0, lost: int = 0) -> Cost:
    return Cost(stage_of(action), 0.0, 0.1, calls, 10, tokens, lost)


def source(state: State, event: Event) -> Action:
    """The action in flight whose result `event` is."""
    kinds: dict[type[Event], tuple[type[Action], ...]] = {
        Drafted: (Draft,),
        StepsScored: (ScoreSteps,),
        DraftOutcomeScored: (ScoreDraftOutcome,),
        Reranked: (Rerank,),
    }
    if isinstance(event, ActionFailed):
        return event.action
    if isinstance(event, Refined):
        writes = {
            CandidateKind.GLOBAL: RefineGlobally,
            CandidateKind.LOCAL: RefineLocally,
            CandidateKind.SAMPLE: Sample,
        }
        kinds[Refined] = (writes[event.candidate.kind],)
    return next(a for a in state.started - state.ended if isinstance(a, kinds[type(event)]))


def after(state: State, *events: Event) -> State:
    """The state once the policy has begun what it wants and each event has come back.

    What has failed has lost all the tokens that it was granted.
    """
    state, _ = advance(state)
    for event in events:
        action = source(state, event)
        lost = tokens_of(action) if isinstance(event, ActionFailed) else 0
        state, _ = advance(apply(state, event, cost(action, lost=lost)))
    return state


def finish(state: State) -> Selection | None:
    """The selection of a state in which the policy has nothing left to do."""
    _, actions = advance(state)
    (last,) = actions
    assert isinstance(last, Finish)
    return last.selection


def with_scores(
    state: State,
    *,
    outcome: Iterable[float] | None = None,
    steps: Iterable[tuple[float, ...] | None] | None = None,
) -> State:
    """`state` with these scores on its candidates."""
    candidates = state.candidates
    if outcome is not None:
        pairs = zip(candidates, outcome, strict=True)
        candidates = tuple(replace(c, outcome_score=score) for c, score in pairs)
    if steps is not None:
        rows = zip(candidates, steps, strict=True)
        candidates = tuple(replace(c, step_scores=scores) for c, scores in rows)
    return replace(state, candidates=candidates)
