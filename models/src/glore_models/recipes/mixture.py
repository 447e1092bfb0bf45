"""The student's training mixture: problems of several sources, one completion each."""

import itertools
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glore.formats.prompts import student_prompt
from glore_models.data import sources
from glore_models.data.problems import Problem, Split
from glore_models.training.examples import CompletionExample

if TYPE_CHECKING:
    from glore_models.recipes.recipe import Tiers


@dataclass(frozen=True, slots=True)
class Mixture:
    """How many problems of each source; all from the training split."""

    easy: int
    all: int
    gsm8k: int
    drills: int
    seed: int


def mix(mixture: Mixture, gsm8k: Path | None, counted: Counter[str] | None = None) -> list[Problem]:
    """The problems, shuffled; GSM8K and `counted` as in `load_counted`."""
    counted = Counter() if counted is None else counted
    problems = load_counted(mixture, "train", gsm8k, counted)
    problems += itertools.islice(sources.drills(mixture.seed + 3), mixture.drills)
    random.Random(mixture.seed).shuffle(problems)
    return problems


def load_counted(
    sizes: "Mixture | Tiers", split: Split, gsm8k: Path | None, counted: Counter[str]
) -> list[Problem]:
    """The problems of each source, each with a seed of its own: the first, the next, the third.

    Without a GSM8K file its share falls to gsm_symbolic. `counted` gets what `sources.load`
    counts, with the source before it: `easy_candidates`.
    """
    wanted = {
        "easy": ("easy", sizes.easy),
        "all": ("all", sizes.all if gsm8k else sizes.all + sizes.gsm8k),
        "gsm8k": (str(gsm8k), sizes.gsm8k if gsm8k else 0),
    }
    problems = []
    for seed, (name, (source, n)) in enumerate(wanted.items(), start=sizes.seed):
        if n:
            own: Counter[str] = Counter()
            problems += sources.load(source, n, seed, split, counted=own)
            counted.update({f"{name}_{key}": count for key, count in own.items()})
    return problems


def sft_example(problem: Problem) -> CompletionExample:
    """The worked solution as the student is to write it."""
    return CompletionExample(student_prompt(problem.question), problem.solution)
