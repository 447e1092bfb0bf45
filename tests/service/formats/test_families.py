"""The families by name."""

from typing import get_args

import pytest

from glore.formats.chat import ChatPrompts
from glore.formats.families import (
    PROMPTS,
    OutcomeFamily,
    StepFamily,
    WriterFamily,
    outcome_scores,
    step_scores,
)
from glore.formats.likelihood import LikelihoodScores
from glore.formats.sequence_scores import SequenceScores
from glore.formats.writing import RoleFormats, TrainedPrompts


@pytest.mark.parametrize("family", get_args(StepFamily))
def test_every_stepwise_family_separates_its_steps(family: StepFamily) -> None:
    scores = step_scores(family, 1)
    assert outcome_scores(family, 1).__class__ is scores.__class__
    one, two = (scores.encode("How many?", steps) for steps in (["One."], ["One.", "#### 2"]))
    assert len(two) > len(one)


def test_a_familys_name_leads_to_its_format() -> None:
    assert set(PROMPTS) == set(get_args(WriterFamily))
    assert isinstance(PROMPTS["chat"], ChatPrompts)
    assert set(get_args(OutcomeFamily)) == {*get_args(StepFamily), "sequence", "likelihood"}
    assert isinstance(outcome_scores("sequence", 1), SequenceScores)
    assert isinstance(outcome_scores("likelihood", 1), LikelihoodScores)


def test_roles_are_this_projects_own_unless_said_otherwise() -> None:
    formats = RoleFormats()
    for role in (formats.student, formats.global_refiner, formats.local_refiner):
        assert isinstance(role, TrainedPrompts)
