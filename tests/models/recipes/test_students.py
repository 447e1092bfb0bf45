"""What the rounds of expert iteration learn from, and from where each goes on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from glore_models.data.examples import CompletionExample
from glore_models.data.files import read_jsonl, write_jsonl
from glore_models.data.problems import Problem, text_key
from glore_models.data.rollouts import StudentSample, make_sample
from glore_models.recipes.catalog import paper, smoke
from glore_models.recipes.recipe import ExpertIteration, Recipe
from glore_models.recipes.run import Run
from glore_models.recipes.students import SHIPPED_STUDENT, Students, right_and_different
from glore_models.sampling.port import Rollout, Sampler
from glore_models.training import adapters
from glore_models.training.adapters import AdapterConfig
from glore_models.training.loop import LoopReport


def sample(problem: str, solution: str) -> StudentSample:
    return make_sample(problem, f"Question {problem}", "4", solution)


def test_only_right_solutions_are_learnt_from_and_each_once() -> None:
    one, other = "2 + 2 = 4\n#### 4", "1 + 3 = 4\n#### 4"
    samples = [sample("p", one), sample("p", one), sample("p", other), sample("p", "#### 5")]
    samples.append(sample("q", one))
    stored = right_and_different(samples, most=9, seed=1)
    assert sorted((each.id, each.solution) for each in stored) == [
        ("p", other),
        ("p", one),
        ("q", one),
    ]
    assert all(each.source == "student" for each in stored)


def test_at_most_so_many_of_a_problem_are_stored_by_a_seed_of_the_round() -> None:
    samples = [sample(p, f"{i} + 0 = {i}\n#### 4") for p in "pq" for i in range(8)]
    rounds = [right_and_different(samples, most=2, seed=seed) for seed in range(9)]
    for stored in rounds:
        assert [each.id for each in stored] == ["p", "p", "q", "q"]
        assert len({(each.id, each.solution) for each in stored}) == 4
    assert rounds[3] == right_and_different(samples, most=2, seed=3)
    assert any(stored != rounds[0] for stored in rounds[1:])


def test_no_two_rounds_share_a_seed_nor_take_that_of_another_tier() -> None:
    recipe = paper()
    assert recipe.expert_iteration is not None
    assert recipe.expert_iteration.problems_of(1) == recipe.expert_iteration.problems
    rounds = [recipe.expert_iteration.problems_of(number) for number in range(1, 9)]
    every = [*rounds, recipe.sampled.problems, recipe.validation, recipe.test]
    seeds = [tiers.seed + index for tiers in every for index in range(3)]  # easy, all, gsm8k
    seeds += [recipe.mixture.seed + index for index in range(4)]
    assert len(set(seeds)) == len(seeds)
    assert rounds[5] == replace(rounds[0], seed=rounds[5].seed)


@dataclass
class Right:
    """A sampler that always writes two different right solutions."""

    answers: dict[str, str]

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        assert (n, temperature, max_tokens) == (2, 0.8, 80)
        return [
            [
                Rollout(
                    f"step {i}\n#### {self.answers[question_in(prompt)]}", finished=True, tokens=5
                )
                for i in range(n)
            ]
            for prompt in prompts
        ]


class AnyAnswer(dict[str, str]):
    def __missing__(self, question: str) -> str:
        return "0"


def question_in(prompt: str) -> str:
    return prompt.partition("\nSolution:\n")[0].removeprefix("Question: ")


@dataclass
class Trained:
    """Keeps what was trained from where, in place of training."""

    starts: dict[str, Path | None] = field(default_factory=dict)
    examples: dict[str, list[CompletionExample]] = field(default_factory=dict)

    def train(
        self,
        base: Path,
        examples: Sequence[CompletionExample],
        config: AdapterConfig,
        out: Path,
        name: str,
        *,
        start: Path | None = None,
    ) -> LoopReport:
        assert (base, out.name, config) == (Path("base"), name, smoke().student)
        self.starts[name], self.examples[name] = start, list(examples)
        return LoopReport(len(examples), 1, 1, 0.0, ())


@pytest.fixture
def two_rounds() -> Recipe:
    recipe = smoke()
    assert recipe.expert_iteration is not None
    iteration = replace(recipe.expert_iteration, rounds=2, most=1)
    return replace(recipe, from_bundle=False, expert_iteration=iteration)


def test_a_student_of_the_smoke_recipe_begins_as_the_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEFT trains an adapter on only as one of the same rank."""
    trained, run = Trained(), Run(tmp_path)
    monkeypatch.setattr(adapters, "train_generator", trained.train)
    write_jsonl(run.path("student_problems.jsonl"), [])
    Students(smoke(), run, Path("base")).supervised()
    assert trained.starts == {"student_0": SHIPPED_STUDENT}
    shipped = json.loads((SHIPPED_STUDENT / "adapter_config.json").read_text(encoding="utf-8"))
    assert (smoke().student.rank, smoke().student.alpha) == (shipped["r"], shipped["lora_alpha"])


def test_each_of_two_rounds_has_fresh_problems_and_goes_on_from_the_one_before(
    two_rounds: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, samplers = Trained(), []
    monkeypatch.setattr(adapters, "train_generator", trained.train)
    monkeypatch.setattr(adapters, "merge", lambda _base, _adapter, out: out.mkdir())

    def make_sampler(checkpoint: Path, seed: int) -> Sampler:
        assert checkpoint.exists()
        samplers.append((checkpoint.name, seed))
        return Right(answers)

    run, answers = Run(tmp_path), AnyAnswer()
    students = Students(replace(two_rounds, make_sampler=make_sampler), run, Path("base"))
    for number in (1, 2):
        answers |= answers_of(two_rounds.expert_iteration, number)
    for name, work in students.all().items():
        run.stage(name, work)

    assert samplers == [("merged_0", 11), ("merged_1", 1011)]
    assert trained.starts == {
        "student_0": None,
        "student_1": tmp_path / "student_0",
        "student_2": tmp_path / "student_1",
    }
    assert students.merged == tmp_path / "merged_2"
    first, second = (
        {
            text_key(row.question)
            for row in read_jsonl(run.path(f"ei_{i}_samples.jsonl"), StudentSample)
        }
        for i in (1, 2)
    )
    assert len(first) == len(second) == 4
    assert not first & second
    for number, questions in ((1, first), (2, second)):
        learnt = list(read_jsonl(run.path(f"ei_{number}_problems.jsonl"), Problem))
        own = [problem for problem in learnt if problem.source == "student"]
        assert {text_key(problem.question) for problem in own} == questions
        assert run.counts()[f"ei_{number}_problems"]["kept"] == 4  # most=1 of two right ones
        assert len(trained.examples[f"student_{number}"]) == len(learnt) == 4 + 4
    known = {text_key(problem.question) for problem in students.known()}
    assert first | second <= known
    assert not second & {text_key(problem.question) for problem in students.known_before(2)}


def answers_of(iteration: ExpertIteration | None, number: int) -> dict[str, str]:
    from glore_models.recipes.sampling import tier_problems

    assert iteration is not None
    problems = tier_problems(iteration.problems_of(number), "train")
    return {problem.question: problem.answer for problem in problems}


def test_lines_of_a_gsm8k_file_without_an_answer_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "gsm8k.jsonl"
    rows = [{"question": f"How many are {i} + 1?", "answer": f"#### {i + 1}"} for i in range(40)]
    rows += [{"question": "And this?", "answer": "nobody knows"}] * 2
    rows += [{"question": "And half?", "answer": "#### 1/2"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    counts = Students(replace(smoke(), gsm8k=file), Run(tmp_path), Path("base")).problems()
    assert (counts["gsm8k_lines"], counts["gsm8k_without_answer"]) == (43, 3)
    assert counts["from_gsm8k"] == 2
    for tier in ("easy", "all"):
        gone = ("other_templates", "without_answer", "other_tier", "duplicates", "other_split")
        left = counts[f"{tier}_candidates"] - sum(counts.get(f"{tier}_{key}", 0) for key in gone)
        assert left == counts[f"{tier}_taken"] == (12 if tier == "easy" else 2)
    assert counts["gsm8k_candidates"] == counts["gsm8k_taken"] + counts.get("gsm8k_other_split", 0)
