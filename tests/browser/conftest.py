"""Debian's Chromium, headless, and gateways for it to look at."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from pydantic import AnyHttpUrl, SecretStr

from glore.app import create_app
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated
from tests.service.fakes import FakeEngines
from tests.service.listening import listening

_Value = TypeVar("_Value")
_WAIT_MS = 30_000  # ends a test that hangs; a busy machine is slow, not wrong
_FLAGS = (
    "--no-sandbox",  # it refuses to run as root with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NOTE_VIOLATIONS = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`);
  });
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need the browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed behind the last test here: while it runs, this thread's event loop is its own."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing; on Debian and Ubuntu: apt-get install chromium")
    expect.set_options(timeout=_WAIT_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield started
        started.close()


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
    """Opens a page in a fresh profile, ready to be used.

    Behind the test it fails for a broken policy, an exception or an error on the console.
    """
    with ExitStack() as stack:

        def start(url: str, fragment: str = "", **how: object) -> Page:
            return stack.enter_context(_page(browser, url + fragment, **how))

        yield start


@contextmanager
def _page(browser: Browser, url: str, **how: object) -> Iterator[Page]:
    context = browser.new_context(**how)  # type: ignore[arg-type]
    context.set_default_timeout(_WAIT_MS)
    context.add_init_script(_NOTE_VIOLATIONS)
    page = context.new_page()
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    page.wait_for_selector("html[data-ready]")
    try:
        yield page
        assert page.evaluate("window.violations") == []
        assert faults == []
    finally:
        context.close()
