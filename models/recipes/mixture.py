"""The student's training mixture: problems of several sources, one completion each."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.data import sources
from models.data.problems import Problem, Split
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


def mix(mixture: Mixture, gsm8k: Path | None, counted: Counter[str] | None = None) -> list[Problem]:
    """The problems, shuffled. Without a GSM8K file its share falls to gsm_symbolic.

    `counted` gets what `sources.load` counts, with the source before it: `easy_candidates`.
    """
    seed = mixture.seed
    everything = mixture.all if gsm8k else mixture.all + mixture.gsm8k
    wanted = [("easy", "easy", mixture.easy, seed), ("all", "all", everything, seed + 1)]
    if gsm8k:
        wanted.append(("gsm8k", str(gsm8k), mixture.gsm8k, seed + 2))
    problems = load_counted(wanted, "train", Counter() if counted is None else counted)
    problems += itertools.islice(sources.drills(seed + 3), mixture.drills)
    random.Random(seed).shuffle(problems)  # noqa: S311 - not for secrets
    return problems


def load_counted(
    wanted: Iterable[tuple[str, str, int, int]], split: Split, counted: Counter[str]
) -> list[Problem]:
    """The problems of each (name, source, n, seed); `counted` gets what each filter took out."""
    problems = []
    for name, source, n, seed in wanted:
        own: Counter[str] = Counter()
        problems += sources.load(source, n, seed, split, counted=own)
        counted.update({f"{name}_{key}": count for key, count in own.items()})
    return problems


def sft_example(problem: Problem) -> CompletionExample:
    """The worked solution as the student is to write it."""
    return CompletionExample(student_prompt(problem.question), problem.solution)
