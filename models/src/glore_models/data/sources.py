"""Where problems come from: `gsm_symbolic` by seed, GSM8K-format JSONL, arithmetic drills.

Two things are held out of `gsm_symbolic`: numbers (one question in ten is for test, by its
text) and whole templates (15 of 85, for test alone, whatever the numbers).

Sources: reasoning-gym's `gsm_symbolic` (its templates are those of GSM-Symbolic, Mirzadeh
et al. 2024, and come from 100 GSM8K *test* questions); GSM8K, Cobbe et al. 2021.
"""

import hashlib
import itertools
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glore_models.data.files import FormatError, read_user_rows, text_in
from glore_models.data.problems import (
    TEMPLATE,
    Problem,
    Split,
    is_easy,
    make_problem,
    split_of,
    text_key,
)

_LINE = "a GSM8K line"
_SUFFIX = " Give the result as your final answer. Do not include units."
_BLOCK = 50_000  # problems at a time; seeds are spread so that the blocks of two never overlap
_FAR = 10**12  # from one block of a seed to its next: past the first blocks of all smaller seeds
_BLOCKS = 20  # of one seed at most
HELD_OUT_TEMPLATES = 15
SYMBOLIC = ("easy", "all", "templates_easy", "templates_all")


class SourceError(ValueError):
    """A source is not in its format, or holds too few problems; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemCounts:
    """How many problems of each source, from `seed` on.

    `easy` and `all` are tiers of gsm_symbolic, `gsm8k` those of a GSM8K-format file, `drills`
    sheets of arithmetic, which the student's first problems alone have.
    """

    easy: int
    all: int
    gsm8k: int = 0
    drills: int | None = None
    seed: int


def mix(
    counts: ProblemCounts, gsm8k: Path | None, counted: Counter[str] | None = None
) -> list[Problem]:
    """Problems of the training split and drills, shuffled; `gsm8k`, `counted`: `load_counted`."""
    counted = Counter() if counted is None else counted
    problems = load_counted(counts, "train", gsm8k, counted)
    problems += itertools.islice(drills(counts.seed + 3), counts.drills or 0)
    random.Random(counts.seed).shuffle(problems)
    return problems


def load_counted(
    counts: ProblemCounts, split: Split, gsm8k: Path | None, counted: Counter[str]
) -> list[Problem]:
    """The problems of each source, each with a seed of its own: the first, the next, the third.

    Without a GSM8K file its share falls to gsm_symbolic. `counted` gets what `load` counts, with
    the source before it: `easy_candidates`.
    """
    wanted = {
        "easy": ("easy", counts.easy),
        "all": ("all", counts.all if gsm8k else counts.all + counts.gsm8k),
        "gsm8k": (str(gsm8k), counts.gsm8k if gsm8k else 0),
    }
    problems = []
    for seed, (name, (source, n)) in enumerate(wanted.items(), start=counts.seed):
        if n:
            own: Counter[str] = Counter()
            problems += load(source, n, seed, split, counted=own)
            counted.update({f"{name}_{key}": count for key, count in own.items()})
    return problems


def load(
    source: str,
    n: int | None,
    seed: int,
    split: Split | None = "test",
    *,
    counted: Counter[str] | None = None,
) -> list[Problem]:
    """`n` different problems of one split. None: all that a file holds, of all splits.

    `source` is "easy" or "all" (tiers of gsm_symbolic), "templates_easy" or
    "templates_all" (the same of its held-out templates: all of them are for test), or the
    path of a JSONL file in GSM8K's format. `counted` gets how many `candidates` were looked at
    and how many each filter took out: of `other_templates`, `without_answer`, of the
    `other_tier`, of an `other_split`, `duplicates`; the rest are `taken`. Of a file, lines that are
    no candidates are counted too: `blank_lines`, and those `without_answer`. Raises OSError, or
    SourceError when the source holds too few or is not in the format.
    """
    own: Counter[str] = Counter()
    of_file: Counter[str] = Counter()
    if source in SYMBOLIC:
        if n is None:
            message = f"{source} has no end: say how many problems"
            raise SourceError(message)
        candidates = gsm_symbolic(
            seed,
            keep=is_easy if source.endswith("easy") else None,
            held_out=source.startswith("templates"),
            counted=own,
        )
    else:
        candidates = iter(_shuffled(list(gsm8k(Path(source), of_file)), seed))
    if source.startswith("templates_"):
        different = unique(candidates, counted=own) if split in {"test", None} else iter(())
    else:
        different = unique(candidates, split, counted=own)
    problems = list(itertools.islice(different, n))
    own["taken"] = len(problems)
    if counted is not None:
        counted.update({"candidates": own.total(), **own, **of_file})
    if len(problems) < (n or 1):
        raise too_few(source, len(problems), n, split, own + of_file)
    return problems


def too_few(
    source: str, found: int, wanted: int | None, split: Split | None, counted: Counter[str]
) -> SourceError:
    """The error that a source holds no more than `found` problems, with what was left out."""
    of_split = f" of split {split}" if split else ""
    but = f", not {wanted}" if wanted else ""
    reasons = left_out(counted)
    of_file = f" ({reasons})" if reasons and source not in SYMBOLIC else ""
    return SourceError(f"{source} holds {found} problems{of_split}{but}{of_file}")


def left_out(counted: Counter[str]) -> str:
    """What the filters took out of a file, for people; empty when they took nothing."""
    reasons = {
        "blank_lines": "blank",
        "without_answer": "without one number as answer",
        "duplicates": "with a question that came before",
        "other_split": "of another split",
    }
    parts = [f"{counted[name]} {reason}" for name, reason in reasons.items() if counted[name]]
    return f"left out: {', '.join(parts)}" if parts else ""


def unique(
    problems: Iterator[Problem],
    split: Split | None = None,
    *,
    counted: Counter[str] | None = None,
) -> Iterator[Problem]:
    """Each question once; those of `split` alone when one is named. `counted` as in `load`."""
    counted = Counter() if counted is None else counted
    seen: set[str] = set()
    for problem in problems:
        key = text_key(problem.question)
        if split not in (None, split_of(problem.question)):
            counted["other_split"] += 1
        elif key in seen:
            counted["duplicates"] += 1
        else:
            seen.add(key)
            yield problem


def held_out_templates(templates: Sequence[int]) -> frozenset[int]:
    """The templates that no training or validation problem comes from: by hash, so for good."""

    def digest(template: int) -> str:
        return hashlib.sha256(f"gsm_symbolic template {template}".encode()).hexdigest()

    return frozenset(sorted(set(templates), key=digest)[:HELD_OUT_TEMPLATES])


def gsm_symbolic(
    seed: int,
    keep: Callable[[Problem], bool] | None = None,
    *,
    held_out: bool = False,
    counted: Counter[str] | None = None,
) -> Iterator[Problem]:
    """Up to a million generated problems, the same in the same order for the same seed.

    Those of the held-out templates alone, or all but those. `source` names the template. One
    whose solution states no answer is left out. `counted` as in `load`.

    reasoning-gym draws item i of seed s from `Random(s + i)`, so neighbouring seeds would
    share problems: seeds (up to 20 million) are spread by the size of a block. A seed's first
    block is what it always was; the others, which begin where it ends, lie far behind.
    """
    with warnings.catch_warnings():
        # a package it loads compares with `is`: nothing for our users to see
        warnings.simplefilter("ignore", SyntaxWarning)
        import reasoning_gym
        from reasoning_gym.arithmetic.gsm_symbolic.gsm_symbolic import tasks_ok

    counted = Counter() if counted is None else counted
    apart = held_out_templates(tasks_ok)
    for block in range(_BLOCKS):
        first = seed * _BLOCK + block * _FAR
        dataset = reasoning_gym.create_dataset("gsm_symbolic", seed=first, size=_BLOCK)
        for index, template in enumerate(dataset.task_indices):
            if (template in apart) != held_out:
                counted["other_templates"] += 1
                continue
            entry = dataset[index]
            source = f"{TEMPLATE}{template}"
            problem = make_problem(
                id_=f"gsm_symbolic-{seed}-{block * _BLOCK + index}",
                question=entry["question"].removesuffix(_SUFFIX),
                solution=entry["metadata"]["answer_cot"],
                source=source,
            )
            if problem is None:
                counted["without_answer"] += 1
            elif keep is None or keep(problem):
                yield problem
            else:
                counted["other_tier"] += 1


def gsm8k(path: Path, counted: Counter[str] | None = None) -> Iterator[Problem]:
    """The problems of a JSONL file with `question` and `answer` (worked, `#### n` last).

    Those whose answer is not one number, a fraction for example, are left out, and counted
    `without_answer`. Raises OSError, or SourceError naming the line that is not in the format.
    """
    counted = Counter() if counted is None else counted
    try:
        for number, row in read_user_rows(path, _LINE, counted):
            where = f"{path.name}:{number}: not {_LINE}"
            problem = make_problem(
                id_=f"{path.stem}-{number}",
                question=text_in(row, "question", where),
                solution=text_in(row, "answer", where),
                source=path.stem,
            )
            if problem:
                yield problem
            else:
                counted["without_answer"] += 1
    except FormatError as error:
        raise SourceError(str(error)) from error


def drills(seed: int, lines: int = 8, largest: int = 60) -> Iterator[Problem]:
    """Endless sheets of `lines` small sums, one a line: the arithmetic the student slips on."""
    rng = random.Random(seed)
    for index in itertools.count():
        sums = [_sum(rng, largest) for _ in range(lines)]
        sums_text = ", ".join(left for left, _ in sums)
        worked = [f"{left} = {right}" for left, right in sums]
        solution = "\n".join([*worked, f"#### {sums[-1][1]}"])
        problem = make_problem(
            id_=f"drill-{seed}-{index}",
            question=f"Work out in order: {sums_text}.",
            solution=solution,
            source="drill",
        )
        if problem:
            yield problem


def _sum(rng: random.Random, largest: int) -> tuple[str, int]:
    kind = rng.choice("+-*/")
    if kind == "+":
        a = rng.randint(1, largest)
        b = rng.randint(1, largest)
        return f"{a} + {b}", a + b
    if kind == "-":
        a = rng.randint(2, 2 * largest)
        b = rng.randint(1, a)
        return f"{a} - {b}", a - b
    a, b = rng.randint(2, 12), rng.randint(2, max(2, 2 * largest // 12))
    if kind == "*":
        sign = rng.choice(["*", "x"])
        left, right = rng.sample([a, b], 2)
        return f"{left} {sign} {right}", a * b
    return f"{a * b} / {a}", b


def _shuffled(problems: list[Problem], seed: int) -> list[Problem]:
    random.Random(seed).shuffle(problems)
    return problems
