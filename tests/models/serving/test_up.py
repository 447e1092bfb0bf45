import socket
from pathlib import Path

import pytest

from models.serving import checks, up
from models.serving.bundle import Bundle


def run_up(
    tmp_path: Path, *, preset: str | None = None, dry_run: bool = False, **ports: int
) -> int:
    given = {"port": 0, "generation_port": 0, "scoring_port": 0, "orm_port": 0} | ports
    return up.up_command(
        host="127.0.0.1", cache=tmp_path / "cache", preset=preset, dry_run=dry_run, **given
    )


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GLORE_GENERATION__URL", "GLORE_SCORING__URL", "GLORE_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("which", "option"),
    [
        ("port", "--port"),
        ("generation_port", "--generation-port"),
        ("scoring_port", "--scoring-port"),
    ],
)
def test_a_port_in_use_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str, option: str
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        assert run_up(tmp_path, **{which: holder.getsockname()[1]}) == 1
    said = capsys.readouterr().out
    assert option in said
    assert "Traceback" not in said
    assert not (tmp_path / "cache").exists()


def test_too_little_memory_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "ENGINE_MEMORY", 1e15)
    assert run_up(tmp_path) == 1
    assert "GB of memory are available" in capsys.readouterr().out


def test_missing_adapters_are_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_BUNDLE", str(tmp_path / "nowhere"))
    monkeypatch.setattr(checks, "ENGINE_MEMORY", 0.0)
    assert run_up(tmp_path) == 1
    assert "are not complete" in capsys.readouterr().out


def test_a_cache_that_cannot_be_made_is_one_message(
    paper_bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLORE_BUNDLE", str(paper_bundle.path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(checks, "ENGINE_MEMORY", 0.0)
    assert run_up(tmp_path) == 1
    said = capsys.readouterr().out
    assert "pip could not download" in said
    assert "build.log" in said


def test_a_dry_run_of_a_preset_prints_its_commands_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_GENERATION__API_KEY", "sk-hidden")
    monkeypatch.setenv("GLORE_API_KEYS", "k-hidden")
    ports = {"port": 8000, "generation_port": 8101, "scoring_port": 8102, "orm_port": 8103}
    status = run_up(tmp_path, preset="qwen-math", dry_run=True, **ports)
    said = capsys.readouterr().out
    assert status == 0
    for name in ("generation, port 8101", "sorm, port 8102", "orm, port 8103", "gateway, port"):
        assert f"# {name}" in said
    for text in ("--model Qwen/Qwen2.5-Math-PRM-7B", "GLORE_FAMILIES__SORM=qwen_prm", "Apache-2.0"):
        assert text in said
    assert "hidden" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_the_bundled_models(
    paper_bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLORE_BUNDLE", str(paper_bundle.path))
    assert run_up(tmp_path, dry_run=True) == 0
    said = capsys.readouterr().out
    assert "# scoring, port 0" in said
    assert "GLORE_SCORING__URL=http://127.0.0.1:0" in said
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("preset", "text"), [("qwen", "no preset 'qwen'"), ("qwen-math", "GPU")])
def test_a_preset_that_cannot_be_started_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], preset: str, text: str
) -> None:
    assert run_up(tmp_path, preset=preset) == 1
    assert text in capsys.readouterr().out


def test_an_engine_with_an_address_is_not_started_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not up._elsewhere("scoring")
    monkeypatch.setenv("GLORE_ENGINES__SORM__URL", "http://127.0.0.1:1")
    assert not up._elsewhere("scoring")
    monkeypatch.setenv("GLORE_ENGINES__ORM__URL", "http://127.0.0.1:1")
    assert up._elsewhere("scoring")
    assert not up._elsewhere("generation")
    monkeypatch.setenv("GLORE_GENERATION__URL", "http://127.0.0.1:1")
    assert up._elsewhere("generation")
