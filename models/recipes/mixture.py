"""The student's training mixture: problems of several sources, one completion each."""

import itertools
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from models.data import sources
from models.data.problems import Problem
from models.formats.prompts import student_prompt
from models.training.examples import CompletionExample


@dataclass(frozen=True, slots=True)
class Mixture:
    """How many problems of each source; all from the training split."""

    easy: int
    all: int
    gsm8k: int
    drills: int
    seed: int


def mix(
    mixture: Mixture, gsm8k: Path | None, without_answer: Counter[str] | None = None
) -> list[Problem]:
    """The problems, shuffled. Without a GSM8K file its share falls to gsm_symbolic.

    `without_answer` counts what was left out of gsm_symbolic, as `sources.gsm_symbolic` says.
    """
    seed = mixture.seed
    everything = mixture.all if gsm8k else mixture.all + mixture.gsm8k
    problems = sources.load("easy", mixture.easy, seed, "train", without_answer=without_answer)
    problems += sources.load("all", everything, seed + 1, "train", without_answer=without_answer)
    if gsm8k:
        problems += sources.load(str(gsm8k), mixture.gsm8k, seed + 2, "train")
    problems += itertools.islice(sources.drills(seed + 3), mixture.drills)
    random.Random(seed).shuffle(problems)  # noqa: S311 - not for secrets
    return problems


def sft_example(problem: Problem) -> CompletionExample:
    """The worked solution as the student is to write it."""
    return CompletionExample(student_prompt(problem.question), problem.solution)
