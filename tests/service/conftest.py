import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from glore.app import create_app
from glore.settings import Settings
from glore.variables import PREFIX
from tests.service.fakes import FakeEngines


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings of the shell it runs in, or writes into its state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, apart from any trained bundle, and patient with a machine that is busy."""
    return Settings(
        thresholds_file=tmp_path / "thresholds.json",
        probe_timeout=30.0,
        store=SecretStr(f"sqlite:///{tmp_path / 'batches.sqlite3'}"),
    )


@pytest.fixture
def engines() -> FakeEngines:
    return FakeEngines()


@pytest_asyncio.fixture
async def app(settings: Settings, engines: FakeEngines) -> AsyncIterator[FastAPI]:
    """The whole gateway, started, on fake engines."""
    gateway = create_app(settings, connect=engines.connect)
    async with gateway.router.lifespan_context(gateway):
        yield gateway


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as browser:
        yield browser
