"""What the refiners learn from: a wrong solution beside a right one (GLoRe, section 4).

No new sampling: global pairs reuse the samples, local pairs the rollouts of the SORM.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from glore.formats.prompts import global_refiner_prompt, local_refiner_prompt
from glore.formats.steps import closed, prefix_before
from glore_models.data.examples import CompletionExample
from glore_models.data.labels import BAD, by_solution, make_consistent, raw_labels
from glore_models.data.rollouts import PrefixRollouts, StudentSample, make_sample, steps_of


@dataclass(frozen=True, slots=True)
class GlobalCounts:
    """Different wrong drafts, those without a right sample of their question, and all pairs."""

    drafts: int
    without_target: int
    pairs: int


def global_pairs(
    samples: Sequence[StudentSample],
    per_draft: int,
    seed: int,
    *,
    rollouts: Sequence[PrefixRollouts] = (),
    most: int | None = None,
) -> list[CompletionExample]:
    """(question, wrong sample) -> a right sample of the same question.

    At most `per_draft` different right samples for each different wrong one. Rollouts, with
    the prefix they continue, are samples too. Of more than `most` pairs, `most` at random.
    """
    return counted_global_pairs(samples, per_draft, seed, rollouts=rollouts, most=most)[0]


def counted_global_pairs(
    samples: Sequence[StudentSample],
    per_draft: int,
    seed: int,
    *,
    rollouts: Sequence[PrefixRollouts] = (),
    most: int | None = None,
) -> tuple[list[CompletionExample], GlobalCounts]:
    """`global_pairs`, and what they were chosen from, before `most` of them were drawn."""
    samples = [*samples, *_whole(rollouts)]
    rng = random.Random(seed)
    right: dict[str, dict[str, None]] = defaultdict(dict)
    wrong: dict[tuple[str, str], StudentSample] = {}
    for sample in samples:
        if sample.right:
            right[sample.problem][sample.solution] = None
        elif steps_of(sample.solution):
            wrong[sample.problem, sample.solution] = sample
    pairs = []
    for sample in wrong.values():
        targets = list(right[sample.problem])
        for target in rng.sample(targets, min(per_draft, len(targets))):
            prompt = global_refiner_prompt(sample.question, sample.solution)
            pairs.append(CompletionExample(prompt, target))
    chosen = rng.sample(pairs, most) if most is not None and most < len(pairs) else pairs
    without = sum(not right[sample.problem] for sample in wrong.values())
    return chosen, GlobalCounts(len(wrong), without, len(pairs))


def local_pairs(
    rollouts: Sequence[PrefixRollouts],
    samples: Sequence[StudentSample],
    per_draft: int | None,
    seed: int,
) -> list[CompletionExample]:
    """A draft whose first bad step is i -> a right continuation of its first i steps.

    At most `per_draft` drafts of each sample, or all of them (None). Drafts are the wrong sample
    itself and the wrong rollouts of its bad prefix; right continuations come from the rollouts
    of the good prefix before it, or, when the very first step is bad, from right samples of the
    same question.
    """
    rng = random.Random(seed)
    whole: dict[str, dict[str, None]] = defaultdict(dict)
    for sample in samples:
        if sample.right:
            whole[sample.problem][sample.solution] = None
    pairs = []
    for group in by_solution(rollouts):
        labels = make_consistent(raw_labels(group))
        if BAD not in labels:
            continue
        index = labels.index(BAD)
        solution, question = group[0].solution, group[0].question
        targets = list(whole[group[0].problem]) if index == 0 else _right(group[index - 1])
        if not targets:
            continue
        for draft in _drafts(group, index, solution)[:per_draft]:
            prompt = local_refiner_prompt(question, draft, index)
            pairs.append(CompletionExample(prompt, rng.choice(targets)))
    return pairs


def _whole(rollouts: Sequence[PrefixRollouts]) -> list[StudentSample]:
    """Each rollout with its prefix, as a solution of its own."""
    return [
        make_sample(
            rollout.problem,
            rollout.question,
            rollout.answer,
            closed(prefix_before(rollout.solution, rollout.kept)) + text,
        )
        for rollout in rollouts
        for text in rollout.continuations
    ]


def _right(rollout: PrefixRollouts) -> list[str]:
    found = zip(rollout.continuations, rollout.right, strict=True)
    return list(dict.fromkeys(text.strip() for text, right in found if right and text.strip()))


def _drafts(group: Sequence[PrefixRollouts], index: int, solution: str) -> list[str]:
    """The sample first, then its bad prefix with each different wrong continuation."""
    drafts = {solution: None}
    if index < len(group):
        prefix = closed(prefix_before(solution, index + 1))
        rollout = group[index]
        for text, right in zip(rollout.continuations, rollout.right, strict=True):
            if not right and text.strip():
                drafts[prefix + text.strip()] = None
    return list(drafts)
