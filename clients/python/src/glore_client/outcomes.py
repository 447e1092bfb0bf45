"""How one of many questions ended."""

from dataclasses import dataclass
from typing import TypeAlias

from glore_client.errors import GloreError
from glore_client.questions import Question
from glore_client.results import SolveResult


@dataclass(frozen=True, slots=True)
class Answered:
    """It has a result. `index` counts the questions from 0."""

    index: int
    question: Question
    result: SolveResult


@dataclass(frozen=True, slots=True)
class Failed:
    """It has no result, but an error. The other questions continue."""

    index: int
    question: Question
    error: GloreError


Outcome: TypeAlias = Answered | Failed
