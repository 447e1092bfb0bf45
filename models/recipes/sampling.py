"""The sampling stages: solutions of problems, and rollouts of their prefixes.

Both append to their file as they go, so a killed stage goes on where it was.
"""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from models.data.files import append_jsonl, read_jsonl, write_jsonl
from models.data.problems import Problem, Split, text_key
from models.data.rollouts import PrefixRollouts, Sample, is_right, make_sample, steps_of
from models.formats.answers import parse_answer
from models.formats.prompts import continuation_prompt, student_prompt
from models.formats.steps import closed, prefix_before
from models.recipes.mixture import load_counted
from models.recipes.recipe import Tiers
from models.recipes.run import Counts
from models.sampling.port import Drawing, Sampler, finished

_CHUNK = 64  # prompts between two writes


def tier_problems(
    tiers: Tiers,
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
    problems = load_counted(tiers, split, gsm8k, counted)
    known = {text_key(problem.question) for problem in without}
    left = [problem for problem in problems if text_key(problem.question) not in known]
    counted["known"] += len(problems) - len(left)
    return left


def sample_solutions(
    problems: Sequence[Problem],
    sampler: Sampler,
    out: Path,
    drawing: Drawing,
) -> Counts:
    """Solutions of each problem, appended to `out` as `Sample` rows.

    A solution cut off at the token limit counts as wrong (it states no answer).
    """
    done = _sampled(out, drawing.n)
    left = [problem for problem in problems if problem.id not in done]
    with tqdm(total=len(problems), initial=len(done), desc=out.stem, unit="problem") as bar:
        prompts = [student_prompt(problem.question) for problem in left]
        for several in finished(sampler, prompts, drawing, _CHUNK):
            append_jsonl(
                out,
                (
                    make_sample(p.id, p.question, p.answer, rollout.text, rollout.tokens)
                    for p, rollouts in ((left[place], drawn) for place, drawn in several)
                    for rollout in rollouts
                ),
            )
            bar.update(len(several))
    append_jsonl(out, ())  # without a problem there is a file too: later stages read it
    rows = list(read_jsonl(out, Sample))
    return {
        "problems": len(problems),
        "samples": len(rows),
        "right": sum(row.right for row in rows),
        "tokens": sum(row.tokens for row in rows),
    }


def _sampled(out: Path, n: int) -> set[str]:
    """The problems that have all their `n` samples; the rows of one that a kill cut off go."""
    if not out.exists():
        return set()
    rows = list(read_jsonl(out, Sample))
    counts = Counter(row.problem for row in rows)
    whole = {problem for problem, count in counts.items() if count >= n}
    if len(whole) < len(counts):
        write_jsonl(out, (row for row in rows if row.problem in whole))
    return whole


def choose_labelled(
    samples: Sequence[Sample], n: int, wrong_share: float, seed: int
) -> list[Sample]:
    """Up to `n` different samples with at least two steps, `wrong_share` of them wrong.

    One that states no answer was cut off at the token limit: what follows its prefixes would
    be cut off too, so it is not labelled.
    """
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    different = {(s.problem, s.solution): s for s in samples if len(steps_of(s.solution)) > 1}
    wrong = [s for s in different.values() if not s.right]
    right = [s for s in different.values() if s.right]
    rng.shuffle(wrong)
    rng.shuffle(right)
    wrong = [s for s in wrong if parse_answer(s.solution) is not None]
    chosen = wrong[: round(n * wrong_share)]
    return chosen + right[: n - len(chosen)]


def roll_out_prefixes(
    samples: Sequence[Sample],
    sampler: Sampler,
    out: Path,
    drawing: Drawing,
) -> Counts:
    """Rollouts of every prefix (1..steps-1) of each sample, appended as `PrefixRollouts`."""
    before = list(read_jsonl(out, PrefixRollouts)) if out.exists() else []
    done = {(row.problem, row.solution, row.kept) for row in before}
    wanted = [
        (sample, kept)
        for sample in samples
        for kept in range(1, len(steps_of(sample.solution)))
        if (sample.problem, sample.solution, kept) not in done
    ]
    with tqdm(
        total=len(wanted) + len(done), initial=len(done), desc=out.stem, unit="prefix"
    ) as bar:
        prefixes = [closed(prefix_before(sample.solution, kept)) for sample, kept in wanted]
        prompts = [
            continuation_prompt(sample.question, prefix)
            for (sample, _), prefix in zip(wanted, prefixes, strict=True)
        ]
        for several in finished(sampler, prompts, drawing, _CHUNK):
            chunk = [(*wanted[place], prefixes[place], drawn) for place, drawn in several]
            append_jsonl(
                out,
                (
                    PrefixRollouts(
                        problem=sample.problem,
                        question=sample.question,
                        answer=sample.answer,
                        solution=sample.solution,
                        kept=kept,
                        continuations=tuple(rollout.text.strip() for rollout in rollouts),
                        right=tuple(
                            is_right(prefix + rollout.text, sample.answer) for rollout in rollouts
                        ),
                        tokens=sum(rollout.tokens for rollout in rollouts),
                    )
                    for sample, kept, prefix, rollouts in chunk
                ),
            )
            bar.update(len(chunk))
    append_jsonl(out, ())  # without a prefix there is a file too: later stages read it
    rows = list(read_jsonl(out, PrefixRollouts))
    return {
        "solutions": len(samples),
        "prefixes": len(rows),
        "rollouts": sum(len(row.right) for row in rows),
        "tokens": sum(row.tokens for row in rows),
    }


def shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """The samples in an order fixed by `seed`."""
    return random.Random(seed).sample(samples, len(samples))  # noqa: S311 - not for secrets
