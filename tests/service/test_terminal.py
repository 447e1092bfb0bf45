"""What a terminal would obey is shown, whoever sent it and whatever prints it."""

import json
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from glore.cli import main
from glore.terminal import json_text, visible
from tests.clients.python import samples
from tests.service.gateway import READY, FakeGateway, fake_gateway

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # Unicode TR9
# Sets a window's title, clears the screen, moves the cursor, rings, turns the text around.
ATTACK = f"\x1b]0;owned\x07\x1b[2J\x9b2J\x9d0;owned\x9c\x7f\b\r7{BIDI}"


def obeyed(text: str) -> set[str]:
    """The characters in it that a terminal may obey, but for newlines and tabs."""
    return {
        each
        for each in text
        if each in BIDI or (unicodedata.category(each) in {"Cc", "Cs"} and each not in "\n\t")
    }


def test_every_character_is_either_shown_as_it_is_or_replaced() -> None:
    every = "".join(map(chr, range(0x1_0000)))  # none beyond is a control
    assert obeyed(visible(every)) == set()
    stored = [each for each, other in zip(every, visible(every), strict=True) if each == other]
    assert set(every) - set(stored) == obeyed(every)


@settings(max_examples=30)
@given(st.recursive(st.text() | st.sampled_from(ATTACK), st.lists))
def test_json_says_the_same_and_has_nothing_to_obey(value: object) -> None:
    for indent in (None, 1):
        written = json_text(value, indent)
        assert obeyed(written) == set()
        assert json.loads(written) == value


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as running:
        yield running


def glore(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"COLUMNS": "200"})


def assert_harmless(result: Result, shown: str) -> None:
    assert obeyed(result.output) == set()
    assert shown in result.output


def test_an_error_of_a_gateway_is_shown_and_not_obeyed(gateway: FakeGateway) -> None:
    for status in (400, 401, 404, 422, 429, 500, 503):
        errors = [{"field": f"f{ATTACK}", "message": f"m{ATTACK}"}] if status == 422 else []
        gateway.solve = (status, samples.problem(status, f"sorry{ATTACK}", errors=errors))
        result = glore("ask", "1 + 1?", "--url", gateway.url, "--deadline", "0.2")
        assert result.exit_code != 0
        assert_harmless(result, "glore: ")
        assert result.stderr.count("\n") == 1


def test_an_answer_is_shown_and_not_obeyed(gateway: FakeGateway) -> None:
    body = samples.result(selected=1, strategy=f"glore{ATTACK}")
    body["request_id"] += ATTACK
    for each in body["candidates"]:
        each["solution"] += ATTACK
        each["answer"] = f"12{ATTACK}"
        each["findings"] = [{**samples.FINDING, "claimed": ATTACK, "expression": ATTACK}]
    for step in body["draft"]["steps"]:
        step["text"] += ATTACK
    body["selected"]["explanation"] += ATTACK
    body["degraded"] = [{"stage": f"s{ATTACK}", "reason": f"r{ATTACK}"}]
    gateway.solve = (200, body)
    assert_harmless(glore("ask", "1 + 1?", "--url", gateway.url), "Answer: ")
    printed = glore("ask", "1 + 1?", "--url", gateway.url, "--json")
    assert_harmless(printed, '"answer": "12')
    assert json.loads(printed.stdout)["candidates"][0]["answer"] == f"12{ATTACK}"


def test_what_a_gateway_says_of_its_engines_is_shown_and_not_obeyed(gateway: FakeGateway) -> None:
    gateway.ready = (503, READY | {"status": "not_ready", "engines": {f"e{ATTACK}": f"s{ATTACK}"}})
    result = glore("eval", "--url", gateway.url)
    assert result.exit_code == 1
    assert_harmless(result, "is not ready")
