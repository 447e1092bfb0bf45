"""The page itself: looks, links, code to copy, and who can use it."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from glore.api import page as web
from tests.browser.test_asking import HOSTILE, ask

Start = Callable[..., str]
Open = Callable[..., Page]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}


def luminance(page: Page, what: str) -> float:
    """Of a colour of the body, 0..255."""
    colour = page.evaluate(f"getComputedStyle(document.body).{what}")
    red, green, blue = (int(each) for each in colour.removeprefix("rgb(").rstrip(")").split(", "))
    return (red + green + blue) / 3


def check_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()
    assert found.response["passes"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_is_accessible_and_fits_the_screen_before_and_after_an_answer(
    faked: Start, opened: Open, device: dict[str, object], scheme: str
) -> None:
    page = opened(faked(), color_scheme=scheme, reduced_motion="reduce", **device)
    light = luminance(page, "backgroundColor") > luminance(page, "color")
    assert light == (scheme == "light")
    check_accessible(page)
    ask(page, f"How many? {'x' * 300}")
    expect(page.locator(".timeline")).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    check_accessible(page)
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


@pytest.mark.parametrize(("wish", "name"), [("reduce", "none"), ("no-preference", "drop")])
def test_who_wants_no_motion_gets_none(faked: Start, opened: Open, wish: str, name: str) -> None:
    page = opened(faked(), reduced_motion=wish)
    ask(page)
    expect(page.locator(".bad-mark")).to_have_css("animation-name", name)


def test_a_link_holds_the_question_and_its_options(faked: Start, opened: Open) -> None:
    url = faked()
    page = opened(url)
    page.get_by_label("Rounds").select_option("3")
    page.get_by_label("Verifier").uncheck()
    ask(page, HOSTILE, "gated")
    page.get_by_role("button", name="Copy a link").click()
    expect(page.locator("#said")).not_to_be_empty()
    again = opened(page.url)
    expect(again.get_by_label("Question")).to_have_value(HOSTILE)
    expect(again.get_by_label("Strategy")).to_have_value("gated")
    expect(again.get_by_label("Rounds")).to_have_value("3")
    expect(again.get_by_label("Verifier")).not_to_be_checked()
    assert again.locator(".answer").count() == 0  # a link asks nothing by itself


@pytest.mark.parametrize("name", ["curl", "Python", "OpenAI client"])
def test_the_code_to_copy_runs_and_asks_the_same(faked: Start, opened: Open, name: str) -> None:
    page = opened(faked())
    page.get_by_label("Verifier").uncheck()
    page.get_by_label("Rounds").select_option("2")
    ask(page, 'Ann\'s "3" bags,\n4 sweets each: how many? $(id) `id`', "gated")
    page.locator(".snippet summary", has_text=name).click()
    code = page.get_by_label(f"{name} code").text_content() or ""
    shell = ["bash", "-c", code] if name == "curl" else [sys.executable, "-c", code]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "12" in done.stdout
    if name == "curl":
        assert '"strategy":"gated"' in done.stdout


def test_code_and_links_are_copied_or_marked_for_it(faked: Start, opened: Open) -> None:
    page = opened(faked(), permissions=["clipboard-read", "clipboard-write"])
    ask(page)
    page.locator(".snippet summary", has_text="curl").click()
    code = page.get_by_label("curl code")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == code.text_content()
    page.get_by_role("button", name="Copy a link").click()
    page.wait_for_url("**/#question=*")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    forbidden = "navigator.clipboard.writeText = () => Promise.reject(new Error('no'))"
    page.evaluate(f"() => {{ {forbidden}; }}")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#said")).to_contain_text("press Ctrl+C")
    assert page.evaluate("String(getSelection())").strip() == (code.text_content() or "").strip()


def test_the_page_asks_its_own_gateway_alone(faked: Start, opened: Open) -> None:
    url = faked()
    page = opened(url)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.reload()
    page.wait_for_selector("html[data-ready]")
    ask(page)
    expect(page.locator(".timeline")).to_be_visible()
    assert len(requested) > 10
    assert {each for each in requested if not each.startswith(f"{url}/")} == set()


def test_markup_built_of_text_is_refused_by_the_policy(faked: Start, opened: Open) -> None:
    url = faked()
    page = opened(url).context.new_page()  # where a violation is no failure
    page.goto(url)
    refused = """() => {
      try { document.body.innerHTML = "<b>x</b>"; return false; } catch { return true; }
    }"""
    assert page.evaluate(refused)


def test_every_module_is_loaded(faked: Start, opened: Open) -> None:
    page = opened(faked())
    loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    names = {each.rpartition("/")[2] for each in loaded}
    modules = {name for name in web.WEB if name.endswith((".js", ".css"))}
    assert modules - {"docs.js"} <= names
