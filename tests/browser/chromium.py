"""Debian's Chromium without a window, and pages in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

WAIT_MS = 30_000  # ends a test that hangs; a busy machine is slow, not wrong
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


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser. While it runs, the event loop of this thread is its own."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing; on Debian and Ubuntu: apt-get install chromium")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened_page(
    browser: Browser,
    url: str,
    *,
    wait_ms: int = WAIT_MS,
    ready: str = "html[data-ready]",
    **how: Any,
) -> Iterator[Page]:
    """A page in a fresh profile, as soon as it has the element `ready`.

    `how` goes to Browser.new_context.

    Behind it fails for a broken policy, an exception or an error on the console.
    """
    context = browser.new_context(**how)
    context.set_default_timeout(wait_ms)
    context.add_init_script(_NOTE_VIOLATIONS)
    page = context.new_page()
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    page.wait_for_selector(ready)
    try:
        yield page
        assert page.evaluate("window.violations") == []
        assert faults == []
    finally:
        context.close()
