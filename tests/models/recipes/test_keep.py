"""A run is kept without what follows from it, and another goes on from there."""

import json
from pathlib import Path

import pytest

from glore_models.recipes import keep as module
from glore_models.recipes.keep import keep, unpack
from glore_models.serving.bundle import ROLES, SHIPPED

KEPT = Path(__file__).parents[3] / "models" / "kept" / "paper_gpu"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    for name in ("student_0", "merged_0", "sorm"):
        (folder / name).mkdir(parents=True)
    for name in ("student_0", "sorm"):
        config = {"base_model_name_or_path": str(tmp_path), "target_modules": ["v", "k"]}
        (folder / name / "adapter_config.json").write_text(json.dumps(config))
        (folder / name / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "sorm" / "head.safetensors").write_bytes(b"head")
    (folder / "merged_0" / "model.safetensors").write_bytes(b"large")
    (folder / "bundle" / "sorm").mkdir(parents=True)
    (folder / "bundle" / "CARD.md").write_text("what was counted")
    (folder / "samples.jsonl").write_text('{"a": 1}\n' * 1000)
    for name in ("student_problems", "ei_1_problems"):
        (folder / f"{name}.jsonl").write_text('{"question": "of GSM8K"}\n')
    (folder / "sorm.checkpoint").write_bytes(b"optimiser")
    for name in (
        *("recipe", "problems.done", "ei_1_problems.done"),
        *("merge_0.done", "student_0.done", "thresholds", "bundle.done"),
    ):
        (folder / f"{name}.json").write_text(json.dumps({"name": name}))
    return folder


def test_what_is_costly_is_stored_and_comes_back(run: Path, tmp_path: Path) -> None:
    packed = keep(run, tmp_path / "kept")
    assert "samples.jsonl.gz" in packed
    assert "sorm/head.safetensors" in packed
    names = {str(p.relative_to(tmp_path / "kept")) for p in (tmp_path / "kept").rglob("*.*")}
    assert names == set(packed)
    assert (tmp_path / "kept" / "samples.jsonl.gz").stat().st_size < 200
    unpack(tmp_path / "kept", tmp_path / "again")
    again = tmp_path / "again"
    assert (again / "samples.jsonl").read_text() == (run / "samples.jsonl").read_text()
    assert (again / "student_0" / "adapter_model.safetensors").read_bytes() == b"weights"
    assert (again / "student_0.done.json").exists()
    for path in again.rglob("adapter_config.json"):
        assert str(tmp_path) not in path.read_text()
    gone = (
        *("merged_0", "merge_0.done.json", "sorm.checkpoint"),
        *("problems.done.json", "student_problems.jsonl", "ei_1_problems.jsonl"),
        *("bundle", "bundle.done.json"),
    )
    assert not any((again / name).exists() for name in gone)


def test_the_stored_run_does_not_call_done_what_is_not_in_it() -> None:
    """Its students' problems, checkpoints and bundle are made again."""
    done = {path.name.removesuffix(".done.json") for path in KEPT.glob("*.done.json")}
    assert {"student_0", "samples", "matched_steps"} <= done
    again = {"problems", "merge_0", "ei_1_problems", "merge_1", "bundle"}
    assert not done & again


def test_weights_that_ship_are_not_packed_again_and_come_from_the_bundle(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "student").mkdir(parents=True)
    weights = bundle / "student" / "adapter_model.safetensors"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(module, "SHIPPED", bundle)
    (run / "sorm" / weights.name).write_bytes(b"others")
    packed = keep(run, tmp_path / "kept")
    assert f"sorm/{weights.name}" in packed
    assert not (tmp_path / "kept" / "student_0" / weights.name).exists()
    unpack(tmp_path / "kept", tmp_path / "again")
    assert (tmp_path / "again" / "student_0" / weights.name).read_bytes() == b"weights"
    assert not (tmp_path / "again" / "shipped.json").exists()
    weights.write_bytes(b"of another run")
    with pytest.raises(FileNotFoundError, match="student_0 is not its student"):
        unpack(tmp_path / "kept", tmp_path / "third")


def test_the_stored_run_comes_back_with_every_adapter_that_ships(tmp_path: Path) -> None:
    unpack(KEPT, tmp_path / "run")
    for folder, role in {"student_1": "student", **{each: each for each in ROLES[1:]}}.items():
        weights = tmp_path / "run" / folder / "adapter_model.safetensors"
        assert weights.read_bytes() == (SHIPPED / role / weights.name).read_bytes()
    assert (tmp_path / "run" / "student_0" / "adapter_model.safetensors").is_file()


def test_records_are_stored_without_questions_that_are_not_ours(run: Path, tmp_path: Path) -> None:
    for set_ in ("easy", "gsm8k"):
        phases = run / "evaluation" / "ei" / set_
        phases.mkdir(parents=True)
        for name in ("drafts.jsonl", "made_with.json"):
            (phases / name).write_text(f'{{"of": "{set_}"}}\n')
        row = {"problem": "1", "question": f"of {set_}", "answer": "4", "solution": "2 + 2 = 4"}
        (phases / "rollouts.jsonl").write_text((json.dumps(row) + "\n") * 2)
        phases.with_suffix(".jsonl").write_text('{"question": "joined from the above"}\n')
    for set_ in ("fresh_easy", "fresh_gsm8k"):
        phases = run / "evaluation" / "ei" / set_
        phases.mkdir(parents=True)
        for name in ("questions.jsonl", "texts.jsonl"):
            (phases / name).write_text(f'{{"of": "{set_}"}}\n')
    (run / "evaluation" / "questions").mkdir()
    (run / "evaluation" / "questions" / "gsm8k.jsonl").write_text('{"question": "of GSM8K"}\n')
    keep(run, tmp_path / "kept")
    unpack(tmp_path / "kept", tmp_path / "again")
    again = tmp_path / "again" / "evaluation"
    assert {str(path.relative_to(again)) for path in again.rglob("*.*")} == {
        *(f"ei/easy/{name}" for name in ("drafts.jsonl", "rollouts.jsonl", "made_with.json")),
        *(f"ei/gsm8k/{name}" for name in ("drafts.jsonl", "rollouts.jsonl", "made_with.json")),
        *(f"ei/fresh_easy/{name}" for name in ("questions.jsonl", "texts.jsonl")),
        "ei/fresh_gsm8k/texts.jsonl",
    }
    rows = {
        set_: [
            json.loads(line)
            for line in (again / f"ei/{set_}/rollouts.jsonl").read_text().splitlines()
        ]
        for set_ in ("easy", "gsm8k")
    }
    ours = {"problem": "1", "question": "of easy", "answer": "4", "solution": "2 + 2 = 4"}
    assert rows["easy"] == [ours] * 2
    assert rows["gsm8k"] == [{**ours, "question": "", "answer": ""}] * 2


@pytest.mark.parametrize("compared", [False, True])
def test_a_scorer_that_does_not_ship_is_stored_until_it_is_compared(
    run: Path, tmp_path: Path, *, compared: bool
) -> None:
    (run / "sorm").rename(run / "sorm_ratio")
    if compared:
        (run / "steps.done.json").write_text("{}")
    packed = keep(run, tmp_path / "kept")
    assert ("sorm_ratio/adapter_model.safetensors" in packed) is not compared
    assert "student_0/adapter_model.safetensors" in packed


def test_the_matched_orm_is_compared_by_a_stage_of_its_own(run: Path, tmp_path: Path) -> None:
    (run / "sorm").rename(run / "orm_matched")
    (run / "steps.done.json").write_text("{}")
    assert "orm_matched/head.safetensors" in keep(run, tmp_path / "kept")
    (run / "matched_steps.done.json").write_text("{}")
    assert "orm_matched/head.safetensors" not in keep(run, tmp_path / "compared")


def test_keeping_twice_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        keep(run, tmp_path / name)
    one, two = ((tmp_path / name / "samples.jsonl.gz").read_bytes() for name in ("one", "two"))
    assert one == two


def killed_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write after so many is cut off in its middle."""
    write, left = Path.write_bytes, iter(range(writes))

    def write_bytes(self: Path, content: bytes) -> int:
        if next(left, None) is None:
            write(self, content[: len(content) // 2])
            raise KeyboardInterrupt
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.mark.parametrize("writes", range(9))
@pytest.mark.parametrize("held", ["nothing", "an empty folder", "another file"])
def test_cut_off_at_any_file_unpacking_leaves_no_run_and_can_be_done_again(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, held: str
) -> None:
    stored, again = tmp_path / "kept", tmp_path / "again"
    keep(run, stored)
    if held != "nothing":
        again.mkdir()
    if held == "another file":
        (again / "notes").touch()
    unpack(stored, tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    assert len(whole) == 9

    killed_after(writes, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        unpack(stored, again)
    half = contents(again) if again.exists() else {}
    assert "recipe.json" not in half
    if any(name.endswith(".done.json") for name in half):
        data = {name for name in whole if not name.endswith((".done.json", "recipe.json"))}
        assert data <= half.keys()
    if held != "another file":
        assert not half
    monkeypatch.undo()

    unpack(stored, again)
    assert contents(again).items() >= whole.items()
    assert contents(again).keys() - whole.keys() <= {"notes"}
    assert not list(tmp_path.glob("*.unpacking"))


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_stored_run_is_unpacked_where_one_stands(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that is worked in is filled, not replaced; a link is followed."""
    keep(run, tmp_path / "kept")
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    unpack(tmp_path / "kept", Path())
    assert Path("recipe.json").exists()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    unpack(tmp_path / "kept", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "recipe.json").exists()


def test_a_run_is_not_written_over(run: Path, tmp_path: Path) -> None:
    keep(run, tmp_path / "kept")
    with pytest.raises(FileExistsError, match="holds a run already"):
        unpack(tmp_path / "kept", run)
    with pytest.raises(FileNotFoundError, match="no kept run"):
        unpack(tmp_path, tmp_path / "new")
