"""Debian's Chromium, headless, and gateways for it to look at."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page
from pydantic import AnyHttpUrl, SecretStr

from glore.app import create_app
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated
from tests.browser.chromium import launched, opened_page
from tests.service.fakes import FakeEngines
from tests.service.listening import listening

_Value = TypeVar("_Value")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need the browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed behind the last test here."""
    with launched() as browser:
        yield browser


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


class Background:
    """An event loop in a thread: enters asynchronous contexts for tests that are not."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stack: ExitStack) -> None:
        self._loop = loop
        self._stack = stack

    def enter(self, context: AbstractAsyncContextManager[_Value]) -> _Value:
        """Its value; it is left behind the test."""
        value = asyncio.run_coroutine_threadsafe(context.__aenter__(), self._loop).result()
        self._stack.callback(
            lambda: asyncio.run_coroutine_threadsafe(
                context.__aexit__(None, None, None), self._loop
            ).result()
        )
        return value

    def serve(self, app: FastAPI) -> str:
        """The URL at which a gateway answers from now on."""
        return f"http://127.0.0.1:{self.enter(listening(app))}"


@pytest.fixture
def background() -> Iterator[Background]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with ExitStack() as stack:
            yield Background(loop, stack)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def simulated(settings: Settings, background: Background) -> Callable[..., str]:
    """The URL of a gateway on a simulated vLLM server; `changes` are settings of the gateway."""

    def start(simulated: Simulated, **changes: object) -> str:
        _, url = background.enter(running(simulated))
        engine = EngineSettings(url=AnyHttpUrl(url))
        changes = {"generation": engine, "scoring": engine, **changes}
        return background.serve(create_app(settings.model_copy(update=changes)))

    return start


@pytest.fixture
def faked(settings: Settings, engines: FakeEngines, background: Background) -> Callable[..., str]:
    """The URL of a gateway on the fake engines."""

    def start(**changes: object) -> str:
        changed = settings.model_copy(update=changes)
        return background.serve(create_app(changed, connect=engines.connect))

    return start


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, which are closed behind the test."""
    with ExitStack() as stack:

        def start(url: str, fragment: str = "", **how: Any) -> Page:
            return stack.enter_context(opened_page(browser, url + fragment, **how))

        yield start
