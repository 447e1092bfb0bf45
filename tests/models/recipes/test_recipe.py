"""The kept run can be gone on with as the recipe is today."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from glore_models.recipes.catalog import paper_gpu, smoke
from glore_models.recipes.recipe import ADDITIVE_SETTINGS, LATER_SETTINGS
from glore_models.recipes.run import OtherRecipeError, Run

KEPT = Path(__file__).parents[3] / "models" / "kept" / "paper_gpu"


def test_todays_recipe_is_that_of_the_stored_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that is new, gone or changed makes `--start-from models/kept/paper_gpu` useless."""
    file = tmp_path / "train.jsonl"  # as it was named then
    file.write_text("not what was read then\n")
    monkeypatch.setenv("GLORE_GSM8K", str(file))
    stored = json.loads((KEPT / "recipe.json").read_text())
    settings = paper_gpu().settings()
    assert stored["gsm8k_sha256"] != settings["gsm8k_sha256"]
    shutil.copyfile(KEPT / "recipe.json", tmp_path / "recipe.json")
    with pytest.raises(OtherRecipeError):
        Run(tmp_path).remember(settings, ADDITIVE_SETTINGS, LATER_SETTINGS)
    settings["gsm8k_sha256"] = stored["gsm8k_sha256"]
    assert json.loads(json.dumps(settings, default=str)) == stored
    Run(tmp_path).remember(settings)
    assert (tmp_path / "recipe.json").read_text() == (KEPT / "recipe.json").read_text()


def test_begun_without_its_gsm8k_file_the_stored_run_says_so_and_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLORE_GSM8K", raising=False)
    shutil.copyfile(KEPT / "recipe.json", tmp_path / "recipe.json")
    reported = (
        r"differs in gsm8k, gsm8k_sha256 \(GLORE_GSM8K named train.jsonl then\); .+--start-from"
    )
    with pytest.raises(OtherRecipeError, match=reported):
        Run(tmp_path).remember(paper_gpu().settings(), ADDITIVE_SETTINGS, LATER_SETTINGS)
    Run(tmp_path).remember(
        json.loads((KEPT / "recipe.json").read_text()), ADDITIVE_SETTINGS, LATER_SETTINGS
    )


def test_a_gsm8k_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    seen = set()
    for content in ("a", "b"):
        file.write_text(content)
        seen.add(replace(smoke(), gsm8k=file).settings()["gsm8k_sha256"])
    assert len(seen) == 2
    assert smoke().settings()["gsm8k_sha256"] is None
    with pytest.raises(FileNotFoundError):
        replace(smoke(), gsm8k=tmp_path / "none.jsonl").settings()
