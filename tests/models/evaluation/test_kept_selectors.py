"""results/selectors.md is what today's code counts from the kept texts and scores.

It takes seconds: the gateway's algorithm answers 25,000 times. GSM8K's questions are not
stored here, so its tables are not counted.
"""

import asyncio
import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest

from glore.refinement.types import Strategy
from glore.verifiers.arithmetic import Arithmetic
from glore_models.data import sources
from glore_models.data.files import read_jsonl
from glore_models.data.problems import Problem, split_of
from glore_models.data.run_folder import read_thresholds
from glore_models.evaluation.batches import Batches
from glore_models.evaluation.paper.sets import FRESH_SETS, of_unseen_numbers
from glore_models.evaluation.selector_report import SelectorReport, as_markdown, joined, report
from glore_models.evaluation.selectors import MAX_TOKENS, QUESTIONS, Found, find

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "models" / "kept" / "paper_gpu"
STUDENTS = ("ei", "sft")
NUMBERS = (
    ("ei", {"fresh2_easy": 250, "fresh2_all": 250}),
    ("ei", {"fresh_easy": 250, "fresh_all": 250}),
    ("sft", {"fresh_easy": 250, "fresh_all": 100}),
)
TEMPLATES = {"fresh_templates": 100}
MORE = {"fresh_easy": 1000, "fresh_all": 500}  # of the EI student: `draft`, `glore`, `gated`
KEPT_SETS = (
    *(("ei", name) for name in ("fresh2_easy", "fresh2_all")),
    *((student, name) for student in STUDENTS for name in (*MORE, *TEMPLATES)),
)
PAGE = (ROOT / "results" / "selectors.md").read_text(encoding="utf-8")


def unpacked(student: str, name: str, folder: Path) -> Path:
    folder = folder / student / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in (KEPT / "evaluation" / student / name).glob("*.gz"):
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def counted(
    student: str, sizes: Mapping[str, int], folder: Path, *strategies: Strategy
) -> list[SelectorReport]:
    """The tables of the first questions of each set, and of all sets together."""
    found: dict[str, Found] = {}
    for name, size in sizes.items():
        rows = unpacked(student, name, folder)
        problems = list(read_jsonl(rows / QUESTIONS, Problem))[:size]
        assert len(problems) == size
        thresholds = read_thresholds(KEPT / "thresholds.json")
        batches = Batches({}, {}, rows, MAX_TOKENS)
        found[name] = asyncio.run(
            find(problems, batches, thresholds, (Arithmetic(),), strategies or None)
        )
    reports = [report(f"{student}, {name}", each) for name, each in found.items()]
    if len(found) > 1:
        reports.append(report(f"{student}, {' and '.join(found)}", joined(list(found.values()))))
    return reports


def check_page(reports: list[SelectorReport]) -> None:
    assert as_markdown(reports, "").partition("\n")[2].strip() in PAGE


@pytest.mark.parametrize(("student", "sizes"), NUMBERS)
def test_the_tables_of_new_numbers_are_counted_from_the_stored_texts(
    student: str, sizes: Mapping[str, int], tmp_path: Path
) -> None:
    check_page(counted(student, sizes, tmp_path))


@pytest.mark.parametrize("student", STUDENTS)
def test_the_tables_of_new_templates_are_counted_from_the_stored_texts(
    student: str, tmp_path: Path
) -> None:
    check_page(counted(student, TEMPLATES, tmp_path))


def test_the_tables_of_more_questions_are_counted_from_the_stored_texts(tmp_path: Path) -> None:
    check_page(counted("ei", MORE, tmp_path, Strategy.GLORE, Strategy.GATED))


@pytest.mark.parametrize(("student", "name"), KEPT_SETS)
def test_the_stored_questions_are_those_of_the_set(student: str, name: str, tmp_path: Path) -> None:
    each = FRESH_SETS[name]
    stored = list(read_jsonl(unpacked(student, name, tmp_path) / QUESTIONS, Problem))
    some = {problem.question for problem in sources.load(each.source or name, 5, each.seed)}
    assert some & {problem.question for problem in stored}
    if of_unseen_numbers(name):  # templates are held out as such
        assert {split_of(problem.question) for problem in stored} == {"test"}
