"""The stages that make the student: SFT, then rounds of expert iteration.

Student 0 is the fine-tuned base; student r has been through r rounds. Every student is one
adapter on the base, `student_<r>`, and a plain checkpoint, `merged_<r>`.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from glore_models.data.examples import sft_example
from glore_models.data.files import read_jsonl, write_jsonl
from glore_models.data.problems import Problem
from glore_models.data.rollouts import StudentSample, steps_of
from glore_models.data.sources import gsm8k, mix
from glore_models.recipes import sampling
from glore_models.recipes.recipe import ExpertIteration, Recipe
from glore_models.recipes.run import Counts, Run
from glore_models.sampling.port import SamplingParams
from glore_models.serving.bundle import SHIPPED
from glore_models.training import adapters
from glore_models.training.loop import LoopReport

SHIPPED_STUDENT = SHIPPED / "student"


class Students:
    """The student's stages of one recipe in one run folder, on one base checkpoint."""

    def __init__(self, recipe: Recipe, run: Run, base: Path) -> None:
        self.recipe = recipe
        self.run = run
        self.base = base

    def all(self) -> dict[str, Callable[[], Counts]]:
        """Every stage by name, in order."""
        stages: dict[str, Callable[[], Counts]] = {
            "problems": self.problems,
            "student_0": self.supervised,
            "merge_0": partial(self.merge, 0),
        }
        iteration = self.recipe.expert_iteration
        if iteration is None:
            return stages
        for number in range(1, iteration.rounds + 1):
            stages |= {
                f"ei_{number}_samples": partial(self.sample, iteration, number),
                f"ei_{number}_problems": partial(self.keep_right, iteration, number),
                f"student_{number}": partial(self.iterate, iteration, number),
                f"merge_{number}": partial(self.merge, number),
            }
        return stages

    @property
    def last(self) -> int:
        """The number of the student that everything else is built on."""
        return self.recipe.rounds

    @property
    def merged(self) -> Path:
        """The plain checkpoint of the last student."""
        return self.run.path(f"merged_{self.last}")

    def known(self) -> list[Problem]:
        """The problems that any student was trained on."""
        files = [self.run.path(f"{name}.jsonl") for name in self.recipe.problem_files]
        return [problem for file in files for problem in read_jsonl(file, Problem)]

    def problems(self) -> Counts:
        """The first mixture."""
        counted: Counter[str] = Counter()
        problems = mix(self.recipe.mixture, self.recipe.gsm8k, counted)
        write_jsonl(self.run.path("student_problems.jsonl"), problems)
        sources = [problem.source.partition("/")[0] for problem in problems]
        return {
            "problems": len(problems),
            **asdict(self.recipe.mixture),
            **{f"from_{source}": sources.count(source) for source in sorted(set(sources))},
            **counted,
            **(gsm8k_counts(self.recipe.gsm8k) if self.recipe.gsm8k else {}),
        }

    def supervised(self) -> Counts:
        """SFT of the base on worked solutions."""
        problems = list(read_jsonl(self.run.path("student_problems.jsonl"), Problem))
        start = SHIPPED_STUDENT if self.recipe.from_bundle else None
        return self._train(0, problems, self.recipe.student, start)

    def merge(self, number: int) -> Counts:
        """A student as a plain checkpoint."""
        adapter, merged = self.run.path(f"student_{number}"), self.run.path(f"merged_{number}")
        adapters.merge(self.base, adapter, merged)
        return {}

    def sample(self, iteration: ExpertIteration, number: int) -> Counts:
        """Solutions of fresh training problems by the student of the round before."""
        problems, counted = iteration.problems_of(number), Counter[str]()
        known = self.known_before(number)
        sampled = sampling.sample_solutions(
            sampling.tier_problems(problems, "train", known, self.recipe.gsm8k, counted),
            self.recipe.make_sampler(self.run.path(f"merged_{number - 1}"), problems.seed),
            self.run.path(f"ei_{number}_samples.jsonl"),
            SamplingParams(iteration.n, iteration.temperature, iteration.max_tokens),
        )
        return {**counted, **sampled}

    def keep_right(self, iteration: ExpertIteration, number: int) -> Counts:
        """What a round learns from: right and different solutions, and old problems."""
        samples = list(read_jsonl(self.run.path(f"ei_{number}_samples.jsonl"), StudentSample))
        chosen = right_and_different(samples, iteration.most, number)
        first = list(read_jsonl(self.run.path("student_problems.jsonl"), Problem))
        rng = random.Random(f"replay-{number}")
        replay = rng.sample(first, min(iteration.replay, len(first)))
        mixed = [*chosen, *replay]
        rng.shuffle(mixed)
        write_jsonl(self.run.path(f"ei_{number}_problems.jsonl"), mixed)
        different = {(s.problem, s.solution) for s in samples if s.right}
        return {
            "samples": len(samples),
            "right": sum(sample.right for sample in samples),
            "right_and_different": len(different),
            "kept": len(chosen),
            "replayed": len(replay),
        }

    def iterate(self, iteration: ExpertIteration, number: int) -> Counts:
        """The adapter of the round before, trained on."""
        problems = list(read_jsonl(self.run.path(f"ei_{number}_problems.jsonl"), Problem))
        before = self.run.path(f"student_{number - 1}")
        return self._train(number, problems, iteration.training, before)

    def known_before(self, number: int) -> list[Problem]:
        """The problems that the students before student `number` were trained on."""
        names = self.recipe.problem_files[:number]
        return [p for name in names for p in read_jsonl(self.run.path(f"{name}.jsonl"), Problem)]

    def _train(
        self,
        number: int,
        problems: Sequence[Problem],
        config: adapters.AdapterConfig,
        start: Path | None,
    ) -> Counts:
        name = f"student_{number}"
        examples = [sft_example(problem) for problem in problems]
        return report_counts(
            adapters.train_generator(
                self.base, examples, config, self.run.path(name), name, start=start
            )
        )


def right_and_different(samples: Sequence[StudentSample], most: int, seed: int) -> list[Problem]:
    """The right solutions, each once, at most `most` of a problem, as problems to learn from."""
    rng = random.Random(seed)
    by_problem: dict[str, dict[str, StudentSample]] = defaultdict(dict)
    for sample in samples:
        if sample.right and steps_of(sample.solution):
            by_problem[sample.problem].setdefault(sample.solution, sample)
    return [
        Problem(sample.problem, sample.question, sample.answer, sample.solution, "student")
        for different in by_problem.values()
        for sample in rng.sample(list(different.values()), min(most, len(different)))
    ]


def gsm8k_counts(file: Path) -> Counts:
    """How many problems a GSM8K-format file holds, and how many of them state no answer."""
    with file.open("rb") as lines:
        held = sum(bool(line.strip()) for line in lines)
    return {"gsm8k_lines": held, "gsm8k_without_answer": held - sum(1 for _ in gsm8k(file))}


def report_counts(report: LoopReport) -> Counts:
    """What a training stage remembers."""
    return {
        "examples": report.examples,
        "trained_tokens": report.tokens,
        "steps": report.steps,
        "training_seconds": round(report.seconds, 1),
        "losses": [[step, round(loss, 4)] for step, loss in report.losses],
    }
