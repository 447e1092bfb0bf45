"""results/selectors.md is what today's code counts from the kept texts and scores.

It takes seconds: the gateway's algorithm answers 19,000 times.
"""

import asyncio
import gzip
from pathlib import Path

import pytest

from glore.verifiers.arithmetic import Arithmetic
from glore_models.data import sources
from glore_models.data.files import read_jsonl
from glore_models.data.problems import Problem, split_of
from glore_models.data.run_folder import read_thresholds
from glore_models.evaluation.batches import Batches
from glore_models.evaluation.paper.sets import FRESH_SETS
from glore_models.evaluation.selector_report import SelectorReport, as_markdown, joined, report
from glore_models.evaluation.selectors import MAX_TOKENS, QUESTIONS, Found, find

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "models" / "kept" / "paper_gpu"
STUDENTS = ("ei", "sft")
KEPT_SETS = ("fresh_easy", "fresh_all")
PAGE = (ROOT / "results" / "selectors.md").read_text(encoding="utf-8")


def unpacked(student: str, name: str, folder: Path) -> Path:
    folder = folder / student / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in (KEPT / "evaluation" / student / name).glob("*.gz"):
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def reports_of(student: str, folder: Path) -> list[SelectorReport]:
    found: dict[str, Found] = {}
    for name in KEPT_SETS:
        rows = unpacked(student, name, folder)
        problems = list(read_jsonl(rows / QUESTIONS, Problem))
        thresholds = read_thresholds(KEPT / "thresholds.json")
        batches = Batches({}, {}, rows, MAX_TOKENS)
        found[name] = asyncio.run(find(problems, batches, thresholds, (Arithmetic(),)))
    reports = [report(f"{student}, {name}", each) for name, each in found.items()]
    return [*reports, report(f"{student}, {' and '.join(found)}", joined(list(found.values())))]


@pytest.mark.parametrize("student", STUDENTS)
def test_the_page_is_counted_from_the_stored_texts(student: str, tmp_path: Path) -> None:
    counted = as_markdown(reports_of(student, tmp_path), "").partition("\n")[2]
    assert counted.strip() in PAGE


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("name", KEPT_SETS)
def test_the_stored_questions_are_those_of_the_set(student: str, name: str, tmp_path: Path) -> None:
    each = FRESH_SETS[name]
    stored = list(read_jsonl(unpacked(student, name, tmp_path) / QUESTIONS, Problem))
    some = {problem.question for problem in sources.load(each.source or name, 5, each.seed)}
    assert some & {problem.question for problem in stored}
    assert {split_of(problem.question) for problem in stored} == {"test"}
