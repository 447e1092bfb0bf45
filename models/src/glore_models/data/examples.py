"""What models learn from: prompts with completions, solutions with labels of their steps."""

from dataclasses import dataclass

from glore.formats.prompts import student_prompt
from glore_models.data.problems import Problem


@dataclass(frozen=True, slots=True)
class CompletionExample:
    """Text to continue and its continuation; the loss is on the continuation and its end."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class ScoreExample:
    """A solution with one label per step: 1 good, 0 bad, -1 no label (no loss)."""

    question: str
    steps: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScorePair:
    """A right and a wrong solution of one question. The labels are those of `ScoreExample`."""

    right: ScoreExample
    wrong: ScoreExample


def sft_example(problem: Problem) -> CompletionExample:
    """The worked solution as the student is to write it."""
    return CompletionExample(student_prompt(problem.question), problem.solution)
