"""What `run_recipe` does of a recipe, and what it says of its stages."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from glore_models.data.locks import InUseError, lock_folder
from glore_models.recipes import run_recipe, stages
from glore_models.recipes.catalog import first_light, paper, smoke
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Counts, Run
from glore_models.recipes.stages import Stages


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@dataclass
class Tiny:
    """Three stages in place of a recipe's."""

    recipe: Recipe
    run: Run
    base: Path

    def all(self) -> dict[str, Callable[[], Counts]]:
        return {
            "problems": lambda: {"problems": 1200, "losses": [[1, 0.5]], "by_source": {}},
            "pairs": lambda: {"global_pairs": 2, "local_pairs": 0},
            "local_refiner": lambda: {"examples": 0},
        }


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "Stages", Tiny)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that were printed, their seconds left out."""
    return [re.sub(r"[\d.]+ s; ", "", line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("tiny")
def test_every_stage_says_what_it_does_and_what_came_of_it(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_recipe("paper", run.folder, base=Path("base")) is None
    assert said(capsys) == [
        "stage 1/3 problems: draw the problems that the student learns from",
        "stage 1/3 problems: done in problems 1,200",
        "stage 2/3 pairs: pair wrong drafts with right solutions, for the refiners",
        "stage 2/3 pairs: done in global pairs 2, local pairs 0",
        "stage 2/3 pairs: without pairs a refiner learns nothing",
        "stage 3/3 local_refiner: train the local refiner on the pairs",
        "stage 3/3 local_refiner: done in examples 0",
        "stage 3/3 local_refiner: there was nothing to learn from: the adapter is as it began",
    ]
    run_recipe("paper", run.folder, base=Path("base"))
    assert said(capsys) == []


@pytest.mark.usefixtures("tiny")
def test_one_stage_is_carried_out_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe("paper", run.folder, base=Path("base"), stage="pairs")
    assert {line.partition(":")[0] for line in said(capsys)} == {"stage 2/3 pairs"}


@pytest.mark.parametrize("recipe", [paper(), first_light(), smoke()], ids=lambda each: each.name)
def test_every_stage_of_every_recipe_has_a_purpose(recipe: Recipe, run: Run) -> None:
    purposes = {each: stages.purpose(each) for each in Stages(recipe, run, Path("base")).all()}
    generic = {each for each, text in purposes.items() if "reward model" in text}
    assert generic == {*recipe.scorers, *({"matched_steps"} & purposes.keys())}
    assert len(set(purposes.values())) == len(purposes) - recipe.rounds  # merges are alike


@pytest.mark.usefixtures("tiny")
def test_a_run_that_another_process_carries_out_is_left_alone(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both would append to the same files, and count what the other has drawn."""
    with lock_folder(run.folder), pytest.raises(InUseError):
        run_recipe("paper", run.folder, base=Path("base"))
    assert capsys.readouterr().out == ""
    assert not run.counts()
    assert not run.path("recipe.json").exists()


def test_a_run_from_before_a_stage_was_added_does_that_stage_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kept run does, whose other scorers are gone: what was done stays as it was."""
    did: list[str] = []

    def all_stages(created: Stages) -> dict[str, Callable[[], Counts]]:
        def work(name: str) -> Counts:
            did.append(name)
            return {}

        return {name: partial(work, name) for name in every(created)}

    every = Stages.all
    monkeypatch.setattr(Stages, "all", all_stages)
    before = replace(paper(), orm_matched=False)
    settings = before.settings()
    del settings["orm_matched"]  # there was no such field
    run.remember(settings)
    for name in every(Stages(before, run, Path("base"))):
        run.stage(name, dict)
    stored = {path.name: path.read_bytes() for path in run.folder.glob("*.done.json")}
    run_recipe("paper", run.folder, base=Path("base"))
    assert did == ["matched_examples", "orm_matched", "matched_steps"]
    assert all(run.path(name).read_bytes() == content for name, content in stored.items())
    assert json.loads(run.path("recipe.json").read_text())["orm_matched"] is True
