"""The kept run can be gone on with as the recipe is today."""

import json
import shutil
from pathlib import Path

import pytest

from models.recipes.paper import paper
from models.recipes.run import Run

KEPT = Path(__file__).parents[3] / "models" / "kept" / "paper"


def test_todays_recipe_is_that_of_the_kept_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that is new, gone or changed makes `--start-from models/kept/paper` useless."""
    monkeypatch.setenv("GLORE_GSM8K", str(tmp_path / "train.jsonl"))  # as it was named then
    kept = json.loads((KEPT / "recipe.json").read_text())
    assert json.loads(json.dumps(paper().settings(), default=str)) == kept
    Run(tmp_path / "new").remember(paper().settings())
    assert (tmp_path / "new" / "recipe.json").read_text() == (KEPT / "recipe.json").read_text()
    shutil.copyfile(KEPT / "recipe.json", tmp_path / "recipe.json")
    Run(tmp_path).remember(paper().settings())
