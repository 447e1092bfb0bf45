"""`glore train`: which sampler its options choose, and what is missing for it."""

import errno
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glore.cli import main
from glore_models.commands import train
from glore_models.data import sources
from glore_models.data.locks import lock_folder
from glore_models.recipes.leakage import LeakageError
from glore_models.sampling.choice import SamplerChoice


def glore(*arguments: str) -> tuple[int, str]:
    """The exit status and what was said on standard error."""
    result = CliRunner().invoke(main, ["train", "smoke", *arguments])
    return result.exit_code, result.stderr


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What recipes were carried out with; nothing is made or trained."""
    seen: list[dict[str, Any]] = []

    def run(name: str, run_dir: Path, **more: Any) -> None:
        seen.append({"name": name, "run_dir": run_dir, **more})

    monkeypatch.setattr(train, "run_recipe", run)
    monkeypatch.setattr("glore_models.serving.build.ensure_base", lambda _cache: tmp_path)
    return seen


def test_the_recipes_own_sampler_is_used_unless_another_is_chosen(
    carried_out: list[dict[str, Any]],
) -> None:
    assert glore() == (0, "")
    assert glore("--sampler", "ray", "--engine-url", "http://a/", "--engine-url", "http://b") == (
        0,
        "",
    )
    own, ray = (each["make_sampler"] for each in carried_out)
    assert own is None
    assert ray.__qualname__ == "ray_sampler"


def test_a_run_that_ends_says_how_its_bundle_is_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "a run" / "bundle"
    monkeypatch.setattr(train, "run_recipe", lambda *_, **__: bundle)
    monkeypatch.setattr("glore_models.serving.build.ensure_base", lambda _cache: tmp_path)
    monkeypatch.chdir(Path(__file__).parents[3])
    result = CliRunner().invoke(main, ["train", "smoke"])
    assert result.exit_code == 0, result.output
    where, command = result.stdout.splitlines()
    assert where == f"The bundle is in {bundle}. To serve it:"
    assert shlex.split(command) == [f"GLORE_BUNDLE={bundle}", "make", "run"]


def test_all_options_reach_the_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLORE_GENERATION__API_KEY", "secret")
    chosen = train.choose_sampler(
        "ray",
        engine_urls=["http://a/", "http://b"],
        ray_address="auto",
        ray_dir=tmp_path,
        engines=None,
        concurrency=7,
    )
    assert chosen == SamplerChoice(
        "ray",
        engine_urls=("http://a", "http://b"),
        ray_address="auto",
        ray_dir=tmp_path,
        concurrency=7,
        api_key="secret",
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--sampler", "magic"], "no sampler 'magic'; the samplers are local, vllm, ray"),
        (["--engine-url", "http://a"], "need --sampler vllm or ray"),
        (["--sampler", "vllm", "--ray-address", "auto"], "the sampler vllm knows no Ray"),
        (["--sampler", "local", "--engine-url", "http://a"], "asks 0 engines, not 1"),
        (["--sampler", "ray", "--engines", "0"], "--engines"),
    ],
)
def test_options_that_contradict_each_other_are_refused(arguments: list[str], text: str) -> None:
    status, said = glore(*arguments)
    assert status == 2
    assert text in said


def test_a_folder_for_ray_that_is_not_there_is_reported_before_anything_is_created(
    carried_out: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = glore("--sampler", "ray", "--ray-dir", "nowhere")
    assert (status, carried_out) == (2, [])
    assert "there is no folder" in said


@pytest.mark.parametrize(
    ("package", "arguments", "text"),
    [
        ("ray", ["--sampler", "ray"], "the sampler ray needs ray, which is not installed"),
        ("vllm", ["--sampler", "vllm"], "the sampler vllm needs vllm, which is not installed"),
        ("gguf", ["--sampler", "ray"], "training needs gguf, which is not installed"),
        ("matplotlib", [], "training needs matplotlib, which is not installed"),
    ],
)
@pytest.mark.usefixtures("carried_out")
def test_what_a_sampler_needs_is_named_before_anything_is_created(
    package: str, arguments: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    status, said = glore(*arguments)
    assert status == 1
    assert text in said


def test_sampling_that_fails_is_one_line_and_status_1(
    carried_out: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sample(*_: object, make_sampler: Callable[[Path, int], object], **__: object) -> None:
        make_sampler(Path("merged_0"), 1)

    assert not carried_out
    monkeypatch.setattr(train, "run_recipe", sample)
    status, said = glore("--sampler", "vllm", "--engine-url", "http://127.0.0.1:9")
    assert (status, said.count("\n")) == (1, 1)
    assert "no models from http://127.0.0.1:9" in said


def test_a_run_begins_with_one_that_was_stored(
    carried_out: list[dict[str, Any]], tmp_path: Path
) -> None:
    stored, folder = tmp_path / "kept", tmp_path / "run"
    stored.mkdir()
    (stored / "recipe.json").write_text("{}")
    assert glore("--run-dir", str(folder), "--start-from", str(stored)) == (0, "")
    assert (folder / "recipe.json").read_text() == "{}"
    assert len(carried_out) == 1
    status, said = glore("--run-dir", str(folder), "--start-from", str(stored))
    assert status == 2
    assert "holds a run already" in said.replace("\n", " ")
    status, said = glore("--run-dir", str(tmp_path / "new"), "--start-from", str(tmp_path))
    assert status == 2
    assert len(carried_out) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file or directory"),
        (b'{"question": "1 + 1?", "answer": "#### 2"}\n{}\n', "gsm8k.jsonl:2: not a GSM8K line"),
        (b"\x80\n", "gsm8k.jsonl:1: not a GSM8K line"),
    ],
)
def test_a_gsm8k_file_that_will_not_do_is_reported_before_anything_is_created(
    carried_out: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
    text: str,
) -> None:
    file = tmp_path / "gsm8k.jsonl"
    monkeypatch.setenv("GLORE_GSM8K", str(file))
    if content is not None:
        file.write_bytes(content)
    status, said = glore()
    reported = " ".join(said.replace("│", " ").split())
    assert (status, "GLORE_GSM8K: " in reported, carried_out) == (2, True, [])
    assert text in reported


def test_a_gsm8k_file_with_too_few_problems_is_reported(
    carried_out: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "few.jsonl"
    file.write_text('{"question": "1 + 1?", "answer": "#### 2"}\n')

    def draw(*_: object, **__: object) -> None:
        sources.load(str(file), 2, seed=1, split="train")

    assert not carried_out
    monkeypatch.setattr(train, "run_recipe", draw)
    status, said = glore()
    assert status == 2
    assert "problems of split train, not 2" in " ".join(said.replace("│", " ").split())


def test_a_run_in_use_is_one_line_and_status_1(
    carried_out: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(*_: object, **__: object) -> None:
        with lock_folder(tmp_path), lock_folder(tmp_path):
            pass

    assert not carried_out
    monkeypatch.setattr(train, "run_recipe", used)
    status, said = glore()
    assert (status, said.count("\n")) == (1, 1)
    assert "another process works in" in said


def test_a_stage_whose_input_is_not_there_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("glore_models.serving.build.ensure_base", lambda _cache: tmp_path)
    status, said = glore("--run-dir", str(tmp_path), "--stage", "sorm")
    line = f"glore: there is no {tmp_path}/sorm.jsonl yet; an earlier stage makes it\n"
    assert (status, said) == (1, line)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "[Errno 28] No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/far/off"), "/far/off: No such file"),
        (OSError("no model\n  at all"), "no model at all"),
        (LeakageError("sorm.jsonl holds 1 questions of easy: 'x'"), "sorm.jsonl holds 1 questions"),
    ],
)
def test_what_ends_a_run_is_one_line_and_status_1(
    carried_out: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    assert not carried_out
    monkeypatch.setattr(train, "run_recipe", fail)
    status, said = glore()
    assert (status, said.count("\n")) == (1, 1)
    assert text in said
