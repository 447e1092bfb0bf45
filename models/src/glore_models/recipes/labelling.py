"""The stages that turn samples and rollouts into what the reward models and refiners read.

No sampling of their own: the ORM, its controls, the SORM, its ablations and both refiners
learn from the same samples and rollouts.
"""

from collections.abc import Sequence

from glore_models.data.examples import ScoreExample
from glore_models.data.files import read_jsonl, write_jsonl
from glore_models.data.labels import (
    BAD,
    GOOD,
    UNLABELLED,
    LabelCounts,
    balance,
    by_solution,
    make_consistent,
    matched_examples,
    orm_examples,
    raw_labels,
    sorm_examples,
)
from glore_models.data.pairs import counted_global_pairs, local_pairs
from glore_models.data.rollouts import PrefixRollouts, StudentSample, steps_of
from glore_models.data.run_folder import MATCHED
from glore_models.recipes import sampling
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Counts, Run


class Labelling:
    """The labelling stages of one recipe in one run folder."""

    def __init__(self, recipe: Recipe, run: Run) -> None:
        self.recipe = recipe
        self.run = run
        self.seed = recipe.sampled.problems.seed

    def outcomes(self) -> Counts:
        """ORM labels from the student's own samples.

        With a control the ORM takes the share of right samples as it is, and the control the same
        samples with labels balanced at each prefix length; without one the ORM is given as many
        right as wrong samples.
        """
        every = self._samples()
        samples = [row for row in every if steps_of(row.solution)]
        balanced = half_right(samples, self.recipe.orm_samples, self.seed)
        main = (
            sampling.shuffled(samples, self.seed)[: self.recipe.orm_samples]
            if self.recipe.orm_control
            else balanced
        )
        counts = {
            "samples": len(every),
            "without_steps": len(every) - len(samples),
            "orm_samples": write_jsonl(self.run.path("orm.jsonl"), orm_examples(main)),
            "orm_right": sum(sample.right for sample in main),
        }
        if self.recipe.orm_control:
            # as the SORM's labels are balanced: at each prefix length
            even, dropped = balance(orm_examples(main), self.seed)
            counts["orm_control_samples"] = write_jsonl(self.run.path("orm_control.jsonl"), even)
            counts["orm_control_dropped_for_balance"] = dropped
        return counts

    def steps(self) -> Counts:
        """SORM labels with what each clean-up took, and those of the ablations."""
        rollouts = self._rollouts()
        counts: Counts = {}
        every = {"sorm": self.recipe.clean_ups, **self.recipe.ablations}
        for name, clean_ups in every.items():
            labelled, taken = sorm_examples(rollouts, clean_ups, self.seed)
            write_jsonl(self.run.path(f"{name}.jsonl"), labelled)
            counts |= _named(name, taken)
        return counts

    def matched(self) -> Counts:
        """The ORM's labels on what the SORM is trained on, read from its own file.

        `differing` are the labels on which outcome and rollouts do not agree.
        """
        sorm = list(read_jsonl(self.run.path("sorm.jsonl"), ScoreExample))
        examples = matched_examples(sorm, self._rollouts())
        theirs = [label for example in sorm for label in example.labels]
        labels = [label for example in examples for label in example.labels]
        return {
            "orm_matched_solutions": write_jsonl(self.run.path(f"{MATCHED}.jsonl"), examples),
            "orm_matched_good": labels.count(GOOD),
            "orm_matched_bad": labels.count(BAD),
            "orm_matched_unlabelled": labels.count(UNLABELLED),
            "orm_matched_differing": sum(a != b for a, b in zip(labels, theirs, strict=True)),
        }

    def pairs(self) -> Counts:
        """Global pairs from samples and rollouts, local pairs from the rollouts."""
        samples, rollouts = self._samples(), self._rollouts()
        each, most = self.recipe.drafts_per_pair, self.recipe.global_pairs
        whole, in_all = counted_global_pairs(samples, each, self.seed, rollouts=rollouts, most=most)
        local = local_pairs(rollouts, samples, each, self.seed)
        return {
            "global_pairs": write_jsonl(self.run.path("global_refiner.jsonl"), whole),
            "global_pairs_in_all": in_all.pairs,
            "global_drafts": in_all.drafts,
            "without_global_target": in_all.without_target,
            "local_pairs": write_jsonl(self.run.path("local_refiner.jsonl"), local),
            "local_pairs_in_all": len(local_pairs(rollouts, samples, None, self.seed)),
            **target_counts(rollouts, samples),
        }

    def _samples(self) -> list[StudentSample]:
        return list(read_jsonl(self.run.path("samples.jsonl"), StudentSample))

    def _rollouts(self) -> list[PrefixRollouts]:
        return list(read_jsonl(self.run.path("rollouts.jsonl"), PrefixRollouts))


def half_right(samples: Sequence[StudentSample], most: int, seed: int) -> list[StudentSample]:
    """As many right as wrong samples, at most `most`."""
    right = sampling.shuffled([s for s in samples if s.right], seed)
    wrong = sampling.shuffled([s for s in samples if not s.right], seed)
    size = min(len(right), len(wrong), most // 2)
    return [*right[:size], *wrong[:size]]


def target_counts(rollouts: Sequence[PrefixRollouts], samples: Sequence[StudentSample]) -> Counts:
    """Of how many solutions a step is bad, and how many of those have no right continuation."""
    labels = [make_consistent(raw_labels(group)) for group in by_solution(rollouts)]
    wrong = sum(BAD in each for each in labels)
    # with one draft for each solution there is one pair for each that has a target
    targets = len(local_pairs(rollouts, samples, 1, seed=0))
    return {"solutions_with_error": wrong, "without_local_target": wrong - targets}


def _named(name: str, counts: LabelCounts) -> Counts:
    return {f"{name}_{key}": value for key, value in counts.as_dict().items()}
