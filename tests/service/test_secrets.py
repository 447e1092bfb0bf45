"""No secret gets into a log, a response, a metric or an error, wherever it comes from.

The gateway runs at the most talkative level, with keys of every kind; then keys are sent in
every place where a request has room for one.
"""

import io
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from pydantic import AnyHttpUrl, SecretStr

from glore.app import create_app
from glore.keys import Key, new_key
from glore.role_settings import EngineSettings
from glore.settings import Settings
from glore.telemetry.logs import configure_logs
from tests.service.engines.fake_vllm import FakeVllm, fake_vllm
from tests.service.fakes import QUESTION, FakeEngines

IN_ENVIRONMENT = "e" * 20 + "-of-the-environment"
IN_FILE, WRONG, ENGINE = new_key(), new_key(), "sk-of-the-engine"
SECRETS = (IN_ENVIRONMENT, IN_FILE, WRONG, ENGINE)
ENGINES = ("generation", "scoring")
TALKATIVE = ("", "asyncio", "aiohttp", "httpx2", "fastapi", "uvicorn.error")


@pytest.fixture
def keyed(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a secret in each place that has one."""
    file = tmp_path / "keys"
    file.write_text(Key.of("filed", IN_FILE).line, encoding="utf-8")
    engine = EngineSettings(url=AnyHttpUrl("http://127.0.0.1:9"), api_key=SecretStr(ENGINE))
    changes = {
        "api_keys": SecretStr(f"known:{IN_ENVIRONMENT}"),
        "api_keys_file": file,
        "log_level": "debug",
        "generation": engine,
        "scoring": engine,
    }
    return settings.model_copy(update=changes)


@pytest.fixture
def log(keyed: Settings) -> Iterator[io.StringIO]:
    """All that is logged, by whomever, from debug up; the process's logging is put back."""
    root, others = logging.getLogger(), [logging.getLogger(name) for name in TALKATIVE]
    before = root.handlers[:], [(each, each.level) for each in others]
    access = logging.getLogger("uvicorn.access").disabled
    stream = io.StringIO()
    configure_logs(keyed.log_level, stream, secrets=keyed.secrets)
    for each in others:
        each.setLevel(logging.DEBUG)
    yield stream
    root.handlers[:] = before[0]
    for each, level in before[1]:
        each.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = access


@pytest_asyncio.fixture
async def vllm() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as server:
        yield server


def assert_silent(text: str) -> None:
    assert text
    for secret in SECRETS:
        assert secret not in text


def requests() -> Iterator[httpx2.Request]:
    """A key in the place where it belongs, and in every place where it does not."""

    def ask(method: str, path: str, body: object = None, **headers: str) -> httpx2.Request:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return httpx2.Request(method, f"http://gateway{path}", content=content, headers=sent)

    for key in SECRETS:
        bearer = {"Authorization": f"Bearer {key}"}
        good = {"Authorization": f"Bearer {IN_ENVIRONMENT}"}
        body = {"question": QUESTION, "strategy": "draft"}
        yield ask("POST", "/solve", body, **bearer)
        yield ask("POST", "/solve", body, Authorization=f"Basic {key}")
        yield ask("POST", "/solve", body, X_API_Key=key, Cookie=f"key={key}", **good)
        yield ask("POST", f"/solve?api_key={key}", body, **good)
        yield ask("POST", f"/solve/{key}", body, **good)
        yield ask("DELETE", "/solve", body, **bearer)
        yield ask("POST", "/solve", {"question": key, "strategy": key, "sampling": key}, **good)
        yield ask("POST", "/solve", body | {"deadline_ms": key}, **good)
        yield ask("POST", "/solve", f'{{"question": "{key}'.encode(), **good)
        yield ask("POST", "/solve", f'"{key}"'.encode(), **good)
        yield ask("POST", "/solve", key.encode() * 4000, **good)
        yield ask("POST", "/solve", key.encode() + b"\xff", **good)
        yield ask("POST", "/solve", body, **(good | {"Content_Type": f"text/{key}"}))
        yield ask("GET", "/readyz", **bearer)


@pytest.mark.parametrize("bug", [None, f"boom {WRONG} {ENGINE} {IN_ENVIRONMENT} {IN_FILE}"])
async def test_nothing_is_reported(
    keyed: Settings, log: io.StringIO, engines: FakeEngines, bug: str | None
) -> None:
    engines.student.fault = RuntimeError(bug) if bug else None
    statuses = set()
    app = create_app(keyed, connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        for request in requests():
            response = await client.send(request)
            statuses.add(response.status_code)
            assert_silent(f"{response.headers!r}{response.text}")
        assert_silent((await client.get("/metrics")).text)
        assert_silent((await client.get("/openapi.json")).text)
    refused = {400, 401, 404, 405, 413, 415, 422}
    assert statuses == {200} | refused | ({500} if bug else set())
    assert '"key": "known"' in log.getvalue()
    assert '"key": "filed"' in log.getvalue()
    assert ("boom [secret]" in log.getvalue()) is bool(bug)
    assert_silent(log.getvalue())


async def test_a_request_id_that_is_a_key_is_not_logged(
    keyed: Settings, log: io.StringIO, engines: FakeEngines
) -> None:
    app = create_app(keyed, connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for key in SECRETS:
            await client.get("/nowhere", headers={"X-Request-ID": key})
    assert_silent(log.getvalue())


async def test_an_engine_that_repeats_its_key_is_not_repeated(
    keyed: Settings, log: io.StringIO, vllm: FakeVllm
) -> None:
    url = AnyHttpUrl(vllm.url)
    changes = {name: keyed.generation.model_copy(update={"url": url}) for name in ENGINES}
    vllm.sends("/v1/completions", f"Bearer {ENGINE} is wrong".encode(), status=401)
    app = create_app(keyed.model_copy(update=changes))
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        headers = {"Authorization": f"Bearer {IN_ENVIRONMENT}"}
        answer = await client.post("/solve", json={"question": QUESTION}, headers=headers)
        ready = await client.get("/readyz")
    assert answer.status_code == 502
    assert_silent(answer.text + ready.text)
    assert_silent(log.getvalue())


@pytest.mark.parametrize("command", ["serve", "-c"])
def test_a_start_that_fails_tells_no_key(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"filed:{IN_FILE}", encoding="utf-8")  # the key where its digest belongs
    monkeypatch.setenv("GLORE_API_KEYS", f"{IN_ENVIRONMENT} {WRONG}")
    monkeypatch.setenv("GLORE_API_KEYS_FILE", str(file))
    monkeypatch.setenv("GLORE_GENERATION__API_KEY", ENGINE)
    monkeypatch.setenv("GLORE_GENERATION__URL", f"http://user:{ENGINE}@host")
    program = ["-c", "from glore.app import from_environment as start; start()"]
    arguments = ["-m", "glore.cli", "serve"] if command == "serve" else program
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "GLORE_API_KEYS: " in done.stderr
    assert "GLORE_API_KEYS_FILE: " in done.stderr
    assert "GLORE_GENERATION__URL: " in done.stderr
    assert_silent(done.stdout + done.stderr)
