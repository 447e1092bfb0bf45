import json
from dataclasses import replace
from pathlib import Path

import pytest

from glore_models.data.problems import split_of
from glore_models.evaluation.paper import sets
from glore_models.evaluation.paper.sets import (
    ALL_SETS,
    POOLS,
    SETS,
    VALIDATION_SETS,
    load_set,
    parse_sizes,
)
from tests.models.evaluation.paper.fakes import write_gsm8k


def test_sizes_are_named_by_set() -> None:
    assert parse_sizes("easy=500, gsm8k=20") == {"easy": 500, "gsm8k": 20}


@pytest.mark.parametrize(
    ("text", "message"),
    [("hard=3", "no set 'hard'"), ("easy", "is no size"), ("easy=0", "no size"), ("easy=x", "no")],
)
def test_a_wrong_size_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_sizes(text)


def test_every_set_has_a_seed_of_its_own_and_pools_are_of_sets() -> None:
    assert len({each.seed for each in ALL_SETS.values()}) == len(ALL_SETS)
    assert all(each.seed > 900_000 for each in ALL_SETS.values())
    assert all(set(members) <= set(SETS) for members in POOLS.values())


def test_the_questions_of_a_set_are_kept_and_a_larger_set_begins_with_them(tmp_path: Path) -> None:
    source = tmp_path / "gsm8k.jsonl"
    rows = [{"question": f"{i} + 1?", "answer": f"{i} + 1\n#### {i + 1}"} for i in range(200)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    kept = tmp_path / "questions" / "gsm8k.jsonl"
    first = load_set("gsm8k", 3, source, kept)
    assert {split_of(problem.question) for problem in first} == {"test"}
    before = kept.read_bytes()
    assert load_set("gsm8k", 2, source, kept) == first[:2]
    assert kept.read_bytes() == before
    assert load_set("gsm8k", 6, source, kept)[:3] == first
    with pytest.raises(ValueError, match="problems of split test, not 500"):
        load_set("gsm8k", 500, source, kept)


def test_questions_of_another_file_do_not_pass_for_those_that_were_kept(tmp_path: Path) -> None:
    kept = tmp_path / "questions" / "gsm8k.jsonl"
    first = load_set("gsm8k", 3, write_gsm8k(tmp_path / "train.jsonl"), kept)
    before = kept.read_bytes()
    other = write_gsm8k(tmp_path / "train.jsonl", range(400, 600))  # the same name and ids
    for size in (2, 6):
        with pytest.raises(ValueError, match=r"gsm8k\.jsonl holds questions of another file"):
            load_set("gsm8k", size, other, kept)
    assert kept.read_bytes() == before
    assert load_set("gsm8k", 3, write_gsm8k(tmp_path / "train.jsonl"), kept) == first


def test_gsm8k_needs_its_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--gsm8k FILE"):
        load_set("gsm8k", 3, None, tmp_path / "kept.jsonl")


def test_what_models_are_chosen_by_is_no_test_question(tmp_path: Path) -> None:
    assert {each.split for each in SETS.values()} == {"test"}
    for name in VALIDATION_SETS:
        problems = load_set(name, 5, None, tmp_path / f"{name}.jsonl")
        assert {split_of(problem.question) for problem in problems} == {"validation"}


def test_a_fresh_set_has_no_question_of_those_that_were_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = replace(ALL_SETS["fresh_easy"], seed=SETS["easy"].seed, without=("easy",))
    monkeypatch.setattr(sets, "ALL_SETS", {**ALL_SETS, "again": same})
    monkeypatch.setattr(sets, "_SEEN", 20)
    easy = load_set("easy", 25, None, tmp_path / "easy.jsonl")
    assert load_set("again", 5, None, tmp_path / "again.jsonl") == easy[20:]
    assert load_set("again", 3, None, tmp_path / "again.jsonl") == easy[20:23]
