"""Solutions sampled from the student, and what continuing their prefixes shows."""

from dataclasses import dataclass

from glore.formats.answers import parse_answer, same_answer
from glore.formats.steps import closed, prefix_before, split_steps


@dataclass(frozen=True, slots=True)
class StudentSample:
    """One solution that the student wrote for a problem, right or wrong."""

    problem: str
    question: str
    answer: str  # the right answer
    solution: str
    right: bool
    tokens: int = 0  # generated


@dataclass(frozen=True, slots=True)
class PrefixRollouts:
    """The student's continuations of the first `kept` steps of a sample.

    `continuations` and `right` have the same length, K.
    """

    problem: str
    question: str
    answer: str
    solution: str  # the sample the prefix was cut from
    kept: int
    continuations: tuple[str, ...]
    right: tuple[bool, ...]
    tokens: int = 0  # generated, by all K; 0 where another solution's row has the same prefix

    @property
    def prefix(self) -> tuple[str, str]:
        """What was continued: the problem and the text, which other solutions may share."""
        return self.problem, closed(prefix_before(self.solution, self.kept))


def make_sample(
    problem: str, question: str, answer: str, text: str, tokens: int = 0
) -> StudentSample:
    """A sample with its outcome: right when the stated answer is the right one."""
    solution = text.strip()
    return StudentSample(problem, question, answer, solution, is_right(solution, answer), tokens)


def is_right(solution: str, answer: str) -> bool:
    """Whether a whole solution states the right answer."""
    return same_answer(parse_answer(solution), answer)


def steps_of(solution: str) -> tuple[str, ...]:
    """The texts of the steps of a solution."""
    return tuple(step.text for step in split_steps(solution))
