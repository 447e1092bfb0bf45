"""`glore eval --source FILE`: the whole of a user's file, one line for what is wrong with it."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from glore.cli import main
from glore_models.evaluation import run
from tests.service.gateway import FakeGateway, fake_gateway


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as running:
        yield running


@pytest.fixture(autouse=True)
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes a second; what is drawn is tested where it is."""
    monkeypatch.setattr(run, "draw_evaluation", lambda _rows, _seconds, out: out.write_bytes(b"a"))


def row(question: str, answer: str = "2 + 2 = 4\n#### 4") -> str:
    return json.dumps({"question": question, "answer": answer}) + "\n"


class Command:
    """The command on a file of its own folder, with one strategy."""

    def __init__(self, gateway: FakeGateway, folder: Path) -> None:
        self.gateway = gateway
        self.source = folder / "my.jsonl"
        self.out = folder / "out"

    def __call__(self, *options: str) -> Result:
        self.gateway.requested.clear()
        fixed = ["--url", self.gateway.url, "--strategies", "draft", "--out", str(self.out)]
        arguments = ["eval", "--source", str(self.source), *fixed, *options]
        return CliRunner().invoke(main, arguments, env={"COLUMNS": "200"})

    def requested(self) -> list[str]:
        return sorted(each["question"] for each in self.gateway.requested)


@pytest.fixture
def evaluate(gateway: FakeGateway, tmp_path: Path) -> Command:
    return Command(gateway, tmp_path)


def test_all_of_a_file_is_requested_and_what_is_left_out_is_counted(evaluate: Command) -> None:
    rows = [row(f"What is {i} + 2?") for i in range(10)]
    others = ["\n", "  \n", row("What is a half?", "#### 1/2"), row("what is  3 + 2?")]
    evaluate.source.write_text("".join([*rows, *others]), encoding="utf-8")
    result = evaluate()
    assert result.exit_code == 0, result.output
    assert evaluate.requested() == [f"What is {i} + 2?" for i in range(10)]
    reported = (
        "14 lines, 10 problems asked; left out: 2 blank, 1 without one number as answer, "
        "1 with a question that came before"
    )
    assert f"{evaluate.source}: {reported}\n" in result.stderr
    assert "split all: 10 problems" in result.stdout
    assert json.loads(evaluate("--json").stdout)["n"] == 10


def test_a_split_or_a_number_of_a_file_can_be_requested(evaluate: Command) -> None:
    every = [f"What is {i} + 2?" for i in range(30)]
    evaluate.source.write_text("".join(map(row, every)), encoding="utf-8")
    parts = []
    for split in ("train", "validation", "test"):
        result = evaluate("--split", split)
        assert result.exit_code == 0, result.output
        assert f"left out: {30 - len(evaluate.requested())} of another split" in result.stderr
        parts += evaluate.requested()
        evaluate.out = evaluate.out.with_name(f"out-{split}")
    assert sorted(parts) == sorted(every)
    evaluate.out = evaluate.out.with_name("seven")
    assert "30 lines, 7 problems asked; 23 beyond --n" in evaluate("--n", "7").stderr
    assert len(evaluate.requested()) == 7
    other = evaluate("--split", "training")
    assert other.exit_code == 2
    assert "the splits are all, train, validation, test" in other.stderr


def test_a_file_with_fewer_says_how_many_and_why(evaluate: Command) -> None:
    evaluate.source.write_text(row("1 + 1?") + row("1 + 1?") + row("1/2?", "#### 1/2"))
    result = evaluate("--n", "10")
    assert result.exit_code == 2
    reasons = "left out: 1 without one number as answer, 1 with a question that came before"
    assert f"holds 1 problems, not 10 ({reasons})" in result.stderr.splitlines()[-1]


def test_answers_to_another_file_of_that_name_are_not_gone_on_with(evaluate: Command) -> None:
    evaluate.source.write_text(row("1 + 1?"), encoding="utf-8")
    assert evaluate().exit_code == 0
    evaluate.source.write_text(row("2 + 2?"), encoding="utf-8")
    result = evaluate()
    assert result.exit_code == 1
    assert "holds a run with another file" in result.stderr.splitlines()[-1]


GOOD = row("1 + 1?").encode()
WRONG: list[tuple[bytes | None, str]] = [
    (GOOD + b'{"question": null, "answer": "#### 2"}\n', "my.jsonl:2|'question' is null"),
    (b'{"question": 3, "answer": "#### 2"}\n', "my.jsonl:1|'question' is 3"),
    (b'{"answer": "#### 2"}\n', "my.jsonl:1|no 'question'"),
    (b'\n{"question": "1 + 1?", "answer": ["2"]}\n', "my.jsonl:2|'answer' is ['2']"),
    (b'{"question": " ", "answer": "#### 2"}\n', "my.jsonl:1|'question' is blank"),
    (b'{"question": "\\ud83d", "answer": "#### 2"}\n', "my.jsonl:1|'question' has half"),
    (b"[1, 2]\n", "my.jsonl:1|not a JSON object but [1, 2]"),
    (b"[" * 100_000, "my.jsonl:1|nested too deeply"),
    (b'{"a":' * 100_000, "my.jsonl:1|nested too deeply"),
    (b'{"question": "caf\xe9", "answer": "#### 2"}\n', "my.jsonl:1|not UTF-8"),
    (b"\x00" * 100, "my.jsonl:1|not JSON"),
    (b'{"question": "1\x00", "answer": "#### 2"}\n', "my.jsonl:1|not JSON"),
    (b'{"question": ' + b"9" * 5000 + b"}\n", "my.jsonl:1|not JSON"),
    (GOOD.decode().encode("utf-16"), "my.jsonl:1|not UTF-8"),
    (gzip.compress(GOOD), "my.jsonl:1|compressed; unpack it first"),
    (b"question,answer\n", "my.jsonl:1|not JSON"),
    (b"", "my.jsonl holds 0 problems"),
    (b"\n\n", "my.jsonl holds 0 problems (left out: 2 blank)"),
    (None, "my.jsonl: Is a directory"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), WRONG, ids=[text for _, text in WRONG])
def test_what_is_wrong_with_a_file_is_one_line(
    evaluate: Command, content: bytes | None, text: str
) -> None:
    if content is None:
        evaluate.source.mkdir()
    else:
        evaluate.source.write_bytes(content)
    result = evaluate()
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if line.startswith("glore: ")]
    assert len(lines) == 1
    assert text.replace("|", ": not a GSM8K line: ") in lines[0]
    assert len(lines[0]) < 400
    assert evaluate.requested() == []


def test_a_byte_order_mark_is_read(evaluate: Command) -> None:
    evaluate.source.write_bytes(b"\xef\xbb\xbf" + GOOD)
    assert evaluate().exit_code == 0
    assert evaluate.requested() == ["1 + 1?"]
