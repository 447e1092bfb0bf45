import errno
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glore.cli import main
from glore_models.sampling.server import launch as sampling
from glore_models.serving import checks, engines, up
from glore_models.serving.bundle import Bundle
from glore_models.serving.cache import Cache
from glore_models.serving.preset_engines import preset_servers
from glore_models.serving.presets import PRESETS
from glore_models.serving.processes import own_logs

PORTS = {"generation": 8101, "sorm": 8102, "orm": 8103}


def run_up(
    tmp_path: Path, *, preset: str | None = None, dry_run: bool = False, **ports: int
) -> int:
    given = {"port": 0, "generation_port": 0, "scoring_port": 0, "orm_port": 0} | ports
    return up.up_command(
        host="127.0.0.1",
        port=given["port"],
        cache=tmp_path / "cache",
        generation_port=given["generation_port"],
        scoring_port=given["scoring_port"],
        orm_port=given["orm_port"],
        preset=preset,
        dry_run=dry_run,
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


def test_a_cache_that_cannot_be_created_is_one_message(
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


SECRET = "hidden-" + "k" * 40
SECRETS = {
    "GLORE_API_KEY": SECRET,
    "GLORE_API_KEYS": f"alice:{SECRET}",
    "GLORE_GENERATION__API_KEY": SECRET,
    "GLORE_ENGINES__ORM__API_KEY": SECRET,
    "GLORE_SCORING": f'{{"url": "http://127.0.0.1:1", "api_key": "{SECRET}"}}',
    "GLORE_STORE": f"postgresql://u:{SECRET}@host/db",
    "VLLM_API_KEY": SECRET,
    "HF_TOKEN": SECRET,
    "HF_HUB_SOMETHING": SECRET,
}


@pytest.mark.parametrize("preset", [None, "qwen-math"])
def test_a_dry_run_shows_no_secret(
    paper_bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    preset: str | None,
) -> None:
    monkeypatch.setenv("GLORE_BUNDLE", str(paper_bundle.path))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GLORE_MAX_RUNNING", "7")
    assert run_up(tmp_path, preset=preset, dry_run=True) == 0
    said = capsys.readouterr().out
    assert "hidden" not in said
    assert "# with GLORE_STORE as it is set here" in said
    assert "GLORE_MAX_RUNNING=7" in said


def test_no_engine_is_started_with_the_gateways_settings(
    paper_bundle: Bundle, tmp_path: Path
) -> None:
    cache = Cache(tmp_path, paper_bundle)
    (tmp_path / "config.json").write_text("{}")
    given = {"PATH": "/bin", "GLORE_MAX_RUNNING": "7", **SECRETS}
    launches = [
        engines.generation_engine(cache, 1, environment=given),
        engines.scoring_engine(cache, 2, environment=given),
        *preset_servers(PRESETS["qwen-math"], PORTS, environment=given).values(),
        sampling(tmp_path, "s", "127.0.0.1", 3, gpu=False, environment=given),
    ]
    assert len(launches) == 6
    for launch in launches:
        assert launch.command[:3] == (sys.executable, "-P", "-m")
        assert not [name for name in launch.environment if name.startswith("GLORE_")]
        assert (launch.environment["PATH"], launch.environment["HF_TOKEN"]) == ("/bin", SECRET)
    gateway = engines.gateway("127.0.0.1", 8000, launches[:2], paper_bundle, environment=given)
    assert gateway.environment["GLORE_API_KEYS"] == SECRETS["GLORE_API_KEYS"]
    assert gateway.command[:3] == (sys.executable, "-P", "-m")


@pytest.mark.parametrize("folder", ["/proc/none/cache", "/dev/null/cache"])
def test_a_cache_that_cannot_be_written_is_one_message(
    paper_bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
) -> None:
    monkeypatch.setenv("GLORE_BUNDLE", str(paper_bundle.path))
    monkeypatch.setattr(checks, "ENGINE_MEMORY", 0.0)
    assert run_up(Path(folder).parent) == 1
    said = capsys.readouterr().out
    assert f"Logs cannot be written into {folder}/logs: " in said
    assert "GLORE_CACHE" in said
    assert "Traceback" not in said


def test_a_part_of_the_cache_that_cannot_be_read_is_one_message(
    paper_bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def denied(_self: Cache, part: str) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", part)

    monkeypatch.setenv("GLORE_BUNDLE", str(paper_bundle.path))
    monkeypatch.setattr(checks, "ENGINE_MEMORY", 0.0)
    monkeypatch.setattr(Cache, "problem", denied)
    assert run_up(tmp_path) == 1
    assert "student: Permission denied." in capsys.readouterr().out


def test_a_second_service_on_the_cache_says_where_its_logs_are(
    paper_bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLORE_BUNDLE", str(paper_bundle.path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(checks, "ENGINE_MEMORY", 0.0)
    logs = tmp_path / "cache" / "logs"
    with own_logs(logs, 8000):
        (logs / "build.log").write_text("of the first\n")
        assert run_up(tmp_path) == 1
    assert (logs / "build.log").read_text() == "of the first\n"
    said = capsys.readouterr().out.replace("\n", " ")
    assert f"another service writes its logs into {logs}; ours are in {logs}/0" in said
    assert f"{logs}/0/build.log" in said


def test_a_gateway_that_everybody_can_ask_begins_with_a_warning(
    paper_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_BUNDLE", str(paper_bundle.path))
    command = ["up", "--dry-run", "--cache", str(tmp_path), "--host"]
    said = CliRunner().invoke(main, [*command, "0.0.0.0"]).stdout  # noqa: S104
    assert "warning: the gateway listens on 0.0.0.0 and asks for no key" in said.splitlines()[0]
    assert "warning" not in CliRunner().invoke(main, [*command, "localhost"]).stdout
    monkeypatch.setenv("GLORE_API_KEYS", "k" * 40)
    assert "warning" not in CliRunner().invoke(main, [*command, "0.0.0.0"]).stdout  # noqa: S104


def test_the_screen_says_how_the_service_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(sys.executable).parents[2])
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setattr(sys, "argv", [str(Path(sys.executable).parent / "glore"), "up"])
    said = up._try_this("0.0.0.0", 8000)  # noqa: S104
    assert "curl -s http://127.0.0.1:8000/solve" in said
    assert "\n  .venv/bin/glore ask 'Harper" in said
    assert "--url" not in said
    assert "--url http://[::1]:8001\n" in up._try_this("::1", 8001)


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
