"""ProcessBench's two layouts, what is refused, and the figures of a scripted scorer."""

import gzip
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glore_models.evaluation.paper import phases
from glore_models.evaluation.processbench import (
    ProcessBenchError,
    judge_solutions,
    read_processbench,
)
from tests.models.evaluation.paper.builders import THRESHOLDS


def row(**parts: Any) -> dict[str, Any]:
    return {
        "id": "gsm8k-0",
        "generator": "someone",
        "problem": "What is 3 + 4?",
        "steps": ["Add 3\n\nand 4.", "7", "So 7."],
        "final_answer_correct": True,
        "label": -1,
        **parts,
    }


def written(folder: Path, rows: Sequence[object], *, lines: bool = True) -> Path:
    path = folder / "bench.json"
    text = "\n".join(json.dumps(each) for each in rows) if lines else json.dumps(rows, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("lines", [True, False])
def test_a_list_and_json_lines_are_the_same(tmp_path: Path, *, lines: bool) -> None:
    wrong = row(id="gsm8k-1", label=1, final_answer_correct=False)
    good, bad = read_processbench(written(tmp_path, [row(), wrong], lines=lines))
    assert good.steps == ("Add 3 and 4.", "7", "So 7.")  # a step is one line
    assert (good.error, good.labels, good.answer_right) == (None, (1, 1, 1), True)
    assert (bad.id, bad.error, bad.labels, bad.answer_right) == ("gsm8k-1", 1, (1, 0, -1), False)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (["hello"], "solution 1 is not in ProcessBench's format"),
        ([row(), {"id": "x"}], "solution 2 is not in ProcessBench's format"),
        ([row(label=3)], "3 steps and the label 3"),
        ([row(label=-2)], "label -2"),
        ([row(label=True)], "label True"),
        ([row(label="1")], "label '1'"),
        ([row(steps=[])], "no list of steps"),
        ([row(steps="7")], "no list of steps"),
        ([row(steps=["7", None])], "the step None"),
        ([row(steps=["7", 7])], "the step 7"),
        ([row(problem=None)], "the problem None"),
        ([row(problem="\ud83d")], "the problem '.ud83d'"),
        ([row(steps=["7", "\udc00"])], "the step '.udc00'"),
        ([row(label=[[7] * 9] * 9999)], "label .*[.]{3}"),
        ([row(final_answer_correct="yes")], "final_answer_correct 'yes'"),
        ([row(final_answer_correct=0)], "final_answer_correct 0"),
        ([], "holds no solution"),
    ],
)
def test_what_is_not_in_the_format_is_named(
    tmp_path: Path, rows: Sequence[object], text: str
) -> None:
    for lines in (True, False):
        with pytest.raises(ProcessBenchError, match=text):
            read_processbench(written(tmp_path, rows, lines=lines))


LINE = json.dumps(row()).encode()
NO_JSON = [
    (b"id,problem\n", "bench.json:1: not JSON"),
    (LINE + b"\n{'id': 3}\n", "bench.json:2: not JSON"),
    (b"[" + LINE + b",", "bench.json: not JSON"),
    (b"PAR1\x15\xff", "bench.json:1: not UTF-8"),
    (LINE + b"\ncaf\xe9\n", "bench.json:2: not UTF-8"),
    (json.dumps([row()]).encode("utf-16"), "bench.json:1: not UTF-8"),
    (b"\x00" * 100, "bench.json:1: not JSON"),
    (b"[" * 100_000, "bench.json: nested too deeply"),
    (LINE + b"\n" + b'{"a":' * 100_000, "bench.json:2: nested too deeply"),
    (gzip.compress(LINE), "bench.json:1: compressed; unpack it first"),
]


@pytest.mark.parametrize(("content", "text"), NO_JSON, ids=[text for _, text in NO_JSON])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "bench.json"
    path.write_bytes(content)
    with pytest.raises(ProcessBenchError, match="neither a JSON list nor JSON lines") as caught:
        read_processbench(path)
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lines", [True, False])
def test_a_byte_order_mark_is_read(tmp_path: Path, *, lines: bool) -> None:
    path = written(tmp_path, [row(), row()], lines=lines)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_processbench(path)) == 2


def test_a_file_of_a_million_characters_is_read_in_seconds(tmp_path: Path) -> None:
    for rows in ([row()] * 7000, [row(steps=["a b\n" * 250_000])], [row(steps=["a"] * 200_000)]):
        path = written(tmp_path, rows)
        started = time.process_time()
        assert len(read_processbench(path)) == len(rows)
        assert time.process_time() - started < 5


class ScriptedScorer:
    """Gives step texts that are numbers as their scores."""

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        return [tuple(float(step) for step in steps) for _, steps in solutions]


def test_the_figures_are_those_of_table_a(tmp_path: Path) -> None:
    rows = [
        row(steps=["0.9", "0.8"]),  # right, left alone; the answer is right and judged so
        row(steps=["0.9", "0.45"]),  # right, accused by the SORM alone
        row(steps=["0.9", "0.2", "0.9"], label=1, final_answer_correct=False),  # exact
        row(steps=["0.9", "0.2", "0.1"], label=2, final_answer_correct=False),  # one early
        row(steps=["0.9"], label=0, final_answer_correct=None),  # not named, nothing said
    ]
    solutions = read_processbench(written(tmp_path, rows))
    both = {"sorm": ScriptedScorer(), "orm": ScriptedScorer()}
    stored = {role: tmp_path / f"{role}.jsonl" for role in both}
    found = judge_solutions(solutions, both, THRESHOLDS, stored)
    sorm, orm = found["sorm"].figures, found["orm"].figures
    assert (sorm.at.right_solutions, sorm.at.clean, orm.at.clean) == (2, 1, 2)
    assert (sorm.at.wrong_solutions, sorm.at.exact, sorm.at.early, sorm.at.late) == (3, 1, 1, 1)
    assert sorm.at.f1 == pytest.approx(2 * (1 / 3) * 0.5 / (1 / 3 + 0.5))
    assert sorm.offsets.counts == ((-1, 1), (0, 1))
    assert (sorm.at.steps, sorm.at.steps_right) == (10, 7)  # the step after an error is unknown
    assert (sorm.final.solutions, sorm.final.right, sorm.final.judged) == (4, 2, 2)
    assert [point.threshold for point in found["sorm"].curve][::24] == [0.02, 0.5, 0.98]
    assert replace(found["sorm"].curve[24], threshold=sorm.at.threshold) == sorm.at


class MortalScorer(ScriptedScorer):
    """Dies at a call."""

    def __init__(self, dies_at: int = -1) -> None:
        self.dies_at = dies_at
        self.asked: list[str] = []

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        self.dies_at -= 1
        if self.dies_at == 0:
            raise KeyboardInterrupt
        self.asked += [question for question, _ in solutions]
        return super().score(solutions)


def test_what_was_killed_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "BATCH_SCORES", 2)
    rows = [row(problem=f"{i}?", steps=["0.9", f"0.{i}"], label=i % 3 - 1) for i in range(1, 8)]
    solutions = read_processbench(written(tmp_path, [*rows, rows[0]]))
    stored, whole = {"sorm": tmp_path / "sorm.jsonl"}, {"sorm": tmp_path / "whole.jsonl"}
    expected = judge_solutions(solutions, {"sorm": ScriptedScorer()}, THRESHOLDS, whole)
    first, second, loaded = MortalScorer(dies_at=3), MortalScorer(), list[str]()
    with pytest.raises(KeyboardInterrupt):
        judge_solutions(solutions, {"sorm": first}, THRESHOLDS, stored)
    with stored["sorm"].open("a") as file:
        file.write('{"key": "cut o')
    found = judge_solutions(
        solutions, {"sorm": second}, THRESHOLDS, stored, lambda: 0.0, loaded.append
    )
    assert first.asked == [f"{i}?" for i in range(1, 5)]
    assert second.asked == [f"{i}?" for i in range(5, 8)]  # the last is the first once more
    assert found["sorm"].figures == expected["sorm"].figures
    assert loaded == ["sorm"]
    other = read_processbench(written(tmp_path, [row(problem="1?", steps=["0.9", "0.3"])]))
    changed = judge_solutions(other, {"sorm": second}, THRESHOLDS, stored)["sorm"].figures
    assert second.asked[-1] == "1?"  # another solution of it
    assert changed.at.clean == 0
