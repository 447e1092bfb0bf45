"""A run folder: its recipe, its stages' order, and what it keeps of one."""

import json
import os
from pathlib import Path

import pytest

from glore_models.recipes.run import Counts, OtherRecipeError, Run


def test_a_recipe_is_written_once_and_then_only_compared(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.remember({"seed": 1})
    file = run.path("recipe.json")
    os.utime(file, (1, 1))
    run.remember({"seed": 1})
    assert file.stat().st_mtime == 1
    with pytest.raises(OtherRecipeError):
        run.remember({"seed": 2})
    assert json.loads(file.read_text()) == {"seed": 1}


def test_settings_that_only_add_stages_may_change(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.remember({"seed": 1})
    for value in (True, False):
        run.remember({"seed": 1, "more": value}, adding=("more",))
        assert json.loads(run.path("recipe.json").read_text()) == {"seed": 1, "more": value}
    for other in ({"seed": 2, "more": False}, {"seed": 1, "less": False}):
        with pytest.raises(OtherRecipeError):
            run.remember(other, adding=("more",))
    with pytest.raises(OtherRecipeError):
        run.remember({"seed": 1, "more": True})
    assert json.loads(run.path("recipe.json").read_text()) == {"seed": 1, "more": False}


def test_a_setting_that_came_later_is_compared_where_it_is_known(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.remember({"seed": 1})
    run.remember({"seed": 1, "hash": "a"}, later=("hash",))  # begun before there was one
    run.remember({"seed": 1, "hash": "a"}, later=("hash",))
    with pytest.raises(OtherRecipeError):
        run.remember({"seed": 1, "hash": "b"}, later=("hash",))
    with pytest.raises(OtherRecipeError):
        run.remember({"seed": 2, "hash": "a"}, later=("hash",))


def test_the_settings_that_differ_are_named(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.remember({"seed": 1, "n": {"of": 4}, "gone": None, "gsm8k": None, "same": 1})
    with pytest.raises(OtherRecipeError) as other:
        run.remember({"seed": 1, "n": {"of": 5}, "gsm8k": None, "same": 1, "new": None})
    assert str(other.value) == (
        f"{tmp_path}/run holds a run with other settings: it differs in n, gone, new; "
        "name another folder, or go on with its settings, without --start-from"
    )


@pytest.mark.parametrize(("then", "said"), [("train.jsonl", "train.jsonl"), (None, "no file")])
@pytest.mark.parametrize("differs", ["gsm8k", "gsm8k_sha256"])
def test_what_named_the_gsm8k_file_is_reported_when_that_differs(
    tmp_path: Path, then: str | None, said: str, differs: str
) -> None:
    run, settings = Run(tmp_path), {"gsm8k": then, "gsm8k_sha256": "a"}
    run.remember(settings)
    reported = rf"differs in {differs} \(GLORE_GSM8K named {said} then\);"
    with pytest.raises(OtherRecipeError, match=reported):
        run.remember({**settings, differs: "b"})


def test_a_checkpoint_goes_when_the_stage_is_done_and_not_before(tmp_path: Path) -> None:
    run, checkpoint = Run(tmp_path), tmp_path / "sorm.checkpoint"

    def killed() -> Counts:
        checkpoint.write_text("almost done")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.stage("sorm", killed)
    assert checkpoint.exists()
    run.stage("sorm", dict)
    assert not checkpoint.exists()


def test_a_kill_while_the_recipe_is_written_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def cut_off(self: Path, text: str, encoding: str) -> int:
        write(self, text[:3], encoding)
        raise KeyboardInterrupt

    run = Run(tmp_path)
    monkeypatch.setattr(Path, "write_text", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run.remember({"seed": 1})
    monkeypatch.undo()
    run.remember({"seed": 1})
    assert json.loads(run.path("recipe.json").read_text()) == {"seed": 1}


def test_stages_are_counted_in_the_recipes_order_whenever_they_were_done(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for age, name in enumerate(("samples", "orm", "problems", "left_over")):
        run.stage(name, dict)
        os.utime(run.path(f"{name}.done.json"), (age, age))
    order = ("problems", "student_0", "samples", "orm")
    assert list(run.counts(order)) == ["problems", "samples", "orm", "left_over"]
    assert list(run.counts()) == ["left_over", "orm", "problems", "samples"]


def test_a_stage_keeps_its_seconds_and_is_done_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    did: list[int] = []

    def work() -> Counts:
        did.append(1)
        return {"rows": 3}

    first = run.stage("samples", work)
    assert first["rows"] == 3
    assert first["seconds"] >= 0
    assert run.stage("samples", work) == first
    assert len(did) == 1
