"""What `run_recipe` does of a recipe, and what it says of the time left."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from models.data.files import InUseError, alone
from models.recipes import run_left, run_recipe, stages
from models.recipes.first_light import first_light
from models.recipes.paper import paper, smoke
from models.recipes.recipe import Recipe
from models.recipes.run import Counts, Run
from models.recipes.stages import Stages

EXPECTED = {"a": 600.0, "b": 7200.0, "c": 1200.0}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def done(run: Run, name: str, seconds: float) -> None:
    run.stage(name, dict)
    run.path(f"{name}.done.json").write_text(f'{{"seconds": {seconds}}}')


def test_what_a_killed_stage_had_is_deducted(run: Run) -> None:
    assert run_left(EXPECTED, run, "abc") == 9000
    run.path("b.clock").write_text("3000.0")
    assert run_left(EXPECTED, run, "abc") == 6000
    done(run, "a", 1200)  # twice as slow here
    assert run_left(EXPECTED, run, "abc") == 2 * (7200 + 1200) - 3000
    assert run_left(EXPECTED, run, "b") == 2 * 7200 - 3000
    run.path("b.clock").write_text("99999.0")  # longer than expected: the others stay as they are
    assert run_left(EXPECTED, run, "abc") == 2 * 1200
    assert run_left({}, run, "abc") is None


@dataclass
class Tiny:
    """Three stages in place of a recipe's."""

    recipe: Recipe
    run: Run
    base: Path

    def all(self) -> dict[str, Callable[[], Counts]]:
        return dict.fromkeys(("problems", "student_0", "merge_0"), dict)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "Stages", Tiny)


@pytest.mark.usefixtures("tiny")
def test_every_stage_is_announced_with_the_time_left(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.path("student_0.clock").write_text("773.0")
    run_recipe("paper", run.folder, base=Path("base"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stage 1/3 problems (time left: about 20 min)"  # 3 + 1973 - 773 + 3
    assert re.fullmatch(r"stage 2/3 student_0 \(time left: .+\)", lines[1])
    assert lines[2] == "stage 3/3 merge_0 (time left: less than a minute)"
    run_recipe("paper", run.folder, base=Path("base"))
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("tiny")
def test_a_run_that_another_process_carries_out_is_left_alone(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both would append to the same files, and count what the other has drawn."""
    with alone(run.folder), pytest.raises(InUseError):
        run_recipe("paper", run.folder, base=Path("base"))
    assert capsys.readouterr().out == ""
    assert not run.counts()
    assert not run.path("recipe.json").exists()


@pytest.mark.usefixtures("tiny")
def test_of_one_stage_its_own_time_is_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe("paper", run.folder, base=Path("base"), stage="student_0")
    assert capsys.readouterr().out == "stage 2/3 student_0 (time left: about 33 min)\n"


@pytest.mark.usefixtures("tiny")
def test_a_recipe_that_was_never_measured_says_so(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run_recipe("smoke", run.folder, base=Path("base"))
    assert "stage 3/3 merge_0 (time left: not known)" in capsys.readouterr().out


def test_a_run_from_before_a_stage_was_added_does_that_stage_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kept run does, whose other scorers are gone: what was done stays as it was."""
    did: list[str] = []

    def all_stages(made: Stages) -> dict[str, Callable[[], Counts]]:
        def work(name: str) -> Counts:
            did.append(name)
            return {}

        return {name: partial(work, name) for name in every(made)}

    every = Stages.all
    monkeypatch.setattr(Stages, "all", all_stages)
    before = replace(paper(), orm_matched=False)
    settings = before.settings()
    del settings["orm_matched"]  # there was no such field
    run.remember(settings)
    for name in every(Stages(before, run, Path("base"))):
        done(run, name, 1)
    kept = {path.name: path.read_bytes() for path in run.folder.glob("*.done.json")}
    run_recipe("paper", run.folder, base=Path("base"))
    assert did == ["matched_examples", "orm_matched", "matched_steps"]
    assert all(run.path(name).read_bytes() == content for name, content in kept.items())
    assert json.loads(run.path("recipe.json").read_text())["orm_matched"] is True


@pytest.mark.parametrize("recipe", [paper(), first_light()], ids=lambda recipe: recipe.name)
def test_every_stage_that_takes_its_time_was_measured(recipe: Recipe, run: Run) -> None:
    every = set(Stages(recipe, run, Path("base")).all())
    assert set(recipe.expected) <= every
    quick = {"outcome_examples", "step_examples", "matched_examples", "pairs", "bundle"}
    assert every - set(recipe.expected) <= quick
    assert not smoke().expected
