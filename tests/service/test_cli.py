"""The command line: what is printed, one line for each error, and the exit status."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner, Result

from glore.cli import main
from glore.keys import Keyring, read_lines
from glore_client import Strategy
from tests.clients.python import samples
from tests.service.gateway import READY, FakeGateway, fake_gateway

QUESTION = samples.QUESTION


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as running:
        yield running


@pytest.fixture
def unused_url() -> Iterator[str]:
    with socket.socket() as held:  # bound and not listening: refuses connections
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def glore(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"COLUMNS": "200"})


def assert_one_line(result: Result, status: int, text: str) -> None:
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("glore: ")
    assert text in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_without_arguments_the_help_is_shown() -> None:
    result = glore()
    assert result.exit_code == 2
    for command in ("ask", "eval", "key", "serve", "up", "train"):
        assert command in result.output


def test_the_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "import glore.cli\n"
        "heavy = {'torch', 'transformers', 'vllm', 'httpx2', 'fastapi', 'uvicorn', 'aiohttp'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["akt", "x"], "No such command 'akt'"),
        (["ask"], "Missing argument"),
        (["ask", QUESTION, "--nope"], "No such option"),
        (["ask", QUESTION, "--deadline", "soon"], "--deadline"),
        (["ask", QUESTION, "--strategy", "greedy"], "no strategy 'greedy'"),
        (["ask", QUESTION, "--url", "gateway"], "not an http or https URL"),
        (["ask", "  "], "the question is empty"),
        (["eval", "--n", "0"], "--n"),
        (["eval", "--strategies", "draft,greedy"], "no strategy 'greedy'"),
        (["eval", "--strategies", "draft", "--one-pass"], "one pass"),
        (["eval", "--url", "gateway"], "not an http or https URL"),
        (["train", "cake"], "no recipe 'cake'; the recipes are"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(arguments: list[str], text: str) -> None:
    assert_one_line(glore(*arguments), 2, text)


@pytest.mark.parametrize("command", [["ask", QUESTION, "--deadline", "0.2"], ["eval"]])
def test_an_unreachable_service_is_one_line_and_status_1(
    command: list[str], unused_url: str
) -> None:
    assert_one_line(glore(*command, "--url", unused_url), 1, f"no answer from {unused_url}")


def test_ask_shows_steps_refinements_candidates_and_winner(gateway: FakeGateway) -> None:
    gateway.solve = (200, samples.result(selected=1))
    result = glore("ask", QUESTION, "--url", gateway.url, "--strategy", "glore")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "0.98 3 x 4 = 12" in lines
    assert "0.21 12 - 2 = 12 <- first error" in lines
    assert "Global refinement" in lines
    assert "Local refinement" in lines
    assert "0.20 draft 12" in lines
    assert "0.90 global refinement 10 <- winner" in lines
    assert "Answer: 10" in lines
    assert "It has the highest outcome score." in lines
    assert "\x1b" not in result.stdout  # no terminal: nothing but text
    assert gateway.requested[0]["question"] == QUESTION


def test_no_line_is_wrapped_where_nobody_looks_at_a_screen(gateway: FakeGateway) -> None:
    body = samples.result()
    body["draft"]["steps"][0]["text"] = "3 x 4 " * 100 + "= 12"
    gateway.solve = (200, body)
    result = glore("ask", QUESTION, "--url", gateway.url)
    assert f"  0.98  {'3 x 4 ' * 100}= 12" in result.stdout


def test_ask_reads_the_question_from_standard_input(gateway: FakeGateway) -> None:
    command = ["ask", "-", "--url", gateway.url]
    assert CliRunner().invoke(main, command, input=f"{QUESTION}\n").exit_code == 0
    assert gateway.requested[0]["question"] == f"{QUESTION}\n"
    assert_one_line(CliRunner().invoke(main, command, input=" \n"), 2, "the question is empty")


def test_ask_reads_the_url_from_the_environment(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_URL", gateway.url)
    assert glore("ask", QUESTION).exit_code == 0


def test_the_key_comes_from_the_environment(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    glore("ask", QUESTION, "--url", gateway.url)
    monkeypatch.setenv("GLORE_API_KEY", "k-1")
    glore("ask", QUESTION, "--url", gateway.url)
    monkeypatch.setenv("GLORE_API_KEY", "")
    glore("ask", QUESTION, "--url", gateway.url)
    assert gateway.keys == [None, "Bearer k-1", None]


@pytest.mark.parametrize("command", [["ask", QUESTION], ["eval"]])
def test_a_key_that_cannot_be_sent_is_not_quoted(
    command: list[str], gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_API_KEY", "hidden key")
    result = glore(*command, "--url", gateway.url)
    assert_one_line(result, 2, "the API key is empty or has characters")
    assert "hidden" not in result.stderr


def test_a_gateway_that_asks_for_a_key_says_how_to_give_it(gateway: FakeGateway) -> None:
    gateway.solve = (401, samples.problem(401, "Send a key."))
    result = glore("ask", QUESTION, "--url", gateway.url)
    assert_one_line(result, 1, "asks for an API key; set GLORE_API_KEY")


def test_a_key_that_a_gateway_does_not_know_is_reported_as_that(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_API_KEY", "hidden-1")
    gateway.solve = (401, samples.problem(401, "Send a key."))
    result = glore("ask", QUESTION, "--url", gateway.url)
    assert_one_line(result, 1, "does not know the API key in GLORE_API_KEY")
    assert "hidden" not in result.stderr


def test_a_key_that_is_created_opens_the_gateway() -> None:
    result = glore("key", "alice")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    key, line = lines[0].split()[-1], lines[1].split()[-1]
    assert Keyring(read_lines([line])).name_of(key.encode()) == "alice"
    assert glore("key", "alice").stdout != result.stdout


def test_a_name_that_is_none_is_reported() -> None:
    assert_one_line(glore("key", "a b"), 2, "a key's name is")


def test_ask_prints_json(gateway: FakeGateway) -> None:
    result = glore("ask", QUESTION, "--url", gateway.url, "--json")
    assert json.loads(result.stdout) == samples.result()


def test_ask_sends_its_options(gateway: FakeGateway) -> None:
    options = ["--strategy", "best_of_n", "--n", "4", "--temperature", "0.5", "--deadline", "9"]
    options += ["--max-engine-calls", "7", "--max-generated-tokens", "900"]
    glore("ask", QUESTION, "--url", gateway.url, *options)
    assert gateway.requested == [
        {
            "question": QUESTION,
            "strategy": "best_of_n",
            "sampling": {"n": 4, "temperature": 0.5},
            "deadline_ms": 9000,
            "max_engine_calls": 7,
            "max_generated_tokens": 900,
        }
    ]


def test_a_refused_question_names_the_field(gateway: FakeGateway) -> None:
    faults = [{"field": "question", "message": "must not be blank"}]
    gateway.solve = (422, samples.problem(422, "The request is not valid.", errors=faults))
    result = glore("ask", QUESTION, "--url", gateway.url)
    assert_one_line(result, 2, "question: must not be blank")


@pytest.mark.parametrize("status", [429, 503, 504])
def test_what_may_work_later_has_a_status_of_its_own(gateway: FakeGateway, status: int) -> None:
    gateway.solve = (status, samples.problem(status, "Not now."))
    result = glore("ask", QUESTION, "--url", gateway.url, "--deadline", "0.2")
    assert_one_line(result, 3, f"{status}: Not now.")


def test_an_error_in_mid_stream_is_one_line(gateway: FakeGateway) -> None:
    events = [
        *samples.events_of(samples.result())[:2],
        ("error", samples.problem(504, "No draft.")),
    ]
    gateway.events = samples.as_events(events)
    result = glore("ask", QUESTION, "--url", gateway.url)
    assert_one_line(result, 3, "504: No draft. (request req-1)")


def test_a_stream_that_is_cut_off_is_one_line(gateway: FakeGateway) -> None:
    gateway.events = samples.as_events(samples.events_of(samples.result())[:2])
    result = glore("ask", QUESTION, "--url", gateway.url)
    assert_one_line(result, 1, "the answer was cut off")


def test_another_service_is_one_line(gateway: FakeGateway) -> None:
    gateway.events = b'event: done\ndata: {"hello": "world"}\n\n'
    assert_one_line(glore("ask", QUESTION, "--url", gateway.url), 1, "not a result of this API")


def problems_in(folder: Path) -> Path:
    """A file with enough of them for each split to have some."""
    source = folder / "problems.jsonl"
    rows = [{"question": f"What is {i} + 2?", "answer": "2 + 2 = 4\n#### 12"} for i in range(200)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return source


def test_eval_measures_and_goes_on(gateway: FakeGateway, tmp_path: Path) -> None:
    source = problems_in(tmp_path)
    out = tmp_path / "out"
    command = ["eval", "--source", str(source), "--n", "3", "--out", str(out), "--one-pass"]
    command += ["--strategies", "draft,glore", "--url", gateway.url]
    result = glore(*command)
    assert result.exit_code == 0, result.output
    assert "draft*" in result.stdout
    assert "glore against draft: right alone 0 : 0, p = 1" in result.stdout
    assert len(gateway.requested) == 3
    again = glore(*command, "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["strategies"][0]["correct"] == 3
    assert len(gateway.requested) == 3
    other = glore(*command, "--seed", "1")
    assert_one_line_at_end(other, f"{out} holds a run with another seed")


def test_eval_does_not_go_on_with_other_models(gateway: FakeGateway, tmp_path: Path) -> None:
    source, out = str(problems_in(tmp_path)), tmp_path / "out"
    command = ["eval", "--source", source, "--n", "2", "--out", str(out), "--url", gateway.url]
    command += ["--strategies", "draft"]
    gateway.ready = (200, {**READY, "serves": "a1b2"})
    assert glore(*command).exit_code == 0
    assert json.loads((out / "plan.json").read_text(encoding="utf-8"))["serves"] == "a1b2"
    gateway.ready = (200, {**READY, "serves": "c3d4"})
    text = "(/readyz reported a1b2, now c3d4); serve those again, or name another folder"
    assert_one_line_at_end(glore(*command), text)
    assert len(gateway.requested) == 2


def test_eval_asks_for_all_strategies_but_the_adaptive_one(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    source, out = str(problems_in(tmp_path)), str(tmp_path / "out")
    result = glore("eval", "--source", source, "--n", "1", "--out", out, "--url", gateway.url)
    assert result.exit_code == 0, result.output
    counts = {each["strategy"]: each["sampling"].get("n") for each in gateway.requested}
    evaluated = [each for each in get_args(Strategy) if each != "adaptive"]
    assert counts == dict.fromkeys(evaluated) | {"best_of_n": 3}


def assert_one_line_at_end(result: Result, text: str) -> None:
    """For commands that showed progress before."""
    assert result.exit_code == 1, result.output
    assert text in result.stderr.splitlines()[-1]


def test_eval_of_a_service_that_is_not_ready(gateway: FakeGateway) -> None:
    engines = {"generation": "ready", "scoring": "starting"}
    gateway.ready = (503, {"status": "not_ready", "engines": engines})
    result = glore("eval", "--url", gateway.url)
    assert_one_line(result, 1, "is not ready (generation: ready, scoring: starting)")


def test_eval_of_a_file_that_is_not_there(gateway: FakeGateway) -> None:
    result = glore("eval", "--url", gateway.url, "--source", "nowhere.jsonl")
    assert result.exit_code == 2
    assert "nowhere.jsonl: No such file or directory" in result.stderr.splitlines()[-1]


def test_serve_on_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_one_line(glore("serve", "--port", str(port)), 1, "the port is in use")


def test_serve_with_a_wrong_setting_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLORE_MAX_DEADLINE", "soon")
    assert_one_line(glore("serve"), 2, "GLORE_MAX_DEADLINE")


@pytest.mark.parametrize("command", [["serve"], ["serve", "--check"], ["up"], ["train", "smoke"]])
def test_what_starts_something_refuses_an_unknown_variable(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_GENERATION_URL", "http://hidden")
    result = glore(*command)
    text = "GLORE_GENERATION_URL is not a setting; did you mean GLORE_GENERATION__URL?"
    assert_one_line(result, 2, text)
    assert "hidden" not in result.stderr


def test_what_starts_something_refuses_a_wrong_value_before_it_starts_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLORE_MAX_RUNNING", "many")
    assert_one_line(glore("up"), 2, "GLORE_MAX_RUNNING: Input should be a valid integer")


def test_a_client_goes_on_with_an_unknown_variable_and_says_so(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_URLS", "http://hidden")
    result = glore("ask", QUESTION, "--url", gateway.url, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == "glore: GLORE_URLS is not a setting; did you mean GLORE_URL?\n"
    assert json.loads(result.stdout)["answer"] == "12"
    assert glore("key", "alice").exit_code == 0


def test_train_without_the_training_extra_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = glore("train", "smoke", "--run-dir", str(tmp_path), "--cache", str(tmp_path))
    assert_one_line(result, 1, "training needs torch, which is not installed")
