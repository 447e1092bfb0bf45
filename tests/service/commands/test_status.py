"""`glore status` and `glore serve --check`: in words, with an exit status for scripts."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from glore.cli import main
from glore.commands.status import in_words
from glore.engines.breaker import Circuit
from glore.engines.readiness import EngineState
from glore.role_settings import ROLES
from glore_client import Readiness
from tests.service.engines.fake_vllm import FakeVllm, fake_vllm
from tests.service.gateway import READY, FakeGateway, fake_gateway
from tests.service.processes import free_port


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as running:
        yield running


def glore(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_gateway_that_is_ready(gateway: FakeGateway) -> None:
    result = glore("status", "--url", gateway.url)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{gateway.url} is ready",
        "  generation: ready",
        "  scoring: ready",
    ]


@pytest.mark.parametrize(
    ("code", "body", "status", "reported"),
    [
        (
            200,
            {"status": "degraded", "engines": {"scoring": "unreachable"}},
            3,
            ["answers, without", "scoring: nothing answers", "GLORE_SCORING__URL"],
        ),
        (
            200,
            {"status": "degraded", "engines": {}, "circuits": {"orm": "open"}},
            3,
            ["orm: its calls failed; none is made"],
        ),
        (
            503,
            {"status": "not_ready", "engines": {"generation": "starting"}},
            1,
            ["is not ready", "generation: it is loading its model"],
        ),
        (
            503,
            {
                "status": "not_ready",
                "engines": {"orm": "missing_models"},
                "missing_models": {"orm": ["orm-v2", "x"]},
            },
            1,
            ["does not serve orm-v2, x;", "GLORE_MODELS__<ROLE>"],
        ),
        (
            503,
            {
                "status": "not_ready",
                "engines": {"sorm": "misfit"},
                "problems": {"sorm": "its tokenizer {merges}"},
            },
            1,
            ["does not fit its roles: its tokenizer {merges};"],
        ),
        (
            503,
            {"status": "not_ready", "engines": {"orm": "unauthorized"}},
            1,
            ["set GLORE_ENGINES__ORM__API_KEY"],
        ),
        (503, {"status": "stopping", "engines": {}}, 1, ["is stopping"]),
        (503, {"status": "resting", "engines": {"orm": "asleep {x}"}}, 1, ["orm: asleep {x}"]),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    gateway: FakeGateway, code: int, body: dict[str, Any], status: int, reported: list[str]
) -> None:
    gateway.ready = (code, body)
    result = glore("status", "--url", gateway.url)
    assert result.exit_code == status, result.output
    for text in reported:
        assert text in result.stdout


def test_every_state_and_circuit_of_a_gateway_has_words() -> None:
    for state in EngineState:
        reported = list(
            in_words(Readiness.model_validate(READY | {"engines": {"x": state}}), "it")
        )[1]
        assert reported.removeprefix("  x: ") != state or state is EngineState.READY
    broken = {"circuits": {"orm": Circuit.OPEN, "sorm": Circuit.HALF_OPEN}}
    assert all(
        "failed" in line
        for line in list(in_words(Readiness.model_validate(READY | broken), ""))[3:]
    )


def test_a_gateway_that_is_not_there_is_one_line() -> None:
    result = glore("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "no answer from" in result.stderr
    assert "starts a gateway" in result.stderr
    assert glore("status", "--url", "nonsense").exit_code == 2


def test_what_answers_is_no_gateway(gateway: FakeGateway) -> None:
    gateway.ready = (404, {"detail": "Not Found"})
    result = glore("status", "--url", gateway.url)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


# --- glore serve --check -----------------------------------------------------------------


def engine(server: FakeVllm, *models: str) -> None:
    """A healthy engine that serves these."""
    server.gives("/health", {})
    server.gives("/v1/models", {"object": "list", "data": [{"id": name} for name in models]})


async def checked(monkeypatch: pytest.MonkeyPatch, *urls: str, **settings: str) -> Result:
    for name, url in zip(("GENERATION__URL", "SCORING__URL"), urls, strict=True):
        monkeypatch.setenv(f"GLORE_{name}", url)
    for name, value in settings.items():
        monkeypatch.setenv(f"GLORE_{name}", value)
    return await asyncio.to_thread(glore, "serve", "--check")


async def test_a_check_prints_the_settings_and_what_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with fake_vllm() as server:
        engine(server, *ROLES)
        result = await checked(monkeypatch, server.url, server.url, MAX_RUNNING="7")
    assert result.exit_code == 0, result.output
    for text in (
        f"student: engine generation, url {server.url}/, model student",
        "max_running: 7",
        "first_error_threshold: 0.",
        "The gateway is ready",
        "  scoring: ready",
        "  store: opened",
    ):
        assert text in result.stdout
    assert result.stderr == ""


async def test_a_check_fails_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with fake_vllm() as server:
        engine(server, "student", "global_refiner")
        result = await checked(monkeypatch, server.url, nowhere, STORE="off")
    assert result.exit_code == 1
    assert "generation: it does not serve local_refiner;" in result.stdout
    assert "scoring: nothing answers" in result.stdout
    assert "  store: off" in result.stdout


async def test_a_check_fails_when_one_engine_of_several_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with fake_vllm() as server:
        engine(server, *ROLES)
        result = await checked(monkeypatch, server.url, f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert "The gateway answers, without what is missing" in result.stdout


@pytest.mark.parametrize("default", [True, False])
async def test_a_check_fails_when_the_store_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, default: bool
) -> None:
    state = tmp_path / "state"
    file = state / "glore" / "batches.sqlite3"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database" * 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    store = {} if default else {"STORE": f"sqlite:///{file}"}
    async with fake_vllm() as server:
        engine(server, *ROLES)
        result = await checked(monkeypatch, server.url, server.url, **store)
    assert result.exit_code == 1
    assert "The gateway is ready" in result.stdout
    assert "store: SQLite: " in result.stdout
    assert "not a database" in result.stdout
    assert file.read_bytes() == b"no database" * 1000


async def test_a_check_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "hidden-" + "k" * 32
    async with fake_vllm() as server:
        engine(server, *ROLES)
        result = await checked(
            monkeypatch,
            *(server.url, server.url),
            API_KEYS=f"alice:{key}",
            GENERATION__API_KEY=key,
            ENGINES__ORM=json.dumps({"url": server.url, "api_key": key}),
            STORE=f"postgresql://u:{key}@127.0.0.1:1/none",
        )
    assert result.exit_code == 1
    assert "hidden" not in result.output
    assert "keys: 1" in result.stdout
