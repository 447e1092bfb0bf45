"""A recipe carried out: stage by stage, each reading and writing files of the run folder."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from glore.formats.answers import parse_answer
from glore_models.data.examples import CompletionExample, ScoreExample
from glore_models.data.files import read_jsonl
from glore_models.data.labels import UNLABELLED
from glore_models.data.problems import Split
from glore_models.data.rollouts import StudentSample, steps_of
from glore_models.data.sources import ProblemCounts
from glore_models.recipes import sampling
from glore_models.recipes.bundle import write_bundle
from glore_models.recipes.labelling import Labelling
from glore_models.recipes.leakage import check_held_out
from glore_models.recipes.recipe import REFINERS, Recipe
from glore_models.recipes.run import Counts, Run
from glore_models.recipes.students import Students, report_counts
from glore_models.recipes.thresholds import ThresholdStages
from glore_models.sampling.port import Sampler, SamplingParams
from glore_models.training import adapters
from glore_models.training.adapters import AdapterConfig

# What a stage does; N stands for a round of expert iteration.
_PURPOSES = {
    "problems": "draw the problems that the student learns from",
    "student_0": "fine-tune the base on worked solutions",
    "student_N": "train the student on, on what it solved rightly",
    "merge_N": "write the student as a plain checkpoint",
    "ei_N_samples": "let the student solve fresh problems",
    "ei_N_problems": "choose its right solutions, and some of the first problems",
    "samples": "let the last student solve fresh problems, rightly or wrongly",
    "rollouts": "continue every prefix of the solutions chosen for labels",
    "validation": "draft validation problems and continue every prefix",
    "test": "draft test problems and continue every prefix",
    "outcome_examples": "label solutions by their outcome, for the ORM",
    "step_examples": "label steps by their rollouts, for the SORM and its ablations",
    "matched_examples": "label the SORM's solutions by their outcome",
    "pairs": "pair wrong drafts with right solutions, for the refiners",
    "held_out": "look for questions of the evaluation sets in every training file",
    "local_refiner": "train the local refiner on the pairs",
    "global_refiner": "train the global refiner on the pairs",
    "steps": "choose the thresholds on validation drafts and judge test drafts",
    "matched_steps": "the same for the reward model on matched labels",
    "bundle": "copy adapters, head and thresholds into one folder",
}


class Stages:
    """The stages of one recipe in one run folder, on one base checkpoint."""

    def __init__(self, recipe: Recipe, run: Run, base: Path) -> None:
        self.recipe = recipe
        self.run = run
        self.students = Students(recipe, run, base)
        self.labelling = Labelling(recipe, run)
        self.thresholds = ThresholdStages(recipe, run, self.students.merged)

    def all(self) -> dict[str, Callable[[], Counts]]:
        """Every stage by name, in order."""
        recipe = self.recipe
        stages: dict[str, Callable[[], Counts]] = {
            **self.students.all(),
            "samples": self.samples,
            "rollouts": self.rollouts,
            "validation": partial(self.held_out, "validation", recipe.validation),
            "test": partial(self.held_out, "test", recipe.test),
            "outcome_examples": self.labelling.outcomes,
            "step_examples": self.labelling.steps,
        }
        if recipe.orm_matched:
            stages["matched_examples"] = self.labelling.matched
        stages["pairs"] = self.labelling.pairs
        stages["held_out"] = partial(check_held_out, self.run, recipe)
        for role in recipe.scorers:
            stages[role] = partial(self.scorer, role, recipe.scorer(role))
        for role in REFINERS:
            stages[role] = partial(self.refiner, role, getattr(recipe, role))
        stages["steps"] = self.thresholds.choose
        if recipe.orm_matched:  # not in `steps`: runs that have done that go on with this alone
            stages["matched_steps"] = self.thresholds.matched
        return {**stages, "bundle": self.bundle}

    def samples(self) -> Counts:
        """Solutions of fresh training problems, none of which the student was trained on."""
        config, counted = self.recipe.sampled, Counter[str]()
        sampled = sampling.sample_solutions(
            sampling.tier_problems(
                config.problems, "train", self.students.known(), self.recipe.gsm8k, counted
            ),
            self._sampler(config.problems.seed),
            self.run.path("samples.jsonl"),
            SamplingParams(config.n, config.temperature, config.max_tokens),
        )
        return {**counted, **sampled}

    def rollouts(self) -> Counts:
        """K rollouts of every prefix of the solutions chosen for labelling."""
        config = self.recipe.sampled
        rows = list(read_jsonl(self.run.path("samples.jsonl"), StudentSample))
        chosen = sampling.choose_labelled(
            rows, config.labelled, config.wrong_share, config.problems.seed
        )
        counts = choosing_counts(rows, chosen)
        return {**counts, **self._roll_out(chosen, "rollouts.jsonl", config.problems.seed + 1)}

    def held_out(self, split: Split, problems: ProblemCounts) -> Counts:
        """Greedy drafts of problems of another split, and rollouts of their prefixes."""
        config, counted = self.recipe.sampled, Counter[str]()
        path = self.run.path(f"{split}_samples.jsonl")
        drawn = sampling.sample_solutions(
            sampling.tier_problems(problems, split, gsm8k=self.recipe.gsm8k, counted=counted),
            self._sampler(problems.seed),
            path,
            SamplingParams(1, 0.0, config.max_tokens),
        )
        rows = [row for row in read_jsonl(path, StudentSample) if len(steps_of(row.solution)) > 1]
        rolled = self._roll_out(rows, f"{split}_rollouts.jsonl", problems.seed + 1)
        tokens = drawn["tokens"] + rolled["tokens"]
        return {
            **counted,
            **drawn,
            "single_step": drawn["samples"] - len(rows),
            "tokens": tokens,
            "prefixes": rolled["prefixes"],
        }

    def scorer(self, role: str, config: AdapterConfig) -> Counts:
        """A reward model on the last student: base, head and loss positions are those of all."""
        examples = list(read_jsonl(self.run.path(f"{role}.jsonl"), ScoreExample))
        out = self.run.path(role)
        report = adapters.train_scorer(self.students.merged, examples, config, out, role)
        unlabelled = sum(max(example.labels, default=UNLABELLED) < 0 for example in examples)
        return {"read": len(examples), "without_labels": unlabelled, **report_counts(report)}

    def refiner(self, role: str, config: AdapterConfig) -> Counts:
        """A refiner on the last student."""
        examples = list(read_jsonl(self.run.path(f"{role}.jsonl"), CompletionExample))
        out = self.run.path(role)
        return report_counts(
            adapters.train_generator(self.students.merged, examples, config, out, role)
        )

    def bundle(self) -> Counts:
        """The five adapters, the head, the thresholds and the card, as they ship."""
        return write_bundle(self.run, self.recipe, tuple(self.all()))

    def _roll_out(self, chosen: Sequence[StudentSample], file: str, seed: int) -> Counts:
        config = self.recipe.sampled
        return sampling.roll_out_prefixes(
            chosen,
            self._sampler(seed),
            self.run.path(file),
            SamplingParams(config.rollouts, config.temperature, config.max_tokens),
        )

    def _sampler(self, seed: int) -> Sampler:
        return self.recipe.make_sampler(self.students.merged, seed)


def purpose(stage: str) -> str:
    """What a stage does, in a few words."""
    known = _PURPOSES.get(stage) or _PURPOSES.get(re.sub(r"\d+", "N", stage))
    return known or f"train the reward model {stage} on its labels"


def counted(counts: Counts) -> list[str]:
    """What a stage that has ended counted, in a line; and another when it had nothing to do."""
    numbers = [
        f"{name.replace('_', ' ')} {value:,}"
        for name, value in counts.items()
        if name not in ("seconds", "training_seconds") and isinstance(value, int)
    ]
    lines = [f"done in {counts['seconds']:,} s; {', '.join(numbers)}".removesuffix("; ")]
    if counts.get("examples") == 0:
        lines.append("there was nothing to learn from: the adapter is as it began")
    if 0 in (counts.get("global_pairs"), counts.get("local_pairs")):
        lines.append("without pairs a refiner learns nothing")
    return lines


def choosing_counts(samples: Sequence[StudentSample], chosen: Sequence[StudentSample]) -> Counts:
    """What stands between the `samples` and those `chosen` for labelling, filter by filter."""
    stepped = [sample for sample in samples if len(steps_of(sample.solution)) > 1]
    different = {(sample.problem, sample.solution): sample for sample in stepped}
    answered = sum(parse_answer(solution) is not None for _, solution in different)
    return {
        "samples": len(samples),
        "single_step": len(samples) - len(stepped),
        "duplicates": len(stepped) - len(different),
        "without_answer": len(different) - answered,
        "not_needed": answered - len(chosen),
    }
