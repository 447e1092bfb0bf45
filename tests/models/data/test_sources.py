"""Sources of problems: counts, splits, and no test question in training."""

import gzip
import itertools
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from glore.formats.answers import parse_answer
from glore.formats.prompts import normalise_question
from glore_models.data import sources
from glore_models.data.problems import Problem, Split, is_easy, make_problem, split_of, text_key

KEPT = Path(__file__).parents[3] / "models" / "kept" / "paper_gpu"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def test_the_same_seed_gives_the_same_problems_and_another_seed_others() -> None:
    first = sources.load("easy", 20, 7)
    assert first == sources.load("easy", 20, 7)
    assert first != sources.load("easy", 20, 8)
    assert all(is_easy(problem) for problem in first)
    assert all("final answer" not in problem.question for problem in first)


def test_seeds_give_the_problems_that_the_stored_run_was_built_of() -> None:
    rows = gzip.decompress((KEPT / "test_samples.jsonl.gz").read_bytes()).splitlines()
    stored = [(row["problem"], row["question"]) for row in map(json.loads, rows)]
    again = [*sources.load("easy", 500, 41), *sources.load("all", 500, 42)]
    assert sorted((problem.id, problem.question) for problem in again) == sorted(stored)


def test_a_larger_set_goes_on_behind_the_first_block_and_leaves_it_as_it_was() -> None:
    problems = list(itertools.islice(sources.gsm_symbolic(5, held_out=True), 9000))
    indices = [int(problem.id.removeprefix("gsm_symbolic-5-")) for problem in problems]
    assert indices == sorted(set(indices))
    first = [problem for problem, index in zip(problems, indices, strict=True) if index < 50_000]
    assert 8000 < len(first) < 9000
    import reasoning_gym

    blocks = [
        reasoning_gym.create_dataset("gsm_symbolic", seed=start, size=50_000)
        for start in (250_000, 250_000 + 10**12)
    ]
    for number in (0, 100, len(first) - 1, len(first), 8999):
        block, index = divmod(indices[number], 50_000)
        entry = blocks[block][index]
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


def test_every_candidate_is_taken_or_counted_by_the_filter_that_took_it_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All states its answer at this writing, so some lose theirs here."""
    monkeypatch.setattr(sources, "make_problem", unanswered)
    counted: Counter[str] = Counter()
    left = sources.load("easy", 30, 3, counted=counted)
    monkeypatch.undo()
    assert not any(problem.answer.endswith("0") for problem in left)
    assert counted["taken"] == len(left) == 30
    assert (
        counted["candidates"] == int(left[-1].id.split("-")[-1]) + 1
    )  # up to the last that is taken
    filters = {"other_templates", "without_answer", "other_tier", "other_split"}
    assert all(counted[name] > 10 for name in filters)
    assert counted["candidates"] == sum(counted[name] for name in ("taken", "duplicates", *filters))
    entries = list(itertools.islice(sources.gsm_symbolic(3), counted["candidates"]))
    looked_at = [p for p in entries if int(p.id.split("-")[-1]) < counted["candidates"]]
    gone = [problem for problem in looked_at if problem.answer.endswith("0")]
    assert counted["without_answer"] == len(gone)
    assert counted["other_templates"] == counted["candidates"] - len(looked_at)
    rest = [problem for problem in looked_at if problem not in gone]
    assert counted["other_tier"] == sum(not is_easy(problem) for problem in rest)


def test_questions_that_come_twice_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    line = {"question": "1 + 1?", "answer": "1 + 1 = 2\n#### 2"}
    path.write_text((json.dumps(line) + "\n") * 3)
    problem = next(iter(sources.gsm8k(path)))
    counted: Counter[str] = Counter()
    with pytest.raises(ValueError, match="holds 1 problems"):
        sources.load(str(path), 2, 1, split_of(problem.question), counted=counted)
    assert counted == {"candidates": 3, "duplicates": 2, "taken": 1}


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


def test_a_blank_line_is_no_problem_and_an_answer_that_is_not_one_number_is_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "half.jsonl"
    answers = ["1/2", "1 1/2", "2^10", "3:30", "$1,080.00 a month", "18 %", "-4"]
    rows = [json.dumps({"question": each, "answer": f"so\n#### {each}"}) for each in answers]
    path.write_text("\n\n".join([*rows, ""]) + "\n")
    found = {problem.question: problem.answer for problem in sources.gsm8k(path)}
    assert found == {"$1,080.00 a month": "1080", "18 %": "18", "-4": "-4"}


def test_a_file_is_read_whole_with_what_was_left_out(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    rows = [{"question": f"{i} + 1?", "answer": f"#### {i + 1}"} for i in range(30)]
    lines = [
        json.dumps(row) for row in [*rows, {"question": "half?", "answer": "#### 1/2"}, rows[3]]
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\n\n".join(lines).encode())
    counted: Counter[str] = Counter()
    problems = sources.load(str(path), None, 1, None, counted=counted)
    assert sorted(int(problem.answer) for problem in problems) == list(range(1, 31))
    left_out = {"without_answer": 1, "duplicates": 1, "blank_lines": 31}
    assert counted == {"candidates": 31, "taken": 30, **left_out}
    by_split = [sources.load(str(path), None, 1, split) for split in SPLITS]
    assert sorted(p.id for part in by_split for p in part) == sorted(p.id for p in problems)
    with pytest.raises(sources.SourceError, match="has no end"):
        sources.load("easy", None, 1)


def test_a_file_of_a_million_characters_is_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    short = json.dumps({"question": "1 + 1?", "answer": "1 + 1 = <<1+1=2>>2\n#### 2"}) + "\n"
    long = [json.dumps({"question": "1?", "answer": piece * 300_000 + "\n#### 2"}) + "\n"
            for piece in ("<", "\n", "#", "1,", "{", "* ", "\\boxed{")]  # fmt: skip
    for text in (short * 15_000, *long):
        path.write_text(text, encoding="utf-8")
        started = time.process_time()
        assert {problem.answer for problem in sources.gsm8k(path)} == {"2"}
        assert time.process_time() - started < 5


def test_drills_are_right_sums_of_small_numbers() -> None:
    for problem in itertools.islice(sources.drills(5), 50):
        *sums, last = problem.solution.split("\n")
        for line in sums:
            left, right = line.split(" = ")
            assert eval(left.replace("x", "*")) == int(right)  # noqa: S307 - our own sums
        assert last == f"#### {sums[-1].split(' = ')[1]}"
