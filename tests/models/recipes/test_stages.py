"""A whole recipe on a toy base: every stage, resumed, with a scripted sampler."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glore_models.data.examples import ScoreExample
from glore_models.data.files import read_jsonl, write_jsonl
from glore_models.data.problems import Problem, text_key
from glore_models.data.rollouts import PrefixRollouts, StudentSample
from glore_models.data.run_folder import read_thresholds
from glore_models.recipes import UnknownNameError, run_recipe
from glore_models.recipes.catalog import paper, smoke
from glore_models.recipes.run import OtherRecipeError, Run
from glore_models.recipes.stages import Stages
from glore_models.recipes.unbundle import unbundle
from glore_models.serving.bundle import Bundle
from glore_models.training import adapters
from glore_models.training.loop import LoopReport
from tests.models.recipes.scripted import scripted
from tests.models.recipes.test_thresholds import check_best_points


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> tuple[Run, Stages]:
    """The smoke recipe, carried out once for the tests of this file."""
    run = Run(tmp_path_factory.mktemp("run"))
    stages = Stages(scripted(), run, tiny_base)
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
    assert counts["pairs"]["global_pairs"] == 8 < counts["pairs"]["global_pairs_in_all"]
    assert counts["rollouts"]["not_needed"] == 8 - 4
    assert counts["test"]["single_step"] == 0
    assert counts["sorm"]["read"] == counts["sorm"]["examples"] + counts["sorm"]["without_labels"]
    assert counts["pairs"]["local_pairs"] >= 4
    assert counts["outcome_examples"]["orm_samples"] == 8
    assert counts["outcome_examples"]["orm_control_samples"] == 8
    assert counts["orm_matched"]["read"] == counts["sorm"]["read"] == 4
    alike = ("examples", "trained_tokens", "steps")
    assert all(counts["orm_matched"][key] == counts["sorm"][key] for key in alike)


def test_labels_come_from_rollouts(finished: tuple[Run, Stages]) -> None:
    run, _ = finished
    rows = list(read_jsonl(run.path("rollouts.jsonl"), PrefixRollouts))
    assert all(any(row.right) == ("slip" not in _stored(row)) for row in rows)


def _stored(row: PrefixRollouts) -> str:
    return "\n".join(row.solution.split("\n")[: row.kept])


def test_a_round_of_expert_iteration_learns_from_what_came_out_right(
    finished: tuple[Run, Stages],
) -> None:
    run, _ = finished
    counts = run.counts()
    assert counts["ei_1_samples"]["right"] == 4
    assert counts["ei_1_problems"]["kept"] == 4
    assert counts["student_1"]["examples"] == 4 + counts["ei_1_problems"]["replayed"]
    rows = list(read_jsonl(run.path("ei_1_problems.jsonl"), Problem))
    own = [row for row in rows if row.source == "student"]
    assert len({(row.id, row.solution) for row in own}) == 4
    assert all(row.solution.endswith(f"#### {row.answer}") for row in own)
    weights = [load_file(run.path(f"merged_{i}") / "model.safetensors") for i in (0, 1)]
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_every_scorer_stands_in_the_table_at_its_own_threshold(
    finished: tuple[Run, Stages],
) -> None:
    run, stages = finished
    steps = {**run.counts()["steps"], **run.counts()["matched_steps"]}
    scorers = ("sorm", "orm", "orm_control", "sorm_ratio", "sorm_to_error", "orm_matched")
    assert tuple(stages.recipe.scorers) == scorers
    for scorer in scorers:
        curve = json.loads(run.path(f"{scorer}_curve.json").read_text())
        assert max(point["f1"] for point in curve) == steps[scorer]["validation_f1"]
        assert 0 < steps[scorer]["threshold"] < 1
    chosen = json.loads(run.path("thresholds.json").read_text())
    assert chosen["first_error"] == steps["sorm"]["threshold"]
    of_run = read_thresholds(run.path("thresholds.json"))
    assert of_run.of("orm_matched") == steps["orm_matched"]["threshold"]
    gates = json.loads(run.path("gate_curve.json").read_text())
    (gate,) = [point for point in gates if point["threshold"] == chosen["gate"]]
    assert gate["b"] == max(point["b"] for point in gates)


def test_the_bundle_has_five_adapters_a_head_and_a_card(finished: tuple[Run, Stages]) -> None:
    run, stages = finished
    bundle = run.path("bundle")
    for role in ("student", "sorm", "orm", "global_refiner", "local_refiner"):
        config = json.loads((bundle / role / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] is None
        assert (bundle / role / "adapter_model.safetensors").exists()
    assert load_file(bundle / "head.safetensors")["score.weight"].shape == (2, 32)
    assert 0 < json.loads((bundle / "thresholds.json").read_text())["first_error"] < 1
    card = (bundle / "CARD.md").read_text()
    assert "| sorm |" in card
    assert "| orm_matched |" in card
    assert '"seed": 21' in card
    rows = [line.split(" | ")[0].removeprefix("| ") for line in card.splitlines()]
    order = list(stages.all())
    named = [row for row in rows if row in order]
    assert named[: len(order) - 1] == order[:-1]  # the bundle itself is not done yet
    assert str(run.folder.parent) not in card
    assert (bundle / "curves.png").read_bytes().startswith(b"\x89PNG")
    check_best_points(bundle)


def test_a_bundle_becomes_a_run_folder_with_the_same_models(
    finished: tuple[Run, Stages], tiny_base: Path, tmp_path: Path
) -> None:
    run, stages = finished
    out = tmp_path / "again"
    unbundle(Bundle(run.path("bundle")), tiny_base, out)
    one, two = (
        load_file(f / "model.safetensors") for f in (stages.students.merged, out / "merged_0")
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    for role in ("sorm", "orm"):
        names = ("head.safetensors", "adapter_model.safetensors")
        for created, again in ((run.path(role) / name, out / role / name) for name in names):
            assert all(torch.equal(load_file(created)[k], v) for k, v in load_file(again).items())
    of_run = read_thresholds(run.path("thresholds.json"))
    assert read_thresholds(out / "thresholds.json") == replace(of_run, compared={})
    check_best_points(out)
    with pytest.raises(FileExistsError):
        unbundle(Bundle(run.path("bundle")), tiny_base, out)


def test_killed_while_it_becomes_one_it_is_done_again(
    finished: tuple[Run, Stages], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, out, copied = Bundle(finished[0].path("bundle")), tmp_path / "again", iter(range(3))

    def copyfile(source: Path, target: Path) -> None:
        if next(copied, None) is None:
            raise KeyboardInterrupt
        target.write_bytes(source.read_bytes())

    with monkeypatch.context() as killed:
        killed.setattr("glore_models.recipes.unbundle.shutil.copyfile", copyfile)
        with pytest.raises(KeyboardInterrupt):
            unbundle(bundle, tiny_base, out)
    assert not out.exists()
    unbundle(bundle, tiny_base, out)
    assert (out / "local_refiner" / "adapter_model.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_bundle_without_curves_becomes_a_run_folder_too(
    finished: tuple[Run, Stages], tiny_base: Path, tmp_path: Path
) -> None:
    run, _ = finished
    shutil.copytree(run.path("bundle"), tmp_path / "old")
    for curve in (tmp_path / "old").glob("*_curve.json"):
        curve.unlink()
    unbundle(Bundle(tmp_path / "old"), tiny_base, tmp_path / "again")
    assert (tmp_path / "again" / "thresholds.json").exists()
    assert not list((tmp_path / "again").glob("*_curve.json"))


def test_a_finished_stage_is_not_done_again(finished: tuple[Run, Stages]) -> None:
    run, _ = finished

    def never() -> dict[str, int]:
        raise AssertionError

    for name in run.counts():
        run.stage(name, never)


def test_no_test_question_is_in_any_training_file(finished: tuple[Run, Stages]) -> None:
    run, stages = finished
    held = {
        text_key(row.question)
        for split in ("validation", "test")
        for row in read_jsonl(run.path(f"{split}_samples.jsonl"), StudentSample)
    }
    assert held
    trained = {
        text_key(problem.question)
        for problem in read_jsonl(run.path("student_problems.jsonl"), Problem)
    }
    for name in ("samples", "ei_1_samples"):
        trained |= {
            text_key(row.question) for row in read_jsonl(run.path(f"{name}.jsonl"), StudentSample)
        }
    assert not held & trained
    everything = "".join(
        run.path(f"{name}.jsonl").read_text().casefold()
        for name in (*stages.recipe.scorers, "global_refiner", "local_refiner", "ei_1_problems")
    )
    assert not any(json.dumps(question)[1:-1] in everything for question in held)


def test_the_settings_of_a_run_are_stored_and_not_mixed(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.remember(smoke().settings())
    run.remember(smoke().settings())
    stored = json.loads(run.path("recipe.json").read_text())
    assert stored["mixture"]["seed"] == 1
    assert stored["student"]["loop"]["rate"] == 5e-5
    with pytest.raises(OtherRecipeError, match="other settings"):
        run.remember(replace(smoke(), orm_samples=1).settings())


def test_the_matched_orm_is_trained_as_the_sorm_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings, on its solutions: with the SORM's labels it would be the SORM."""
    given: dict[str, tuple[object, ...]] = {}

    def trained(*arguments: object) -> LoopReport:
        *settings, out, name = arguments
        assert out == tmp_path / str(name)
        given[str(name)] = tuple(settings)
        return LoopReport(1, tokens=1, steps=1, seconds=0.0, losses=())

    monkeypatch.setattr(adapters, "train_scorer", trained)
    run = Run(tmp_path)
    stages = Stages(paper(), run, tmp_path).all()
    for role in ("sorm", "orm", "orm_control", "orm_matched"):
        write_jsonl(run.path(f"{role}.jsonl"), [ScoreExample("q", ("a",), (1,))])
        stages[role]()
    assert given["orm_matched"] == given["sorm"]
    assert given["orm"] == given["orm_control"] != given["sorm"]


def test_an_unknown_recipe_or_stage_is_named(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(UnknownNameError, match="no recipe 'large'"):
        run_recipe("large", tmp_path, base=tiny_base)
    with pytest.raises(UnknownNameError, match="no stage 'dessert'"):
        run_recipe("smoke", tmp_path, base=tiny_base, stage="dessert")
