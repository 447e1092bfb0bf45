"""A recipe carried out: stage by stage, each reading and writing files of the run folder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from models.data.files import read_jsonl, write_jsonl
from models.data.labels import (
    by_solution,
    make_consistent,
    orm_examples,
    raw_labels,
    sorm_examples,
)
from models.data.pairs import global_pairs, local_pairs
from models.data.problems import Problem, Split
from models.data.rollouts import PrefixRollouts, Sample, steps_of
from models.evaluation.steps import Labelled, best_threshold, curve, figures
from models.recipes import sampling
from models.recipes.bundle import write_bundle
from models.recipes.mixture import mix, sft_example
from models.recipes.recipe import Recipe, Tiers
from models.recipes.run import Counts, Run
from models.sampling.port import Drawing, Sampler
from models.training import adapters
from models.training.adapters import AdapterConfig
from models.training.examples import CompletionExample, ScoreExample
from models.training.loop import LoopReport
from models.training.scoring import score_steps

SCORERS = ("sorm", "orm")
REFINERS = ("global_refiner", "local_refiner")


class Stages:
    """The stages of one recipe in one run folder, on one base checkpoint."""

    def __init__(self, recipe: Recipe, run: Run, base: Path) -> None:
        self.recipe = recipe
        self.run = run
        self.base = base

    def all(self) -> dict[str, Callable[[], Counts]]:
        """Every stage by name, in order."""
        return {
            "problems": self.problems,
            "student": self.student,
            "merge": self.merge,
            "samples": self.samples,
            "rollouts": self.rollouts,
            "validation": lambda: self.held_out("validation", self.recipe.validation),
            "test": lambda: self.held_out("test", self.recipe.test),
            "outcome_examples": self.outcome_examples,
            "step_examples": self.step_examples,
            "sorm": lambda: self.scorer("sorm", self.recipe.sorm),
            "orm": lambda: self.scorer("orm", self.recipe.orm),
            "local_refiner": lambda: self.refiner("local_refiner", self.recipe.local_refiner),
            "global_refiner": lambda: self.refiner("global_refiner", self.recipe.global_refiner),
            "steps": self.step_table,
            "bundle": self.bundle,
        }

    def problems(self) -> Counts:
        """The student's mixture."""
        problems = mix(self.recipe.mixture, self.recipe.gsm8k)
        write_jsonl(self.run.path("student_problems.jsonl"), problems)
        sources = [problem.source.partition("/")[0] for problem in problems]
        return {
            "problems": len(problems),
            **asdict(self.recipe.mixture),
            **{f"from_{source}": sources.count(source) for source in sorted(set(sources))},
        }

    def student(self) -> Counts:
        """SFT of the base on worked solutions."""
        problems = read_jsonl(self.run.path("student_problems.jsonl"), Problem)
        examples = [sft_example(problem) for problem in problems]
        out = self.run.path("student")
        return _report(
            adapters.train_generator(self.base, examples, self.recipe.student, out, "student")
        )

    def merge(self) -> Counts:
        """The student as a plain checkpoint."""
        adapters.merge(self.base, self.run.path("student"), self.run.path("merged"))
        return {}

    def samples(self) -> Counts:
        """Solutions of fresh training problems, none of which the student was trained on."""
        known = list(read_jsonl(self.run.path("student_problems.jsonl"), Problem))
        config = self.recipe.sampled
        return sampling.sample_solutions(
            sampling.tier_problems(config.problems, "train", known),
            self._sampler(config.problems.seed),
            self.run.path("samples.jsonl"),
            Drawing(config.n, config.temperature, config.max_tokens),
        )

    def rollouts(self) -> Counts:
        """K rollouts of every prefix of the solutions chosen for labelling."""
        config = self.recipe.sampled
        rows = list(read_jsonl(self.run.path("samples.jsonl"), Sample))
        chosen = sampling.choose_labelled(
            rows, config.labelled, config.wrong_share, config.problems.seed
        )
        return self._roll_out(chosen, "rollouts.jsonl", config.problems.seed + 1)

    def held_out(self, split: Split, tiers: Tiers) -> Counts:
        """Greedy drafts of problems of another split, and rollouts of their prefixes."""
        config = self.recipe.sampled
        path = self.run.path(f"{split}_samples.jsonl")
        drawn = sampling.sample_solutions(
            sampling.tier_problems(tiers, split),
            self._sampler(tiers.seed),
            path,
            Drawing(1, 0.0, config.max_tokens),
        )
        rows = [row for row in read_jsonl(path, Sample) if len(steps_of(row.solution)) > 1]
        rolled = self._roll_out(rows, f"{split}_rollouts.jsonl", tiers.seed + 1)
        return {**drawn, "rollout_tokens": rolled["tokens"], "prefixes": rolled["prefixes"]}

    def outcome_examples(self) -> Counts:
        """What follows from the samples alone: ORM labels and global pairs."""
        seed = self.recipe.sampled.problems.seed
        samples = list(read_jsonl(self.run.path("samples.jsonl"), Sample))
        balanced = _half_right(samples, self.recipe.orm_samples, seed)
        pairs = global_pairs(samples, self.recipe.drafts_per_pair, seed)
        return {
            "orm_samples": write_jsonl(self.run.path("orm.jsonl"), orm_examples(balanced)),
            "orm_right": sum(sample.right for sample in balanced),
            "global_pairs": write_jsonl(self.run.path("global_refiner.jsonl"), pairs),
        }

    def step_examples(self) -> Counts:
        """What needs the rollouts: SORM labels, with what each clean-up took, and local pairs."""
        seed = self.recipe.sampled.problems.seed
        samples = list(read_jsonl(self.run.path("samples.jsonl"), Sample))
        rollouts = list(read_jsonl(self.run.path("rollouts.jsonl"), PrefixRollouts))
        labelled, counts = sorm_examples(rollouts, self.recipe.clean_ups, seed)
        pairs = local_pairs(rollouts, samples, self.recipe.drafts_per_pair, seed)
        write_jsonl(self.run.path("sorm.jsonl"), labelled)
        return {
            **{f"sorm_{key}": value for key, value in counts.as_dict().items()},
            "local_pairs": write_jsonl(self.run.path("local_refiner.jsonl"), pairs),
        }

    def scorer(self, role: str, config: AdapterConfig) -> Counts:
        """A reward model on the student."""
        examples = list(read_jsonl(self.run.path(f"{role}.jsonl"), ScoreExample))
        return _report(
            adapters.train_scorer(
                self.run.path("merged"), examples, config, self.run.path(role), role
            )
        )

    def refiner(self, role: str, config: AdapterConfig) -> Counts:
        """A refiner on the student."""
        examples = list(read_jsonl(self.run.path(f"{role}.jsonl"), CompletionExample))
        return _report(
            adapters.train_generator(
                self.run.path("merged"), examples, config, self.run.path(role), role
            )
        )

    def step_table(self) -> Counts:
        """Thresholds from validation drafts; SORM against ORM on test drafts at those."""
        counts: Counts = {}
        thresholds: dict[str, float] = {}
        for role in SCORERS:
            validation = self._labelled("validation", role)
            test = self._labelled("test", role)
            threshold = best_threshold(validation)
            thresholds[role] = threshold
            points = [{**asdict(point), "f1": point.f1} for point in curve(validation)]
            self.run.path(f"{role}_curve.json").write_text(json.dumps(points), encoding="utf-8")
            at = figures(test, threshold)
            counts[role] = {**asdict(at), "f1": at.f1}
        content = {"first_error": thresholds["sorm"], "orm_first_error": thresholds["orm"]}
        self.run.path("thresholds.json").write_text(json.dumps(content, indent=1) + "\n")
        return counts

    def bundle(self) -> Counts:
        """The five adapters, the head, the thresholds and the card, as they ship."""
        return write_bundle(self.run, self.recipe)

    def _labelled(self, split: str, role: str) -> list[Labelled]:
        rollouts = list(read_jsonl(self.run.path(f"{split}_rollouts.jsonl"), PrefixRollouts))
        groups = by_solution(rollouts)
        solutions = [(group[0].question, steps_of(group[0].solution)) for group in groups]
        scores = score_steps(self.run.path("merged"), self.run.path(role), solutions)
        return [
            Labelled(make_consistent(raw_labels(group)), scored)
            for group, scored in zip(groups, scores, strict=True)
        ]

    def _roll_out(self, chosen: Sequence[Sample], file: str, seed: int) -> Counts:
        config = self.recipe.sampled
        return sampling.roll_out_prefixes(
            chosen,
            self._sampler(seed),
            self.run.path(file),
            Drawing(config.rollouts, config.temperature, config.max_tokens),
        )

    def _sampler(self, seed: int) -> Sampler:
        return self.recipe.make_sampler(self.run.path("merged"), seed)


def _half_right(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    right = sampling.shuffled([s for s in samples if s.right], seed)
    wrong = sampling.shuffled([s for s in samples if not s.right], seed)
    size = min(len(right), len(wrong), most // 2)
    return [*right[:size], *wrong[:size]]


def _report(report: LoopReport) -> Counts:
    return {
        "examples": report.examples,
        "trained_tokens": report.tokens,
        "steps": report.steps,
        "training_seconds": round(report.seconds, 1),
        "losses": [[step, round(loss, 4)] for step, loss in report.losses],
    }
