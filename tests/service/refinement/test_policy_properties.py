"""Whatever the engines do and whenever: what the policy always keeps to."""

from collections import Counter
from dataclasses import replace
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from glore.engines.ports import STOPPED, FaultReason
from glore.formats.steps import split_steps
from glore.refinement.caps import spare_calls, spare_tokens
from glore.refinement.judging import contenders, passes, solutions_to_rerank
from glore.refinement.policy import advance
from glore.refinement.state import (
    apply,
    calls_of,
    in_flight,
    ranking_failed,
    stage_of,
    tokens_of,
)
from glore.refinement.types import (
    TIMED_OUT,
    Action,
    ActionFailed,
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
    ScoreDraftOutcome,
    ScoreSteps,
    SelectionReason,
    State,
    StepsScored,
    Strategy,
)
from tests.service.refinement.builders import checked, first_error_step, job

# One of each stage and the SORM on every one of eight candidates; in each further round five more
# and the SORM on three candidates, and on every step a correction.
MOST_ACTIONS = 6 + 8 + 3 * (5 + 3) + 12
KINDS = tuple(CandidateKind)
FAULT_REASONS: tuple[FaultReason, ...] = get_args(FaultReason)

scores = st.floats(min_value=0.0, max_value=1.0) | st.sampled_from([0.0, 0.5, 1.0])
SOLUTIONS = ["#### 1", "#### 2", "a\n#### 1", "b\nc\n#### 2", "no answer"]
REFUTED = ["b\n1 + 1 = 3\n#### 3", "1 + 1 = 3\n#### 3", "2 + 2 = 5\n5 + 1 = 7\n#### 7"]
solutions = st.sampled_from([*SOLUTIONS, *REFUTED, "1 + 1 = 2\n2 + 1 = 4\n#### 4"])
reasons = st.sampled_from(DegradedReason) | st.sampled_from(FAULT_REASONS)
jobs = st.builds(
    job,
    strategy=st.sampled_from([*Strategy, Strategy.GLORE, Strategy.GATED]),
    max_calls=st.sampled_from([20, 20, 40, 40, *range(15)]),
    max_generated_tokens=st.sampled_from([10_000, 10_000]) | st.integers(0, 1200),
    max_tokens=st.integers(1, 200),
    n=st.integers(2, 8),
    gate=st.sampled_from([None, 0.5]),
    rounds=st.sampled_from([1, 2, 3, 4]),
    correct=st.booleans(),
)
many = settings(max_examples=200)


class Walk:
    """One request answered by chance: what happened, for the properties to look at.

    Unless it is `thrifty`, actions take more than was promised to them.
    """

    def __init__(self, data: st.DataObject, chosen: Job, *, thrifty: bool = False) -> None:
        self.data = data
        self.thrifty = thrifty
        self.state = State(chosen)
        self.steps: list[tuple[Action, ...]] = []
        self.events: list[Event] = []
        self.to_rerank: tuple[str, ...] = ()  # when the last rerank started
        self.calls = 0  # really made
        self.tokens = 0  # really generated, by failed calls too

    def run(self) -> Finish:
        """Follow the policy to its end, each result coming in any order."""
        for _ in range(MOST_ACTIONS + 1):
            self.state, actions = advance(self.state)
            self.steps.append(actions)
            if any(isinstance(action, Rerank) for action in actions):
                self.to_rerank = solutions_to_rerank(self.state)
            for action in actions:
                if isinstance(action, Finish):
                    return action
            waiting = sorted(in_flight(self.state), key=repr)
            assert waiting, "the policy waits for nothing"
            action = self.data.draw(st.sampled_from(waiting))
            event, cost = self.result(action)
            self.calls += cost.engine_calls
            self.events.append(event)
            self.state = apply(self.state, event, cost)
        message = "the policy does not end"
        raise AssertionError(message)

    def result(self, action: Action) -> tuple[Event, Cost]:
        """Any event that `action` may give, and any cost within its limits.

        Tokens of calls that were lost are known in part; as many as were granted are given up.
        """
        draw = self.data.draw
        granted = tokens_of(action)
        used = draw(st.integers(0, granted))
        takes_more = not self.thrifty and draw(st.sampled_from([False, False, False, True]))
        more_calls = draw(st.integers(0, spare_calls(self.state))) if takes_more else 0
        taken = granted and more_calls and draw(st.integers(0, spare_tokens(self.state)))
        self.tokens += used + taken
        fails = 4 if isinstance(action, Rerank | ScoreDraftOutcome) else 15  # one of so many
        if draw(st.sampled_from([*[False] * (fails - 1), True])):
            event: Event = ActionFailed(action, Degradation(stage_of(action), draw(reasons)))
            calls = draw(st.integers(0, calls_of(action)))
        else:
            event, calls = self.success(action), calls_of(action)
        known, lost = used, taken
        if isinstance(event, ActionFailed) or (isinstance(event, Drafted) and event.degraded):
            known = draw(st.integers(0, used))
            lost += granted - known
        calls += more_calls
        return event, Cost(stage_of(action), 0.0, 0.0, calls, 0, known, lost)

    def success(self, action: Action) -> Event:
        draw = self.data.draw
        match action:
            case Draft():
                count = draw(st.integers(0, action.samples))
                kinds = [CandidateKind.DRAFT, *[CandidateKind.SAMPLE] * count]
                missing = Degradation(stage_of(action), "failed")
                return Drafted(
                    tuple(checked(kind, draw(solutions)) for kind in kinds),
                    degraded=() if count == action.samples else (missing,),
                )
            case ScoreSteps(candidate=position):
                count = len(split_steps(self.state.candidates[position].solution))
                return StepsScored(position, tuple(draw(scores) for _ in range(count)))
            case RefineGlobally(base=base):
                return self.refined(CandidateKind.GLOBAL, base)
            case RefineLocally(base=base):
                return self.refined(CandidateKind.LOCAL, base)
            case Sample():
                return self.refined(CandidateKind.SAMPLE)
            case ScoreDraftOutcome():
                return DraftOutcomeScored(draw(scores))
            case _:
                held = self.state.candidates
                known = {each.solution: each.outcome_score for each in held}
                known |= {text: draw(scores) for text in self.to_rerank}
                return Reranked(tuple(known[each.solution] for each in held))

    def refined(self, kind: CandidateKind, base: int | None = None) -> Refined:
        """A refuted one may have been stopped."""
        candidate = checked(kind, self.data.draw(solutions), base)
        stops = bool(candidate.findings) and self.state.job.plan.stops_refuted
        if stops and self.data.draw(st.booleans()):
            candidate = replace(candidate, finish_reason=STOPPED)
        return Refined(candidate)

    def accepted(self) -> bool:
        """Whether the draft is the answer because it passes."""
        gated = self.state.job.plan.gated and bool(self.state.candidates)
        return gated and bool(passes(self.state, 0))


def test_the_cases_that_matter_are_among_those_that_are_drawn() -> None:
    """A property that is seldom reached shows little: these are counted.

    Hypothesis also draws constants of the modules that are loaded, so counts differ between runs.
    """
    reached: Counter[str] = Counter()

    @settings(max_examples=1200, derandomize=True, database=None)
    @given(st.data(), jobs)
    def look(data: st.DataObject, chosen: Job) -> None:
        walk = Walk(data, chosen)
        selection = walk.run().selection
        held = len(walk.state.candidates)
        reached["several candidates"] += held > 1
        reached["reranked"] += any(isinstance(event, Reranked) for event in walk.events)
        reached["nothing degraded, several candidates"] += held > 1 and not walk.state.degraded
        reached["degraded"] += bool(walk.state.degraded)
        reached["another round"] += walk.state.round > 1
        reached["stopped"] += any(c.finish_reason == STOPPED for c in walk.state.candidates)
        if selection is not None:
            reached[selection.reason.value] += 1

    look()
    common = ("several candidates", "reranked", "degraded", "nothing degraded, several candidates")
    assert min(reached[case] for case in common) >= 40, reached
    assert min(reached[case] for case in ("another round", "stopped")) >= 5, reached
    assert min(reached[each] for each in ("outcome_score", "verified", "accepted")) >= 10, reached
    assert reached["step_score"] >= 2, reached


@many
@given(st.data(), jobs)
def test_it_ends_with_a_selection_exactly_when_there_is_a_draft(
    data: st.DataObject, chosen: Job
) -> None:
    walk = Walk(data, chosen)
    finish = walk.run()
    assert (finish.selection is not None) == bool(walk.state.candidates)
    assert walk.steps[-1] == (finish,)
    assert in_flight(walk.state) == frozenset()


@many
@given(st.data(), jobs)
def test_nothing_is_started_twice(data: st.DataObject, chosen: Job) -> None:
    walk = Walk(data, chosen)
    walk.run()
    started = [action for step in walk.steps for action in step]
    assert len(started) == len(set(started))
    for once in (Draft, ScoreDraftOutcome):
        assert sum(isinstance(action, once) for action in started) <= 1
    for in_round in (RefineGlobally, Sample, Rerank):
        rounds = [action.round for action in started if isinstance(action, in_round)]
        assert len(rounds) == len(set(rounds))
    locally = [action for action in started if isinstance(action, RefineLocally)]
    if not (chosen.correct and chosen.plan.in_turn):
        assert len(locally) == len({action.round for action in locally})


@many
@given(st.data(), jobs)
def test_the_caps_hold(data: st.DataObject, chosen: Job) -> None:
    walk = Walk(data, chosen)
    walk.run()
    assert walk.calls <= chosen.budget.max_calls
    assert walk.tokens <= chosen.budget.max_generated_tokens
    assert walk.state.engine_calls == walk.calls
    assert walk.state.generated_tokens <= walk.tokens
    reported = walk.state.generated_tokens + walk.state.lost_tokens
    assert walk.tokens <= reported <= chosen.budget.max_generated_tokens
    limits = (chosen.sampling.max_tokens, chosen.budget.max_generated_tokens)
    for step in walk.steps:
        for action in step:
            if isinstance(action, Draft | RefineGlobally | RefineLocally | Sample):
                assert 0 < action.max_tokens <= min(limits)


@many
@given(st.data(), jobs)
def test_no_candidate_wins_against_one_scored_higher(data: st.DataObject, chosen: Job) -> None:
    walk = Walk(data, chosen)
    selection = walk.run().selection
    if selection is None or not chosen.plan.ranks or walk.accepted():
        return
    held = [walk.state.candidates[index] for index in contenders(walk.state.candidates)]
    winner = walk.state.candidates[selection.candidate]
    assert winner in held
    outcome = [c.outcome_score for c in held if c.outcome_score is not None]
    if len(held) > 1 and len(outcome) == len(held):
        assert winner.outcome_score == max(outcome)
        best = [c for c in held if c.outcome_score == max(outcome)]
        assert winner is min(best, key=lambda c: KINDS.index(c.kind))
        assert selection.reason is SelectionReason.OUTCOME_SCORE
        return
    if selection.reason is SelectionReason.OUTCOME_SCORE:
        assert walk.state.round > 1  # the last round was not ranked
        assert winner.outcome_score == max(outcome)
        return
    if len(held) == 1 or passes(walk.state, selection.candidate):
        return
    assert ranking_failed(walk.state)
    if all(c.step_scores for c in held):
        assert min(winner.step_scores or ()) == max(min(c.step_scores or ()) for c in held)
        assert selection.reason is SelectionReason.STEP_SCORE


@many
@given(st.data(), jobs)
def test_no_refuted_candidate_wins_against_one_that_is_not(
    data: st.DataObject, chosen: Job
) -> None:
    walk = Walk(data, chosen)
    selection = walk.run().selection
    held = walk.state.candidates
    if selection is None or not chosen.plan.ranks or all(each.findings for each in held):
        return
    assert not held[selection.candidate].findings
    if sum(not each.findings for each in held) == 1 < len(held):
        assert selection.reason is SelectionReason.VERIFIED


@many
@given(st.data(), jobs)
def test_no_stopped_candidate_wins_against_a_whole_one(data: st.DataObject, chosen: Job) -> None:
    walk = Walk(data, chosen)
    selection = walk.run().selection
    if selection is not None:
        assert walk.state.candidates[selection.candidate].finish_reason == "stop"


@many
@given(st.data(), jobs)
def test_rounds_end_with_the_first_candidate_that_passes(data: st.DataObject, chosen: Job) -> None:
    walk = Walk(data, chosen)
    walk.run()
    assert walk.state.round <= chosen.rounds
    written = [
        action
        for step in walk.steps
        for action in step
        if isinstance(action, RefineGlobally | RefineLocally | Sample)
    ]
    if chosen.strategy is Strategy.ADAPTIVE and walk.state.candidates:
        ended = len(walk.state.candidates) - 1
        assert not any(passes(walk.state, index) for index in range(ended))
    if walk.accepted():
        assert written == []
    if walk.state.round == 1:
        assert all(action.round == 1 for action in written)


@many
@given(st.data(), jobs)
def test_more_than_one_ranked_candidate_always_gets_its_rerank_call(
    data: st.DataObject, chosen: Job
) -> None:
    """Unless it has nothing to score, or the ORM let the draft wait in vain."""
    walk = Walk(data, chosen)
    walk.run()
    rivals = [walk.state.candidates[index] for index in contenders(walk.state.candidates)]
    started = any(isinstance(action, Rerank) for step in walk.steps for action in step)
    if not chosen.plan.ranks or len(walk.state.candidates) <= 1:
        assert not started
    elif not started and len(rivals) > 1 and not passes(walk.state, len(walk.state.candidates) - 1):
        (early,) = (event for event in walk.events if is_early(event))
        if isinstance(early, ActionFailed):
            assert early.degradation.reason in TIMED_OUT
        else:
            assert len({each.solution for each in rivals}) == 1


def is_early(event: Event) -> bool:
    """Whether it is how scoring the draft's outcome ended."""
    early = isinstance(event, ActionFailed) and event.action == ScoreDraftOutcome()
    return early or isinstance(event, DraftOutcomeScored)


@many
@given(st.data(), jobs)
def test_the_global_refiner_starts_in_the_step_in_which_scoring_starts(
    data: st.DataObject, chosen: Job
) -> None:
    roomy = replace(chosen.budget, max_calls=20, max_generated_tokens=100_000)
    walk = Walk(data, replace(chosen, strategy=Strategy.GLORE, budget=roomy), thrifty=True)
    walk.run()
    if walk.state.candidates:
        wanted = {RefineGlobally, ScoreSteps}
        if walk.state.candidates[0].findings:
            wanted.add(RefineLocally)
        assert {type(action) for action in walk.steps[1]} == wanted


@many
@given(st.data(), jobs)
def test_a_missing_stage_is_always_reported(data: st.DataObject, chosen: Job) -> None:
    """Without a degradation, the strategy has all the candidates it promises."""
    walk = Walk(data, chosen)
    walk.run()
    if walk.state.degraded:
        return
    refined = (first_error_step(walk.state) is not None) + 2
    count = {
        Strategy.DRAFT: 1,
        Strategy.GLOBAL: 2,
        Strategy.LOCAL: refined - 1,
        Strategy.GLORE: refined,
        Strategy.GATED: 1 if walk.accepted() else refined,
        Strategy.BEST_OF_N: chosen.sampling.n,
        Strategy.ADAPTIVE: 1 if walk.accepted() else 2,
    }
    held = len(walk.state.candidates)
    more = walk.state.round > 1 or (chosen.strategy is Strategy.ADAPTIVE and held > 1)
    assert held >= count[chosen.strategy] if more else held == count[chosen.strategy]
