"""The recipes of the tables: the one for a GPU is that of two cores, larger."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from glore_models.recipes import RECIPES, run_recipe
from glore_models.recipes.catalog import paper, paper_gpu, smoke
from glore_models.recipes.recipe import Recipe


def test_the_one_for_a_gpu_has_the_same_stages_and_more_of_everything() -> None:
    small, large = paper(), paper_gpu()
    assert large.expert_iteration is not None
    assert large.rounds == small.rounds == 1
    assert large.sampled.rollouts == small.sampled.rollouts == 8
    assert large.scorers == small.scorers
    for tiers in (large.expert_iteration.problems, large.sampled.problems):
        assert tiers.easy + tiers.all >= 5000
    assert large.sampled.labelled >= 5000
    trained = ("student", "orm", "sorm", "global_refiner", "local_refiner")
    for name in trained:
        ours, theirs = getattr(large, name), getattr(small, name)
        assert ours.loop.batch_tokens in (4 * theirs.loop.batch_tokens, 8192, 16_384)
        assert (ours.rank, ours.alpha) == (theirs.rank, theirs.alpha)
    # PEFT trains an adapter on only as one of the same shape
    assert large.expert_iteration.training.rank == large.student.rank


@pytest.mark.parametrize("recipe", [paper(), paper_gpu(), smoke()], ids=lambda each: each.name)
def test_no_two_uses_draw_the_same_problems(recipe: Recipe) -> None:
    """A use takes its seed for the easy tier and the next for all; the mixture, two more."""
    iteration = recipe.expert_iteration
    assert iteration is not None
    uses = [iteration.problems_of(number + 1) for number in range(iteration.rounds)]
    uses += [recipe.sampled.problems, recipe.validation, recipe.test]
    seeds = [tiers.seed + number for tiers in uses for number in range(2)]
    seeds += [recipe.mixture.seed + number for number in range(4)]
    assert len(seeds) == len(set(seeds))


def test_it_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "paper_gpu" in RECIPES
    monkeypatch.setattr("glore_models.recipes.stages.Stages.all", lambda _stages: {})
    run_recipe("paper_gpu", tmp_path, base=tmp_path)
    stored = json.loads((tmp_path / "recipe.json").read_text())
    named = replace(paper_gpu(), gsm8k=None).settings()
    assert stored["sampled"] == json.loads(json.dumps(named["sampled"]))
