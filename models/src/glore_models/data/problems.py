"""A problem with its worked solution, and the split it belongs to for good.

The split is a hash of the normalised question, so a question that two seeds both generate
still falls into one split, and no test question can enter training by chance.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from glore.formats.answers import parse_answer
from glore.formats.prompts import normalise_question
from glore.formats.steps import split_steps

Split: TypeAlias = Literal["train", "validation", "test"]

TEMPLATE: Final = "gsm_symbolic/"  # begins the source of a problem made from a template
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_MARKS = re.compile(r"<<(?>(?:[^<>]|<(?!<))*)>>")
EASY_LARGEST = 60
EASY_STEPS = 5  # the answer line included


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its right answer (plain number) and one worked solution.

    `solution` has one step per line and ends with `#### answer`; `source` names the
    generator and template group or the file it came from.
    """

    id: str
    question: str
    answer: str
    solution: str
    source: str


def make_problem(*, id_: str, question: str, solution: str, source: str) -> Problem | None:
    """A problem from raw text, calculator marks taken out; None if it states no one number."""
    lines = [step.text for step in split_steps(_MARKS.sub("", solution))]
    text = "\n".join(lines)
    answer = parse_answer(text)
    if answer is None:
        return None
    return Problem(id_, normalise_question(question), answer, text, source)


def text_key(question: str) -> str:
    """The question as it counts for "the same question": case and white space apart."""
    return normalise_question(question).casefold()


def split_of(question: str) -> Split:
    """One question in ten is for test, one in ten for validation, by hash of its text."""
    bucket = hashlib.sha256(text_key(question).encode()).digest()[0] % 10
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"


def largest_number(problem: Problem) -> float:
    """The largest number written in question or solution; 0 if there is none."""
    found = _NUMBER.findall(f"{problem.question} {problem.solution}")
    return max((float(text.replace(",", "")) for text in found), default=0.0)


def is_easy(problem: Problem) -> bool:
    """The easy tier: no number over 60, at most four steps and the answer, whole answer."""
    return (
        largest_number(problem) <= EASY_LARGEST
        and len(split_steps(problem.solution)) <= EASY_STEPS
        and problem.answer.isdigit()
    )
