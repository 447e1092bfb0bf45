"""The sampling stages: solutions of problems, and rollouts of their prefixes.

Both append to their file as they go, so a killed stage goes on where it was.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from glore.formats.answers import parse_answer
from glore.formats.prompts import continuation_prompt, student_prompt
from glore_models.data.files import append_jsonl, read_jsonl
from glore_models.data.problems import Problem, Split, text_key
from glore_models.data.resume import keep_whole_groups, restore_order
from glore_models.data.rollouts import (
    PrefixRollouts,
    StudentSample,
    is_right,
    make_sample,
    steps_of,
)
from glore_models.data.sources import ProblemCounts, load_counted
from glore_models.recipes.run import Counts
from glore_models.sampling.port import Rollout, Sampler, SamplingParams, finished

_CHUNK = 64  # prompts between two writes


def tier_problems(
    counts: ProblemCounts,
    split: Split,
    without: Sequence[Problem] = (),
    gsm8k: Path | None = None,
    counted: Counter[str] | None = None,
) -> list[Problem]:
    """The problems of every source from one split, less those whose question is in `without`.

    `counted` gets what each filter took out, as `load_counted` says, and how many were `known`: in
    `without`.
    """
    counted = Counter() if counted is None else counted
    problems = load_counted(counts, split, gsm8k, counted)
    known = {text_key(problem.question) for problem in without}
    left = [problem for problem in problems if text_key(problem.question) not in known]
    counted["known"] += len(problems) - len(left)
    return left


def sample_solutions(
    problems: Sequence[Problem],
    sampler: Sampler,
    out: Path,
    drawing: SamplingParams,
) -> Counts:
    """Solutions of each problem, appended to `out` as `StudentSample` rows.

    A solution cut off at the token limit counts as wrong (it states no answer).
    """
    done = keep_whole_groups(out, StudentSample, lambda row: row.problem, drawing.n)
    left = [problem for problem in problems if problem.id not in done]
    with tqdm(total=len(problems), initial=len(done), desc=out.stem, unit="problem") as bar:
        prompts = [student_prompt(problem.question) for problem in left]
        for several in finished(sampler, prompts, drawing, _CHUNK):
            append_jsonl(
                out,
                (
                    make_sample(p.id, p.question, p.answer, rollout.text, rollout.tokens)
                    for p, rollouts in ((left[index], drawn) for index, drawn in several)
                    for rollout in rollouts
                ),
            )
            bar.update(len(several))
    append_jsonl(out, ())  # without a problem there is a file too: later stages read it
    rows = list(read_jsonl(out, StudentSample))
    restore_order(out, rows, (problem.id for problem in problems), lambda row: row.problem)
    return {
        "problems": len(problems),
        "samples": len(rows),
        "right": sum(row.right for row in rows),
        "tokens": sum(row.tokens for row in rows),
    }


def choose_labelled(
    samples: Sequence[StudentSample], n: int, wrong_share: float, seed: int
) -> list[StudentSample]:
    """Up to `n` different samples with at least two steps, `wrong_share` of them wrong.

    One that states no answer was cut off at the token limit: what follows its prefixes would
    be cut off too, so it is not labelled.
    """
    rng = random.Random(seed)
    different = {(s.problem, s.solution): s for s in samples if len(steps_of(s.solution)) > 1}
    wrong = [s for s in different.values() if not s.right]
    right = [s for s in different.values() if s.right]
    rng.shuffle(wrong)
    rng.shuffle(right)
    wrong = [s for s in wrong if parse_answer(s.solution) is not None]
    chosen = wrong[: round(n * wrong_share)]
    return chosen + right[: n - len(chosen)]


def roll_out_prefixes(
    samples: Sequence[StudentSample],
    sampler: Sampler,
    out: Path,
    drawing: SamplingParams,
) -> Counts:
    """Rollouts of every prefix (1..steps-1) of each sample, appended as `PrefixRollouts`.

    A prefix that several solutions of a problem share is rolled out once; each of them has a row
    with what came out, and one of those rows has the tokens.
    """
    before = list(read_jsonl(out, PrefixRollouts)) if out.exists() else []
    drawn = {row.prefix: row for row in before}
    done = set(map(_cut, before))
    every = list(_unrolled(samples))
    wanted: dict[tuple[str, str], list[PrefixRollouts]] = defaultdict(list)
    for row in every:
        if _cut(row) not in done:
            wanted[row.prefix].append(row)
    rolled = [(row, drawn[each]) for each in wanted if each in drawn for row in wanted[each]]
    # without a prefix there is a file too: later stages read it
    append_jsonl(out, (_same(row, whole) for row, whole in rolled))
    prefixes = [each for each in wanted if each not in drawn]
    with tqdm(
        total=len(drawn) + len(prefixes), initial=len(drawn), desc=out.stem, unit="prefix"
    ) as bar:
        prompts = [continuation_prompt(wanted[each][0].question, each[1]) for each in prefixes]
        for several in finished(sampler, prompts, drawing, _CHUNK):
            new: list[PrefixRollouts] = []
            for index, rollouts in several:
                first, *others = wanted[prefixes[index]]
                whole = _rolled_out(first, rollouts)
                new += (whole, *(_same(row, whole) for row in others))
            append_jsonl(out, new)
            bar.update(len(several))
    rows = list(read_jsonl(out, PrefixRollouts))
    restore_order(out, rows, map(_cut, every), _cut)
    different = {row.prefix: row for row in rows}
    return {
        "solutions": len(samples),
        "prefixes": len(rows),
        "different_prefixes": len(different),
        "rollouts": sum(len(row.right) for row in different.values()),
        "tokens": sum(row.tokens for row in rows),
    }


def _cut(row: PrefixRollouts) -> tuple[str, str, int]:
    """Which solution of which problem, and where it was cut."""
    return row.problem, row.solution, row.kept


def _unrolled(samples: Sequence[StudentSample]) -> Iterator[PrefixRollouts]:
    """A row for each prefix of each sample, without continuations."""
    for sample in samples:
        for steps_before in range(1, len(steps_of(sample.solution))):
            yield PrefixRollouts(
                sample.problem,
                sample.question,
                sample.answer,
                sample.solution,
                steps_before,
                (),
                (),
            )


def _rolled_out(row: PrefixRollouts, rollouts: Sequence[Rollout]) -> PrefixRollouts:
    _, prefix = row.prefix
    return replace(
        row,
        continuations=tuple(rollout.text.strip() for rollout in rollouts),
        right=tuple(is_right(prefix + rollout.text, row.answer) for rollout in rollouts),
        tokens=sum(rollout.tokens for rollout in rollouts),
    )


def _same(row: PrefixRollouts, other: PrefixRollouts) -> PrefixRollouts:
    """What came out for the other, which has the same prefix."""
    return replace(row, continuations=other.continuations, right=other.right)


def shuffled(samples: Sequence[StudentSample], seed: int) -> list[StudentSample]:
    """The samples in an order fixed by `seed`."""
    return random.Random(seed).sample(samples, len(samples))
