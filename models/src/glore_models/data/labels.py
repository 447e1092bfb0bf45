"""Labels of steps: ORM labels from outcomes, SORM labels from rollouts of every prefix.

GLoRe, sections 3 and 4: the ORM labels every step with the outcome of its solution; the
SORM estimates V* of each prefix: good iff at least one of K rollouts reaches the right
answer. Three clean-ups follow, each with its count and each switchable. An outcome can label the
SORM's own solutions too, so that a comparison of both differs in nothing but the labels.

Two other readings of the same rollouts are there for comparison: a step judged by how much
of its prefix's chance it keeps, MC(step) / MC(prefix), and no labels after the first error.
"""

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from glore_models.data.examples import ScoreExample
from glore_models.data.rollouts import PrefixRollouts, StudentSample, is_right, steps_of

GOOD, BAD, UNLABELLED = 1, 0, -1
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")

JudgedBy: TypeAlias = Literal["any_right", "ratio"]


@dataclass(frozen=True, slots=True)
class CleanUps:
    """Which clean-ups of the SORM labels are on.

    Judged by ratio, steps are never made consistent: whether a step keeps its prefix's chance
    says nothing of the steps before. So `consistent` has no effect there, and switching it
    off is a ValueError: a comparison of both settings would compare the same labels.
    """

    consistent: bool = True  # every step before a good one is good, judged by any_right
    used: bool = True  # the result of a good step is used later, or its label is dropped
    balanced: bool = True  # as many good as bad labels at each prefix length
    after_error: bool = True  # steps after the first bad one keep their labels
    judged: JudgedBy = "any_right"
    kept_chance: float = 0.5  # of the prefix's chance, for a good step when judged by ratio

    def __post_init__(self) -> None:
        if self.judged == "ratio" and not self.consistent:
            message = "judged by ratio, steps are never made consistent: leave `consistent` alone"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How many labels there were, and how many each clean-up touched."""

    solutions: int
    steps: int
    good: int
    bad: int
    made_consistent: int
    dropped_unused: int
    dropped_after_error: int
    dropped_for_balance: int

    def as_dict(self) -> dict[str, int]:
        """For the run card."""
        return asdict(self)


def orm_examples(samples: Sequence[StudentSample]) -> list[ScoreExample]:
    """Every step of a sample labelled with the sample's outcome; samples without steps left out."""
    examples = []
    for sample in samples:
        steps = steps_of(sample.solution)
        if steps:
            label = GOOD if sample.right else BAD
            examples.append(ScoreExample(sample.question, steps, (label,) * len(steps)))
    return examples


def sorm_examples(
    rollouts: Sequence[PrefixRollouts], clean_ups: CleanUps, seed: int
) -> tuple[list[ScoreExample], LabelCounts]:
    """Every step labelled by the rollouts of the prefix that it ends.

    The whole solution needs no rollout: its outcome is known. Raises ValueError when
    the rollouts of a solution do not cover all its prefixes.
    """
    examples: list[ScoreExample] = []
    consistent = unused = after = total = 0
    for group in by_solution(rollouts):
        steps = steps_of(group[0].solution)
        if clean_ups.judged == "ratio":
            labels = raw = ratio_labels(group, clean_ups.kept_chance)
        else:
            raw = raw_labels(group)
            labels = make_consistent(raw) if clean_ups.consistent else raw
        consistent += _differing(raw, labels)
        if clean_ups.used:
            cleaned = drop_unused(labels, group)
            unused += _differing(labels, cleaned)
            labels = cleaned
        if not clean_ups.after_error:
            cleaned = drop_after_error(labels)
            after += _differing(labels, cleaned)
            labels = cleaned
        total += len(steps)
        examples.append(ScoreExample(group[0].question, steps, labels))
    dropped = 0
    if clean_ups.balanced:
        examples, dropped = balance(examples, seed)
    flat = [label for example in examples for label in example.labels]
    return examples, LabelCounts(
        solutions=len(examples),
        steps=total,
        good=flat.count(GOOD),
        bad=flat.count(BAD),
        made_consistent=consistent,
        dropped_unused=unused,
        dropped_after_error=after,
        dropped_for_balance=dropped,
    )


def matched_examples(
    sorm: Sequence[ScoreExample], rollouts: Sequence[PrefixRollouts]
) -> list[ScoreExample]:
    """What the SORM learns from, `sorm`, with the ORM's labels: each solution's own outcome.

    Same solutions in the same order. A step whose label the SORM's clean-ups took, balancing
    included, has none here either, so classes are balanced by the SORM's labels, not by these.
    Raises ValueError when `rollouts` are not those that `sorm` was made of.
    """
    groups = by_solution(rollouts)
    solutions = [(group[0].question, steps_of(group[0].solution)) for group in groups]
    if solutions != [(example.question, example.steps) for example in sorm]:
        message = "these rollouts are not of the solutions that the SORM learns from"
        raise ValueError(message)
    examples = []
    for example, group in zip(sorm, groups, strict=True):
        outcome = GOOD if sample_is_right(group[0]) else BAD
        labels = tuple(UNLABELLED if label == UNLABELLED else outcome for label in example.labels)
        examples.append(ScoreExample(example.question, example.steps, labels))
    return examples


def by_solution(rollouts: Sequence[PrefixRollouts]) -> list[list[PrefixRollouts]]:
    """The rollouts of each solution, shortest prefix first, all prefixes 1..steps-1 present."""
    groups: dict[tuple[str, str], list[PrefixRollouts]] = defaultdict(list)
    for rollout in rollouts:
        groups[rollout.problem, rollout.solution].append(rollout)
    ordered = []
    for group in groups.values():
        group.sort(key=lambda rollout: rollout.kept)
        lengths = [rollout.kept for rollout in group]
        if lengths != list(range(1, len(steps_of(group[0].solution)))):
            message = f"the rollouts of a solution of {group[0].problem} miss a prefix: {lengths}"
            raise ValueError(message)
        ordered.append(group)
    return ordered


def raw_labels(group: Sequence[PrefixRollouts]) -> tuple[int, ...]:
    """Good iff any rollout of the prefix is right; the last step by the sample's own outcome."""
    first = group[0]
    labels = [GOOD if any(rollout.right) else BAD for rollout in group]
    return (*labels, GOOD if sample_is_right(first) else BAD)


def make_consistent(labels: tuple[int, ...]) -> tuple[int, ...]:
    """Every step before a good one is good: a right answer was reached from there."""
    last_good = max((i for i, label in enumerate(labels) if label == GOOD), default=-1)
    return tuple(GOOD if i <= last_good else label for i, label in enumerate(labels))


def ratio_labels(group: Sequence[PrefixRollouts], kept_chance: float) -> tuple[int, ...]:
    """Good iff a step keeps `kept_chance` of the chance its prefix had, MC(step) / MC(prefix).

    MC is the share of right rollouts. The empty prefix was not rolled out: the first step is
    good iff any of its rollouts is right. After a prefix without a right rollout there is no
    ratio, so those steps have no label. The answer line is the sample's own outcome, 1 or 0.
    """
    chances = [sum(rollout.right) / len(rollout.right) for rollout in group]
    chances.append(1.0 if sample_is_right(group[0]) else 0.0)
    labels = [GOOD if chances[0] > 0 else BAD]
    for before, after in itertools.pairwise(chances):
        if before == 0:
            labels.append(UNLABELLED)
        else:
            labels.append(GOOD if after / before >= kept_chance else BAD)
    return tuple(labels)


def drop_after_error(labels: tuple[int, ...]) -> tuple[int, ...]:
    """No labels after the first bad step: what follows an error is neither good nor bad."""
    if BAD not in labels:
        return labels
    last = labels.index(BAD)
    return tuple(label if index <= last else UNLABELLED for index, label in enumerate(labels))


def drop_unused(labels: tuple[int, ...], group: Sequence[PrefixRollouts]) -> tuple[int, ...]:
    """A good step whose result appears in no right continuation loses its label.

    Such a step may be wrong and the answer reached without it (a false positive). The
    result of a step is its last number. The last step, the answer itself, is kept.
    """
    steps = steps_of(group[0].solution)
    cleaned = list(labels)
    for index, rollout in enumerate(group):
        if labels[index] != GOOD:
            continue
        result = step_result(steps[index])
        right = [
            text for text, good in zip(rollout.continuations, rollout.right, strict=True) if good
        ]
        if sample_is_right(rollout):
            right.append("\n".join(steps[index + 1 :]))
        # A step made good by a later one alone has no right continuation of its own here.
        if result is None or (right and not any(result in _numbers(text) for text in right)):
            cleaned[index] = UNLABELLED
    return tuple(cleaned)


def balance(examples: Sequence[ScoreExample], seed: int) -> tuple[list[ScoreExample], int]:
    """As many good as bad labels at each prefix length; the surplus is unlabelled at random.

    Returns the examples and the number of labels dropped. A length with one class only
    loses all its labels.
    """
    rng = random.Random(seed)
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, example in enumerate(examples):
        for index, label in enumerate(example.labels):
            if label != UNLABELLED:
                rows[index, label].append(row)
    dropped: set[tuple[int, int]] = set()
    for index in {index for index, _ in rows}:
        good, bad = rows[index, GOOD], rows[index, BAD]
        larger, size = (good, len(bad)) if len(good) > len(bad) else (bad, len(good))
        for row in rng.sample(larger, len(larger) - size):
            dropped.add((row, index))
    balanced = [
        ScoreExample(
            example.question,
            example.steps,
            tuple(
                UNLABELLED if (row, index) in dropped else label
                for index, label in enumerate(example.labels)
            ),
        )
        for row, example in enumerate(examples)
    ]
    return balanced, len(dropped)


def step_result(step: str) -> str | None:
    """The last number of a step, without thousands separators; None if it has none."""
    found = _NUMBER.findall(step)
    return found[-1].replace(",", "") if found else None


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in _NUMBER.findall(text)}


def _differing(first: Sequence[int], second: Sequence[int]) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def sample_is_right(rollout: PrefixRollouts) -> bool:
    """Whether the solution that the prefix was cut from states the right answer."""
    return is_right(rollout.solution, rollout.answer)
