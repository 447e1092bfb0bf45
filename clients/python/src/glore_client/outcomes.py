"""How one of many questions ended."""

from dataclasses import dataclass
from typing import TypeAlias

from glore_client.errors import GloreError
from glore_client.questions import Question
from glore_client.results import SolveResult


@dataclass(frozen=True, slots=True)
class Answered:
    """It has a result. `index` is its place among the questions, from 0."""

    index: int
    question: Question
    result: SolveResult


@dataclass(frozen=True, slots=True)
class Failed:
    """It has none, and why. The other questions go on."""

    index: int
    question: Question
    error: GloreError


Outcome: TypeAlias = Answered | Failed
