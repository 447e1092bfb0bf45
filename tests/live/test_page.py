"""The page in a real browser before the real models."""

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.chromium import launched, opened_page

from .conftest import Service

WAIT_MS = 300_000  # a loaded machine is slow, not wrong
# All texts of the line that says what happens now: a slow browser shows some for an instant.
_NOTE_WHAT_HAPPENS = """() => {
  const now = document.querySelector("#now");
  window.happened = [];
  new MutationObserver(() => window.happened.push(now.textContent))
    .observe(now, {childList: true, characterData: true, subtree: true});
}"""


def test_a_refinement_is_watched_and_its_trace_opens(service: Service, tmp_path: Path) -> None:
    with launched() as browser, opened_page(browser, service.url, wait_ms=WAIT_MS) as page:
        expect.set_options(timeout=WAIT_MS)
        expect(page.locator("#ready")).to_have_text("The engines are ready.")
        page.get_by_role("button", name="A report of 45 pages").click()
        page.evaluate(_NOTE_WHAT_HAPPENS)
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator(".draft .bad")).to_be_visible()
        expect(page.locator(".draft .verdict.no").first).to_contain_text("it is 30")
        expect(page.locator(".answer .big")).to_have_text("15")
        expect(page.locator(".checked")).to_have_text("✓ right")
        assert "The student writes the draft." in page.evaluate("happened")
        assert page.locator(".column").count() == 2
        assert page.locator(".draft .score").count() == page.locator(".draft .step").count()
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download the trace").click()
        file = tmp_path / "trace.json"
        downloading.value.save_as(file)
        trace = json.loads(file.read_text(encoding="utf-8"))
        times = [at for at, _, _ in trace["events"]]
        assert times == sorted(times)
        assert times[0] < times[-1] / 2  # the draft was told long before the answer
        shown = page.locator("#slot-candidates").inner_text()
        page.get_by_text("Open an answer or a trace").click()
        page.locator("#file").set_input_files(file)
        page.get_by_role("button", name="To the end").click()
        expect(page.locator("#slot-candidates")).to_have_text(shown, use_inner_text=True)
