"""Questions asked on the page, in a real browser, before simulated and fake engines."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from glore.keys import new_key
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.service.fakes import DRAFT, FakeEngines

Start = Callable[..., str]
Open = Callable[..., Page]
HOSTILE = '<img src=x onerror="window.hit=1"> <script>window.hit=1</script>'


def ask(page: Page, question: str = "How many?", strategy: str = "glore") -> None:
    page.get_by_label("Question").fill(question)
    page.get_by_label("Strategy").select_option(strategy)
    page.get_by_role("button", name="Ask", exact=True).click()


def test_an_answer_appears_while_it_is_written(simulated: Start, opened: Open) -> None:
    page = opened(simulated(Simulated(right=0.0, timing=Timing(between_tokens=0.02))))
    ask(page)
    expect(page.locator("#now")).to_have_text("The student writes the draft.")
    step = page.locator(".draft .step .text").first
    early = step.text_content() or ""
    expect(page.locator(".draft .step")).to_have_count(4)
    assert (step.text_content() or "").startswith(early)
    assert page.locator(".answer").count() == 0
    expect(page.locator(".columns .column")).to_have_count(2)
    expect(page.locator(".answer .big")).to_have_text(re.compile(r"^\d+$"))
    expect(page.locator(".timeline .stage").first).to_contain_text("Draft")
    stages = set(page.locator(".stage-name").all_text_contents())
    assert stages == {
        "Draft",
        "Step scores",
        "Global refinement",
        "Local refinement",
        "Outcome scores",
    }
    expect(page.locator("#now")).to_be_empty()


def test_the_draft_shows_scores_threshold_verdict_and_first_error(
    faked: Start, opened: Open
) -> None:
    page = opened(faked(first_error_threshold=0.5))
    ask(page)
    steps = page.locator(".draft .step")
    expect(page.locator(".draft .number").nth(1)).to_have_text("0.10 of 1, below the threshold")
    expect(page.locator(".draft .number").first).to_have_text("0.90 of 1, above the threshold")
    expect(page.get_by_text("Below 0.50 a step counts as wrong.")).to_be_visible()
    expect(steps.nth(1).locator(".verdict")).to_have_text("✗ 3 * 4 = 13: it is 12")
    expect(steps.nth(1).locator("mark")).to_have_text("13")
    bad = page.locator(".draft .bad")
    expect(bad).to_have_text("[BAD] First error: a verifier refutes it.")
    assert bad.evaluate("each => each.nextElementSibling.textContent").startswith("3 * 4 = 13")


def test_columns_lock_what_is_stored_and_mark_what_is_new(faked: Start, opened: Open) -> None:
    page = opened(faked())
    ask(page)
    local = page.locator(".column", has_text="Local refinement")
    expect(local).to_contain_text("Keeps 1 step of the draft")
    expect(local.locator(".step.locked .text")).to_have_text("Tom has 3 bags.")
    expect(local.locator("ins")).to_have_text(["12", "12"])
    rows = page.locator(".candidate")
    expect(rows).to_have_count(3)
    expect(page.locator(".candidate.won")).to_contain_text("Local refinement won")
    expect(rows.first).to_contain_text("refuted: 3 * 4 = 13: it is 12")
    expect(page.get_by_text("Margin over the next different text: 0.20.")).to_be_visible()
    expect(page.locator(".why")).to_contain_text("highest outcome score, 0.80")


@pytest.mark.parametrize(
    ("strategy", "kinds"),
    [
        ("adaptive", ["Global refinement", "Local refinement", "Sample"]),
        ("best_of_n", ["Sample", "Sample"]),
        ("draft", []),
        ("global", ["Global refinement"]),
        ("local", ["Local refinement"]),
        ("gated", ["Global refinement", "Local refinement"]),
    ],
)
def test_every_strategy_shows_what_it_wrote(
    faked: Start, engines: FakeEngines, opened: Open, strategy: str, kinds: list[str]
) -> None:
    for engine in (engines.global_refiner, engines.local_refiner):
        engine.text = DRAFT  # refuted: `adaptive` goes on to the last
    page = opened(faked())
    ask(page, strategy=strategy)
    expect(page.locator(".timeline")).to_be_visible()
    expect(page.locator(".warning")).to_contain_text("A verifier refutes")
    assert sorted(page.locator(".column-title").all_text_contents()) == sorted(kinds)
    names = page.locator(".stage-name").all_text_contents()
    assert names.count("Draft") == 1
    assert names.count("Sample") == (strategy == "adaptive")
    expect(page.locator(".cost")).to_contain_text(
        "That is the draft alone." if not kinds else "The draft alone would"
    )


def test_rounds_are_shown_one_below_the_other(
    faked: Start, engines: FakeEngines, opened: Open
) -> None:
    for engine in (engines.global_refiner, engines.local_refiner):
        engine.text = DRAFT
    page = opened(faked())
    page.get_by_label("Rounds").select_option("2")
    ask(page)
    expect(page.locator(".round")).to_have_text(["Round 1", "Round 2"])
    expect(page.locator(".columns").first.locator(".column")).to_have_count(2)
    page.get_by_label("Strategy").select_option("draft")
    expect(page.get_by_label("Rounds")).to_be_disabled()


def test_what_a_model_writes_is_text_whatever_it_is(
    faked: Start, engines: FakeEngines, opened: Open
) -> None:
    engines.student.text = f"{HOSTILE}\n3 * 4 = 13 \u202e <b>bold</b>\n#### 13"
    engines.global_refiner.text = f"{HOSTILE} 3 * 4 = 12\n#### 12"
    page = opened(faked())
    ask(page, question=HOSTILE)
    expect(page.locator(".timeline")).to_be_visible()
    expect(page.locator(".draft .text").first).to_have_text(HOSTILE)
    expect(page.locator(".draft .text").nth(1)).to_contain_text(r"\u202e <b>bold</b>")
    expect(page.locator("#asked")).to_have_text(HOSTILE)
    assert page.locator("#story img, #story script, #story b").count() == 0
    assert page.evaluate("window.hit") is None


def test_without_the_verifier_nothing_is_refuted(faked: Start, opened: Open) -> None:
    page = opened(faked())
    page.get_by_label("Verifier").uncheck()
    ask(page)
    expect(page.locator(".draft .bad")).to_contain_text("its score is below the threshold")
    expect(page.locator(".timeline")).to_be_visible()
    assert page.locator(".verdict").count() == 0


def test_a_gateway_without_verifiers_offers_none(faked: Start, opened: Open) -> None:
    page = opened(faked(verifiers=()))
    expect(page.get_by_label("Verifier")).to_be_disabled()
    ask(page)
    expect(page.locator(".timeline")).to_be_visible()
    assert page.locator(".verdict").count() == 0


def test_what_is_missing_is_said_in_a_sentence(
    faked: Start, engines: FakeEngines, opened: Open
) -> None:
    engines.sorm.fault, engines.orm.fault = "timeout", "bad_response"
    page = opened(faked())
    ask(page)
    expect(page.locator(".warning")).to_have_text(
        [
            "This answer comes without step scores: the engine did not answer in time.",
            "This answer comes without outcome scores: the engine's answer could not be read.",
        ]
    )


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("student:500", "No draft: the student is unavailable."),
        ("student:cut", "No draft: the student is unavailable."),  # told in the stream
    ],
)
def test_an_error_is_said_in_sentences(
    simulated: Start, opened: Open, fault: str, sentence: str
) -> None:
    page = opened(simulated(Simulated(faults=(parse_fault(fault),))))
    ask(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(sentence)
    expect(alert).to_contain_text("Try again in 1 s.")
    expect(alert).to_contain_text(re.compile("Request [0-9a-f]{32}"))
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_enabled()


def test_a_connection_that_is_lost_is_said_too(faked: Start, opened: Open) -> None:
    page = opened(faked())
    events = 'id: 1\nevent: draft.delta\ndata: {"text": "3 * 4"}\n\n'
    page.route(
        "**/solve", lambda route: route.fulfill(content_type="text/event-stream", body=events)
    )
    ask(page)
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("The stream ended before the answer was there.")
    page.unroute("**/solve")
    page.route("**/solve", lambda route: route.abort())
    ask(page)
    expect(alert).to_have_text("The connection to the gateway broke off.")


def test_a_key_is_requested_sent_and_stored_for_the_session_alone(
    faked: Start, opened: Open
) -> None:
    key = new_key()
    page = opened(faked(api_keys=SecretStr(f"alice:{key}")))
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("An API key is needed.")
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    field.fill(key)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer .big")).to_be_visible()
    page.reload()
    expect(field).to_have_value(key)
    stored = "[localStorage.length, document.cookie, location.href.includes(arguments)]"
    assert page.evaluate(stored.replace("arguments", repr(key))) == [0, "", False]


def test_a_question_can_be_stopped(faked: Start, engines: FakeEngines, opened: Open) -> None:
    engines.student.hangs = True
    page = opened(faked())
    ask(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_contain_text("Stopped.")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_enabled()
    assert engines.student.calls == 1


def test_the_keyboard_alone_is_enough(faked: Start, opened: Open) -> None:
    page = opened(faked())
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the answer")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="API")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Question")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("How many sweets?")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".answer .big")).to_be_visible()
    expect(page.locator("#story")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Copy a link")).to_be_focused()
