"""Sources of problems: counts, splits, and no test question in training."""

import gzip
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from models.data import sources
from models.data.problems import Problem, Split, is_easy, make_problem, split_of, text_key
from models.formats.answers import parse_answer
from models.formats.prompts import normalise_question

KEPT = Path(sources.__file__).parents[1] / "kept" / "paper_gpu"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def test_the_same_seed_gives_the_same_problems_and_another_seed_others() -> None:
    first = sources.load("easy", 20, 7)
    assert first == sources.load("easy", 20, 7)
    assert first != sources.load("easy", 20, 8)
    assert all(is_easy(problem) for problem in first)
    assert all("final answer" not in problem.question for problem in first)


def test_seeds_give_the_problems_that_the_kept_run_was_made_of() -> None:
    rows = gzip.decompress((KEPT / "test_samples.jsonl.gz").read_bytes()).splitlines()
    kept = [(row["problem"], row["question"]) for row in map(json.loads, rows)]
    again = [*sources.load("easy", 500, 41), *sources.load("all", 500, 42)]
    assert sorted((problem.id, problem.question) for problem in again) == sorted(kept)


def test_a_larger_set_goes_on_behind_the_first_block_and_leaves_it_as_it_was() -> None:
    problems = list(itertools.islice(sources.gsm_symbolic(5, held_out=True), 9000))
    places = [int(problem.id.removeprefix("gsm_symbolic-5-")) for problem in problems]
    assert places == sorted(set(places))
    first = [problem for problem, place in zip(problems, places, strict=True) if place < 50_000]
    assert 8000 < len(first) < 9000
    import reasoning_gym  # noqa: PLC0415 - its import warns: `sources` has seen to that

    blocks = [
        reasoning_gym.create_dataset("gsm_symbolic", seed=start, size=50_000)
        for start in (250_000, 250_000 + 10**12)
    ]
    for number in (0, 100, len(first) - 1, len(first), 8999):
        block, place = divmod(places[number], 50_000)
        entry = blocks[block][place]
        assert normalise_question(entry["question"]).startswith(problems[number].question)
        assert parse_answer(entry["metadata"]["answer_cot"]) == problems[number].answer
    known = {text_key(problem.question) for problem in first}
    assert not known >= {text_key(problem.question) for problem in problems[len(first) :]}


def test_no_test_question_is_in_training_by_text() -> None:
    train = {text_key(p.question) for p in sources.load("easy", 2000, 1, "train")}
    test = [p for seed in (1, 900_001) for p in sources.load("easy", 200, seed, "test")]
    assert not train & {text_key(problem.question) for problem in test}
    assert {split_of(problem.question) for problem in test} == {"test"}


def test_held_out_templates_are_for_test_alone() -> None:
    seen = {p.source for split in SPLITS for p in sources.load("all", 600, 4, split)}
    apart = {p.source for p in sources.load("templates_all", 250, 4)}
    assert len(apart) == sources.HELD_OUT_TEMPLATES
    assert len(seen) == 85 - sources.HELD_OUT_TEMPLATES
    assert not seen & apart
    assert all(is_easy(problem) for problem in sources.load("templates_easy", 50, 4))
    for split in SPLITS[:2]:
        with pytest.raises(ValueError, match="holds 0"):
            sources.load("templates_all", 1, 4, split)


def test_which_templates_are_held_out_does_not_depend_on_the_order() -> None:
    assert sources.held_out_templates(range(40)) == sources.held_out_templates([*range(39, -1, -1)])


def test_the_answer_of_a_problem_is_the_one_its_solution_states() -> None:
    for problem in sources.load("all", 50, 3):
        assert parse_answer(problem.solution) == problem.answer


def test_generated_problems_without_an_answer_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is at this writing, so some lose theirs here."""
    monkeypatch.setattr(sources, "make_problem", unanswered)
    lost: Counter[str] = Counter()
    left = sources.load("all", 30, 3, without_answer=lost)
    monkeypatch.undo()
    whole = list(itertools.islice(sources.gsm_symbolic(3), int(left[-1].id.split("-")[-1])))
    last = next(place for place, problem in enumerate(whole) if problem.id == left[-1].id)
    gone = Counter(p.source for p in whole[:last] if p.answer.endswith("0"))
    assert lost == gone
    assert lost.total() > 30
    assert not any(problem.answer.endswith("0") for problem in left)


def unanswered(**parts: str) -> Problem | None:
    problem = make_problem(**parts)
    return None if problem and problem.answer.endswith("0") else problem


def test_too_few_problems_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "few.jsonl"
    path.write_text(json.dumps({"question": "1 + 1?", "answer": "1 + 1 = 2\n#### 2"}) + "\n")
    assert len(list(sources.gsm8k(path))) == 1
    with pytest.raises(ValueError, match="holds"):
        sources.load(str(path), 2, 1)


def test_a_line_in_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"question": "q", "answer": "#### 1"}\n{"q": 1}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl:2"):
        list(sources.gsm8k(path))


def test_drills_are_right_sums_of_small_numbers() -> None:
    for problem in itertools.islice(sources.drills(5), 50):
        *sums, last = problem.solution.split("\n")
        for line in sums:
            left, right = line.split(" = ")
            assert eval(left.replace("x", "*")) == int(right)  # noqa: S307 - our own sums
        assert last == f"#### {sums[-1].split(' = ')[1]}"
