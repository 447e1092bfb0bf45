"""The commands that messages name work from a clone and from an installation."""

import json
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import glore
from glore import installation

CLONE = Path(glore.__file__).parents[3]


def script(folder: Path) -> Path:
    """An executable `glore` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "glore"
    file.write_text("#!/bin/sh\necho started $@\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("on_path", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_the_command_line_starts_the_glore_that_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, on_path: bool, inside: bool
) -> None:
    ours = script(tmp_path / "a folder" / ".venv" / "bin")
    other = script(tmp_path / "other")
    monkeypatch.chdir(tmp_path / "a folder" if inside else tmp_path / "other")
    monkeypatch.setattr(sys, "argv", [str(ours)])
    first = ours if on_path else other
    monkeypatch.setenv("PATH", f"{first.parent}:/usr/bin:/bin")
    line = installation.command("ask '1 + 1?'")
    expected = str(ours) if not inside else ".venv/bin/glore"
    assert shlex.split(line) == ["glore" if on_path else expected, "ask", "1 + 1?"]
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    assert done.stdout == "started ask 1 + 1?\n"


def test_without_a_script_the_module_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert installation.command("up") == f"{tmp_path}/python -m glore.cli up"


def test_in_a_clone_make_installs_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(CLONE / ".venv"))
    monkeypatch.chdir(CLONE)
    assert installation.missing("torch.nn") == (
        "torch.nn, which is not installed; `make develop` installs it"
    )
    assert "`make environment` installs it" in installation.missing("asyncpg")
    monkeypatch.chdir(tmp_path)
    assert f"`make -C {CLONE} develop` installs it" in installation.missing("peft")
    assert "not whole" in installation.missing("pydantic")
    targets = (CLONE / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{name}: " in targets for name in ("develop", "environment", "run"))


def test_in_another_environment_pip_installs_the_clone_with_its_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.chdir("/")
    line = installation.missing("ray").partition("`")[2].partition("`")[0]
    assert shlex.split(line)[1:] == [
        *("-m", "pip", "install"),
        *("-e", f"{CLONE}/clients/python", "-e", f"{CLONE}/service", "-e", f"{CLONE}/models[ray]"),
    ]


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ({"url": "file:///w/m.whl", "archive_info": {}}, "glore-models[train] @ file:///w/m.whl"),
        (
            {"url": "https://h/glore", "vcs_info": {"vcs": "git", "commit_id": "c1"}},
            "glore-models[train] @ git+https://h/glore@c1#subdirectory=models",
        ),
        (None, None),
    ],
)
def test_from_elsewhere_pip_installs_from_where_glore_came(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    origin: dict[str, object] | None,
    wanted: str | None,
) -> None:
    info = tmp_path / "glore-0.1.0.dist-info"
    info.mkdir()
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(glore, "__file__", str(tmp_path / "lib" / "site-packages" / "glore" / "x"))
    monkeypatch.setattr(metadata, "distribution", lambda _name: metadata.PathDistribution(info))
    said = installation.missing("matplotlib")
    assert installation.make("run") is None
    if wanted is None:
        assert "install glore-models's extra `train` from where this glore came from" in said
    else:
        assert shlex.split(said.partition("`")[2].partition("`")[0])[1:] == [
            *("-m", "pip", "install", wanted)
        ]
