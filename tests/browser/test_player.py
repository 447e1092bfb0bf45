"""Recorded examples, pasted answers and traces."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from glore.api import page as web
from glore.api.examples import RESPONSE, STREAM
from glore.engines.readiness import EngineState, EngineStatus
from tests.browser.test_asking import HOSTILE, ask
from tests.service.fakes import QUESTION, FakeEngines

Start = Callable[..., str]
Open = Callable[..., Page]
EXAMPLES = json.loads(web.WEB["examples.json"].content)
IDS = [each["id"] for each in EXAMPLES]


def recorded(name: str) -> dict[str, object]:
    trace: dict[str, object] = json.loads(web.WEB[f"trace-{name}.json"].content)
    return trace


def answer_of(name: str) -> dict[str, object]:
    events = recorded(name)["events"]
    assert isinstance(events, list)
    answer: dict[str, object] = events[-1][2]
    return answer


def paste(page: Page, text: str) -> None:
    if not page.get_by_role("button", name="Open", exact=True).is_visible():
        page.get_by_text("Open an answer or a trace").click()
    page.locator("#pasted").fill(text)
    page.get_by_role("button", name="Open", exact=True).click()


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_each_example_was_recorded_as_it_is_requested_and_ends_in_its_answer(
    faked: Start, opened: Open, example: dict[str, object]
) -> None:
    name = str(example["id"])
    assert recorded(name)["request"] == example["request"]
    answer = answer_of(name)
    page = opened(faked(), f"#example={name}", reduced_motion="reduce")
    expect(page.locator(".big")).to_have_text(str(answer["answer"]))
    right = answer["answer"] == example["expected"]
    expect(page.locator(".checked")).to_have_class(re.compile("yes" if right else "no"))
    selected = answer["selected"]
    assert isinstance(selected, dict)
    expect(page.locator(".why")).to_have_text(selected["explanation"])


def test_one_example_goes_wrong_in_the_end() -> None:
    wrong = [each for each in EXAMPLES if answer_of(each["id"])["answer"] != each["expected"]]
    assert len(wrong) == 1


def test_recordings_play_pause_and_end(faked: Start, opened: Open) -> None:
    page = opened(faked())
    page.get_by_role("button", name=EXAMPLES[0]["title"]).click()
    page.get_by_role("button", name="Play the recording").click()
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    seen = page.locator(".draft").text_content() if page.locator(".draft").count() else ""
    assert page.locator(".answer").count() == 0
    page.get_by_role("button", name="Play", exact=True).click()
    page.get_by_label("Speed").fill("10")
    expect(page.locator("#speed-words")).to_have_text("10x")
    expect(page.locator(".draft .text").first).not_to_be_empty()
    assert seen is not None
    page.get_by_role("button", name="To the end").click()
    expect(page.locator(".big")).to_have_text(str(answer_of(IDS[0])["answer"]))
    page.get_by_role("button", name="Play again").click()
    expect(page.locator(".answer")).to_have_count(0)


def stopped(page: Page) -> None:
    """Let time pass on the page only where a test says so."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)


def test_speed_is_that_of_the_recording_times_the_factor(faked: Start, opened: Open) -> None:
    trace = recorded(IDS[0])
    events = trace["events"]
    assert isinstance(events, list)
    done = events[-1][2]
    trace["events"] = [[0.0, *events[0][1:]], [60.0, "done", done]]
    page = opened(faked())
    stopped(page)
    paste(page, json.dumps(trace))
    page.clock.run_for(100)
    expect(page.locator(".draft")).to_be_visible()
    page.get_by_label("Speed").fill("1")
    page.clock.run_for(30_000)
    assert page.locator(".answer").count() == 0
    page.get_by_label("Speed").fill("10")
    page.clock.run_for(2_500)  # 25 s more
    assert page.locator(".answer").count() == 0
    page.clock.run_for(1_000)
    expect(page.locator(".answer")).to_be_visible()


def test_without_an_engine_examples_play_and_asking_one_plays_it(
    faked: Start, engines: FakeEngines, opened: Open
) -> None:
    engines.probes["generation"].status = EngineStatus(EngineState.UNREACHABLE)
    page = opened(faked(), reduced_motion="reduce")
    ready = page.locator("#ready")
    expect(ready).to_have_text(
        "No engine is up (generation does not answer). The recorded examples still play."
    )
    page.get_by_role("button", name=EXAMPLES[1]["title"]).click()
    expect(page.locator(".big")).to_have_text(str(answer_of(IDS[1])["answer"]))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("This is the recorded answer")
    assert engines.student.calls == 0


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "answer"])
def test_what_the_gateway_sent_opens(faked: Start, opened: Open, *, streamed: bool) -> None:
    page = opened(faked(), reduced_motion="reduce")
    paste(page, STREAM if streamed else json.dumps(RESPONSE))
    expect(page.locator(".big")).to_have_text("72")
    expect(page.locator(".column")).to_have_count(2)
    expect(page.locator(".draft .verdict.no")).to_contain_text("it is 72")
    expect(page.locator(".stage")).to_have_count(5)
    expect(page.get_by_role("button", name="Copy a link")).to_be_hidden()


def test_a_stopped_candidate_says_so(faked: Start, opened: Open) -> None:
    answer = answer_of("tower")
    candidates = answer["candidates"]
    assert isinstance(candidates, list)
    assert candidates[1]["findings"]
    candidates[1]["finish_reason"] = "stopped"
    page = opened(faked(), reduced_motion="reduce")
    paste(page, json.dumps(answer))
    expect(page.locator(".candidate").nth(1)).to_contain_text("it is 14, stopped there")
    expect(page.locator(".candidate").nth(0)).not_to_contain_text("stopped")


def test_an_answer_plays_at_the_pace_of_its_stages(faked: Start, opened: Open) -> None:
    page = opened(faked())
    stopped(page)
    paste(page, json.dumps(RESPONSE))
    page.clock.run_for(150)
    page.get_by_label("Speed").fill("1")
    expect(page.locator(".draft")).to_be_visible()
    assert page.locator(".columns").count() == 0  # the draft takes 1.1 s
    page.clock.run_for(1_200)
    expect(page.locator(".column")).to_have_count(2)
    assert page.locator(".answer").count() == 0
    page.clock.run_for(2_000)
    expect(page.locator(".answer")).to_be_visible()


def test_answers_of_openais_clients_open_too(faked: Start, opened: Open) -> None:
    url = faked()
    body = {"model": "glore", "messages": [{"role": "user", "content": QUESTION}]}
    completion = httpx2.post(f"{url}/v1/chat/completions", json=body, trust_env=False).json()
    page = opened(url, reduced_motion="reduce")
    paste(page, json.dumps(completion))
    expect(page.locator(".big")).to_have_text("12")


@pytest.mark.parametrize("strategy", ["glore", "adaptive", "best_of_n"])
def test_a_downloaded_trace_opens_as_the_same_story(
    faked: Start, opened: Open, tmp_path: Path, strategy: str
) -> None:
    page = opened(faked(), reduced_motion="reduce")
    ask(page, QUESTION, strategy)
    expect(page.locator(".timeline")).to_be_visible()
    shown = page.locator("#story").inner_text()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download the trace").click()
    file = tmp_path / "trace.json"
    downloading.value.save_as(file)
    again = opened(faked(), reduced_motion="reduce")
    again.get_by_text("Open an answer or a trace").click()
    again.locator("#file").set_input_files(file)
    expect(again.locator(".timeline")).to_be_visible()
    assert again.locator("#story").inner_text() == shown


def test_hostile_answers_are_text_too(faked: Start, opened: Open) -> None:
    text = json.dumps(RESPONSE).replace("clips", json.dumps(HOSTILE)[1:-1])
    page = opened(faked(), reduced_motion="reduce")
    paste(page, text)
    expect(page.locator(".timeline")).to_be_visible()
    assert page.locator("#story img, #story script").count() == 0
    assert page.evaluate("window.hit") is None


def broken(path: str, value: object) -> str:
    """The documented answer with another value at this path."""
    changed = json.loads(json.dumps(RESPONSE))
    *before, last = path.split(".")
    inner = changed
    for each in before:
        inner = inner[int(each)] if each.isdigit() else inner[each]
    inner[last] = value
    return json.dumps(changed)


UNREADABLE = {
    "": "There is nothing to open.",
    "{": "This is no JSON.",
    "[]": "This is no answer of POST /solve and no trace: it has no list candidates.",
    '"text"': "This is no answer",
    "null": "This is no answer",
    '{"trace": 7, "events": []}': "This trace is of another version.",
    '{"trace": 1, "events": []}': "This trace does not end with an answer.",
    '{"trace": 1, "events": [1, null, "x", [0, "done", 7]]}': "The answer in this trace cannot be",
    "id: 1\nevent: draft\ndata: {\n\n": "not every event in it holds JSON",
    broken("selected", {"candidate": 9}): "it selects no candidate",
    broken("usage", None): "it has no list usage.stages",
    broken("candidates.1.solution", {}): "a candidate has no kind or no solution",
    broken("draft.steps", [None]): "could not show this answer",
    broken("usage.stages", [None, 3]): "could not show this answer",
    broken("degraded", [None]): "could not show this answer",
}


def test_what_cannot_be_opened_is_said_in_words(faked: Start, opened: Open) -> None:
    page = opened(faked(), reduced_motion="reduce")
    for text, said in UNREADABLE.items():
        paste(page, json.dumps(RESPONSE))
        expect(page.locator(".big")).to_have_text("72")
        paste(page, text)
        expect(page.get_by_role("alert")).to_contain_text(said)
