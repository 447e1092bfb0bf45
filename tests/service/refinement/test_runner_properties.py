"""Any texts, scores and faults through the whole runner: what always holds of the outcome."""

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from glore.engines.ports import FaultReason
from glore.formats.critique import BAD
from glore.formats.prompts import student_prompt
from glore.formats.steps import prefix_before, split_steps
from glore.refinement.runner import NoDraftError, Solved, refine
from glore.refinement.types import CandidateKind, Job, Strategy
from tests.service.clock import ManualClock
from tests.service.fakes import FakeGenerator
from tests.service.refinement.builders import first_error_step, job
from tests.service.refinement.split_engines import SplitEngines

alphabet = st.sampled_from("ab1 \t\n\r\v\x1c\x85\u2028é#🍬")
lines = st.text(alphabet, min_size=1, max_size=8)
breaks = st.sampled_from(["\n", "\n\n", "\r\n\r\n", "\n \n"])


@st.composite
def several_lines(draw: st.DrawFn) -> str:
    """Two to five lines, blank ones between them."""
    parts = draw(st.lists(st.tuples(lines, breaks), min_size=2, max_size=5))
    return "".join(text + end for text, end in parts)


texts = st.text(alphabet, max_size=30) | several_lines()
reasons: tuple[FaultReason, ...] = get_args(FaultReason)
# one call of twenty fails
faults = st.sampled_from([None] * 19 + ["any"]).flatmap(
    lambda fault: st.none() if fault is None else st.sampled_from(reasons)
)
many = settings(max_examples=100)


@st.composite
def worlds(draw: st.DrawFn) -> SplitEngines:
    """Engines that write anything, score anything, and fail in any way."""
    fakes = SplitEngines()
    fakes.student.text = draw(several_lines() | texts)
    fakes.samples.samples = tuple(draw(st.lists(texts, max_size=4)))
    fakes.global_refiner.text = draw(texts)
    fakes.local_refiner.text = draw(several_lines() | texts)
    steps = len(split_steps(fakes.student.text.strip()))
    scores = st.floats(0.0, 1.0)
    good = min(steps, draw(st.sampled_from([1, 1, 2, 3, 0])))  # steps before the first error
    rest = draw(st.lists(scores, min_size=steps - good, max_size=steps - good))
    fakes.sorm.scores = (*[0.9] * good, *([0.2, *rest[1:]] if draw(st.booleans()) else rest))[
        :steps
    ]
    fakes.orm.singly = draw(st.booleans())
    for engine in fakes.all():
        engine.fault = draw(faults)
        engine.extra_calls = draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
        engine.repeated_calls = draw(st.sampled_from([0, 0, 0, 1, 2]))
        if isinstance(engine, FakeGenerator):
            engine.reported_tokens = draw(st.integers(0, 150))  # perhaps more than it was granted
    return fakes


def outcome_of(fakes: SplitEngines, chosen: Job) -> Solved | None:
    ended = end_of(fakes, chosen)
    return ended if isinstance(ended, Solved) else None


def end_of(fakes: SplitEngines, chosen: Job) -> Solved | NoDraftError:
    try:
        return asyncio.run(refine(chosen, fakes.engines(), ManualClock()))
    except NoDraftError as error:
        return error


jobs = st.builds(
    job,
    strategy=st.sampled_from([*Strategy, Strategy.GLORE, Strategy.GATED, Strategy.LOCAL]),
    max_calls=st.sampled_from([20, 20, 20, *range(1, 13)]),
    max_generated_tokens=st.sampled_from([10_000, 10_000, 10_000]) | st.integers(1, 1000),
    n=st.integers(2, 5),
)


def test_the_cases_that_matter_are_among_those_that_are_drawn() -> None:
    """A property that is seldom reached shows little: these are counted.

    Hypothesis also draws constants of the modules that are loaded, so counts differ between runs.
    """
    reached: Counter[str] = Counter()

    @settings(max_examples=600, derandomize=True, database=None)
    @given(worlds(), jobs)
    def look(fakes: SplitEngines, chosen: Job) -> None:
        outcome = outcome_of(fakes, chosen)
        if outcome is None:
            return
        held = outcome.state.candidates
        locals_ = [each for each in held if each.kind is CandidateKind.LOCAL]
        reached["several candidates"] += len(held) > 1
        reached["local refinement"] += bool(locals_)
        reached["prefix"] += any(each.completion_offset for each in locals_)
        reached["prefix with blank lines"] += any(
            "\n\n" in each.solution[: each.completion_offset].replace("\r", "").replace(" ", "")
            for each in locals_
        )
        reached["degraded"] += bool(outcome.state.degraded)

    look()
    assert min(reached[case] for case in ("several candidates", "degraded")) >= 20, reached
    assert min(reached[case] for case in ("local refinement", "prefix")) >= 20, reached
    assert reached["prefix with blank lines"] >= 5, reached


@many
@given(worlds(), jobs)
def test_the_text_before_the_first_error_is_stored_byte_for_byte(
    fakes: SplitEngines, chosen: Job
) -> None:
    outcome = outcome_of(fakes, chosen)
    count = first_error_step(outcome.state) if outcome is not None else None
    if outcome is None or count is None:
        return
    draft = outcome.draft.solution
    stored = prefix_before(draft, count)
    for candidate in outcome.state.candidates:
        if candidate.kind is CandidateKind.LOCAL:
            assert candidate.solution.encode().startswith(stored.encode())
            assert candidate.solution[: candidate.completion_offset] == stored
            assert candidate.solution[len(stored) :] == fakes.local_refiner.text.strip()
            before, after = split_steps(draft), split_steps(candidate.solution)
            assert [step.text for step in after[:count]] == [step.text for step in before[:count]]
            (request,) = fakes.local_refiner.requests
            assert str(request.prompt).endswith("Solution:\n" + stored)
    assert outcome.critique is not None
    assert outcome.critique.replace(f"{BAD} ", "", 1) == draft


@many
@given(worlds(), jobs)
def test_there_is_an_answer_whenever_there_is_a_draft(fakes: SplitEngines, chosen: Job) -> None:
    outcome = outcome_of(fakes, chosen)
    draft = fakes.student
    drafted = draft.fault is None and draft.text.strip()
    if drafted:
        assert outcome is not None
    if outcome is not None:
        assert outcome.selected.solution.strip()
        assert outcome.draft.kind is CandidateKind.DRAFT


@many
@given(worlds(), jobs)
def test_what_the_engines_saw_is_what_is_counted_and_within_the_caps(
    fakes: SplitEngines, chosen: Job
) -> None:
    check_spending(fakes, chosen)


@many
@given(worlds(), jobs)
def test_an_orm_that_needs_a_call_for_each_candidate_is_requested_only_when_they_are_there(
    fakes: SplitEngines, chosen: Job
) -> None:
    fakes.orm.singly = True
    end_of(fakes, chosen)
    assert fakes.orm.denied == 0


@settings(max_examples=40, deadline=None)
@given(worlds(), jobs, st.lists(st.booleans(), min_size=6, max_size=6))
def test_so_it_is_when_engines_hang_until_time_is_up(
    fakes: SplitEngines, chosen: Job, hang: list[bool]
) -> None:
    for engine, hangs in zip(fakes.all(), hang, strict=True):
        engine.hangs = hangs
    check_spending(fakes, replace(chosen, budget=replace(chosen.budget, deadline=0.02)))


def check_spending(fakes: SplitEngines, chosen: Job) -> None:
    """Calls and tokens are within the caps, and told: those that nobody saw as lost."""
    state = end_of(fakes, chosen).state
    calls = sum(engine.calls for engine in fakes.all())
    assert state.engine_calls == calls <= chosen.budget.max_calls
    assert sum(cost.engine_calls for cost in state.costs) == calls
    tokens = sum(engine.generated_tokens for engine in fakes.all())
    reported = state.generated_tokens + state.lost_tokens
    assert state.generated_tokens <= tokens <= reported <= chosen.budget.max_generated_tokens
    assert sum(cost.generated_tokens for cost in state.costs) == state.generated_tokens


@many
@given(worlds(), jobs)
def test_the_draft_is_first_and_no_two_lines_are_joined(fakes: SplitEngines, chosen: Job) -> None:
    outcome = outcome_of(fakes, chosen)
    if outcome is None:
        return
    assert fakes.student.requests[0].prompt == student_prompt(chosen.question)
    for candidate in outcome.state.candidates:
        offset = candidate.completion_offset
        assert offset == 0 or candidate.solution[offset - 1] == "\n"
        for step, following in pairwise(split_steps(candidate.solution)):
            assert step.end <= following.start
