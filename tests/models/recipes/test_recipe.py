"""The kept run can be gone on with as the recipe is today."""

import json
import shutil
from pathlib import Path

import pytest

from models.recipes.paper import paper_gpu
from models.recipes.run import Run

KEPT = Path(__file__).parents[3] / "models" / "kept" / "paper_gpu"


def test_todays_recipe_is_that_of_the_kept_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that is new, gone or changed makes `--start-from models/kept/paper_gpu` useless."""
    monkeypatch.setenv("GLORE_GSM8K", str(tmp_path / "train.jsonl"))  # as it was named then
    kept = json.loads((KEPT / "recipe.json").read_text())
    assert json.loads(json.dumps(paper_gpu().settings(), default=str)) == kept
    Run(tmp_path / "new").remember(paper_gpu().settings())
    assert (tmp_path / "new" / "recipe.json").read_text() == (KEPT / "recipe.json").read_text()
    shutil.copyfile(KEPT / "recipe.json", tmp_path / "recipe.json")
    Run(tmp_path).remember(paper_gpu().settings())
