"""A whole recipe on a toy base: every stage, resumed, with a scripted sampler."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from models.data.files import read_jsonl
from models.data.problems import Problem, text_key
from models.data.rollouts import PrefixRollouts, Sample
from models.recipes import UnknownNameError, run_recipe
from models.recipes.first_light import smoke
from models.recipes.run import OtherRecipeError, Run
from models.recipes.stages import Stages
from models.sampling.port import Rollout


class ScriptedSampler:
    """Writes `2 + 2 = 4`, then a right or wrong answer, by turns; right ones for even lines."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.calls = 0

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        """A first step when none is given; the first rollout of each prompt is right."""
        assert temperature >= 0
        assert max_tokens > 0
        self.calls += 1
        drawn = []
        for prompt in prompts:
            question, _, given = prompt.partition("\nSolution:\n")
            right = self.answers[question.removeprefix("Question: ")]
            start = "" if given else "2 + 2 = 4\n"
            good = "slip" not in given
            drawn.append(
                [
                    Rollout(
                        f"{start}4 is {right}\n#### {right}"
                        if good and i % 2 == 0
                        else f"{start}slip 4 is 777\n#### 777",
                        finished=True,
                        tokens=9,
                    )
                    for i in range(n)
                ]
            )
        return drawn


class Answers(dict[str, str]):
    """The right answer of any generated question, found by generating again."""

    def __init__(self) -> None:
        super().__init__()
        from models.data import sources  # noqa: PLC0415

        for seed, split in ((21, "train"), (31, "validation"), (41, "test")):
            for problem in sources.load("easy", 8, seed, split):  # type: ignore[arg-type]
                self[problem.question] = problem.answer


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> tuple[Run, Stages]:
    """The smoke recipe, carried out once for the tests of this file."""
    sampler = ScriptedSampler(Answers())
    recipe = replace(smoke(), make_sampler=lambda checkpoint, seed: sampler)  # noqa: ARG005
    run = Run(tmp_path_factory.mktemp("run"))
    stages = Stages(recipe, run, tiny_base)
    for name, work in stages.all().items():
        run.stage(name, work)
    return run, stages


def test_every_stage_leaves_its_counts_and_time(finished: tuple[Run, Stages]) -> None:
    run, stages = finished
    counts = run.counts()
    assert set(counts) == set(stages.all())
    assert all("seconds" in values for values in counts.values())
    assert counts["samples"]["samples"] == 8
    assert counts["samples"]["right"] == 4
    assert counts["outcome_examples"]["global_pairs"] == 4
    assert counts["step_examples"]["local_pairs"] >= 4


def test_labels_come_from_rollouts(finished: tuple[Run, Stages]) -> None:
    run, _ = finished
    rows = list(read_jsonl(run.path("rollouts.jsonl"), PrefixRollouts))
    assert all(any(row.right) == ("slip" not in _kept(row)) for row in rows)


def _kept(row: PrefixRollouts) -> str:
    return "\n".join(row.solution.split("\n")[: row.kept])


def test_the_bundle_has_five_adapters_a_head_and_a_card(finished: tuple[Run, Stages]) -> None:
    run, _ = finished
    bundle = run.path("bundle")
    for role in ("student", "sorm", "orm", "global_refiner", "local_refiner"):
        config = json.loads((bundle / role / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] is None
        assert (bundle / role / "adapter_model.safetensors").exists()
    assert load_file(bundle / "head.safetensors")["score.weight"].shape == (2, 32)
    assert 0 < json.loads((bundle / "thresholds.json").read_text())["first_error"] < 1
    assert "| SORM |" in (bundle / "CARD.md").read_text()


def test_a_finished_stage_is_not_done_again(finished: tuple[Run, Stages]) -> None:
    run, _ = finished

    def never() -> dict[str, int]:
        raise AssertionError

    for name in run.counts():
        run.stage(name, never)


def test_a_killed_sampling_stage_goes_on_where_it_was(
    finished: tuple[Run, Stages], tmp_path: Path, tiny_base: Path
) -> None:
    run, stages = finished
    again = Run(tmp_path)
    lines = run.path("samples.jsonl").read_text().splitlines(keepends=True)
    cut = "".join(lines[:4]) + lines[4][:20]  # two whole problems, and a row cut in the middle
    again.path("samples.jsonl").write_text(cut)
    problems = run.path("student_problems.jsonl").read_text()
    again.path("student_problems.jsonl").write_text(problems)
    resumed = Stages(stages.recipe, again, tiny_base)
    assert resumed.samples()["samples"] == 8
    assert again.path("samples.jsonl").read_text() == "".join(lines)
    assert len(list(read_jsonl(again.path("samples.jsonl"), Sample))) == 8


def test_no_test_question_is_in_any_training_file(finished: tuple[Run, Stages]) -> None:
    run, _ = finished
    held = {
        text_key(row.question)
        for split in ("validation", "test")
        for row in read_jsonl(run.path(f"{split}_samples.jsonl"), Sample)
    }
    assert held
    trained = {
        text_key(problem.question)
        for problem in read_jsonl(run.path("student_problems.jsonl"), Problem)
    }
    trained |= {text_key(row.question) for row in read_jsonl(run.path("samples.jsonl"), Sample)}
    assert not held & trained
    everything = "".join(
        run.path(f"{name}.jsonl").read_text().casefold()
        for name in ("orm", "sorm", "global_refiner", "local_refiner")
    )
    assert not any(json.dumps(question)[1:-1] in everything for question in held)


def test_the_settings_of_a_run_are_kept_and_not_mixed(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.remember(smoke().settings())
    run.remember(smoke().settings())
    kept = json.loads(run.path("recipe.json").read_text())
    assert kept["mixture"]["seed"] == 1
    assert kept["student"]["loop"]["rate"] == 1e-3
    with pytest.raises(OtherRecipeError, match="other settings"):
        run.remember(replace(smoke(), orm_samples=1).settings())


def test_an_unknown_recipe_or_stage_is_named(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(UnknownNameError, match="no recipe 'large'"):
        run_recipe("large", tmp_path, base=tiny_base)
    with pytest.raises(UnknownNameError, match="no stage 'dessert'"):
        run_recipe("smoke", tmp_path, base=tiny_base, stage="dessert")
