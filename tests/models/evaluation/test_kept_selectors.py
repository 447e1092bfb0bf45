"""results/selectors.md is what today's code counts from the kept texts and scores.

It takes seconds: the gateway's algorithm answers 9,500 times.
"""

import asyncio
import gzip
from pathlib import Path

from glore.verifiers.arithmetic import Arithmetic
from glore_models.data import sources
from glore_models.data.files import read_jsonl
from glore_models.data.problems import Problem, split_of
from glore_models.data.run_folder import read_thresholds
from glore_models.evaluation.batches import Batches
from glore_models.evaluation.paper.sets import FRESH_SETS
from glore_models.evaluation.selector_report import as_markdown, joined, report
from glore_models.evaluation.selectors import MAX_TOKENS, QUESTIONS, Found, find

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "models" / "kept" / "paper_gpu"
KEPT_SETS = ("fresh_easy", "fresh_all")
PAGE = (ROOT / "results" / "selectors.md").read_text(encoding="utf-8")


def unpacked(name: str, folder: Path) -> Path:
    folder = folder / name
    folder.mkdir(exist_ok=True)
    for path in (KEPT / "evaluation" / "ei" / name).glob("*.gz"):
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def test_the_page_is_counted_from_the_stored_texts(tmp_path: Path) -> None:
    found: dict[str, Found] = {}
    for name in KEPT_SETS:
        folder = unpacked(name, tmp_path)
        problems = list(read_jsonl(folder / QUESTIONS, Problem))
        batches = Batches({}, {}, folder, MAX_TOKENS)
        thresholds = read_thresholds(KEPT / "thresholds.json")
        found[name] = asyncio.run(find(problems, batches, thresholds, (Arithmetic(),)))
    reports = [report(f"ei, {name}", each) for name, each in found.items()]
    reports.append(report(f"ei, {' and '.join(found)}", joined(list(found.values()))))
    counted = as_markdown(reports, "").partition("\n")[2]
    assert counted.strip() in PAGE


def test_the_stored_questions_are_those_of_the_set(tmp_path: Path) -> None:
    for name in KEPT_SETS:
        each = FRESH_SETS[name]
        stored = list(read_jsonl(unpacked(name, tmp_path) / QUESTIONS, Problem))
        some = {problem.question for problem in sources.load(each.source or name, 5, each.seed)}
        assert some & {problem.question for problem in stored}
        assert {split_of(problem.question) for problem in stored} == {"test"}
