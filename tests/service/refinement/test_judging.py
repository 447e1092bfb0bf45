"""What is known of one candidate."""

from dataclasses import replace

import pytest

from glore.refinement.judging import first_error, passes
from glore.refinement.types import CandidateKind, State
from tests.service.refinement.builders import checked, job


def scored(*scores: float) -> State:
    draft = checked(CandidateKind.DRAFT, "\n".join("a" * len(scores)))
    return State(job(gate=0.5), candidates=(replace(draft, step_scores=scores),))


@pytest.mark.parametrize(
    ("scores", "passing"),
    [
        ((0.5, 0.9), True),
        ((0.9, 0.5), True),
        ((0.49, 0.9), False),
        ((0.9, 0.49), False),
        ((), False),
    ],
)
def test_a_candidate_passes_when_its_lowest_step_reaches_the_gate(
    scores: tuple[float, ...], *, passing: bool
) -> None:
    assert passes(scored(*scores), 0) is passing


def test_a_step_at_the_threshold_is_no_error() -> None:
    assert first_error(scored(0.5, 0.5)) is None
    error = first_error(scored(0.5, 0.49))
    assert error is not None
    assert (error.step, error.found_by) == (1, "sorm")
