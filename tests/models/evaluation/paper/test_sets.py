"""The sets of questions; a question that a model of the run has learnt from is found."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from glore.formats.prompts import student_prompt
from glore_models.data.problems import split_of
from glore_models.evaluation.paper import sets
from glore_models.evaluation.paper.sets import (
    ALL_SETS,
    POOLS,
    SETS,
    VALIDATION_SETS,
    TrainedOnError,
    check_unseen,
    load_set,
    parse_sizes,
    template_notes,
)
from tests.models.evaluation.paper.fakes import PROBLEMS, write_gsm8k


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


def test_the_questions_of_a_set_are_stored_and_a_larger_set_begins_with_them(
    tmp_path: Path,
) -> None:
    source = tmp_path / "gsm8k.jsonl"
    rows = [{"question": f"{i} + 1?", "answer": f"{i} + 1\n#### {i + 1}"} for i in range(200)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    stored = tmp_path / "questions" / "gsm8k.jsonl"
    first = load_set("gsm8k", 3, source, stored)
    assert {split_of(problem.question) for problem in first} == {"test"}
    before = stored.read_bytes()
    assert load_set("gsm8k", 2, source, stored) == first[:2]
    assert stored.read_bytes() == before
    assert load_set("gsm8k", 6, source, stored)[:3] == first
    with pytest.raises(ValueError, match="problems of split test, not 500"):
        load_set("gsm8k", 500, source, stored)


def test_questions_of_another_file_do_not_pass_for_those_that_were_stored(tmp_path: Path) -> None:
    stored = tmp_path / "questions" / "gsm8k.jsonl"
    first = load_set("gsm8k", 3, write_gsm8k(tmp_path / "train.jsonl"), stored)
    before = stored.read_bytes()
    other = write_gsm8k(tmp_path / "train.jsonl", range(400, 600))  # the same name and ids
    for size in (2, 6):
        with pytest.raises(ValueError, match=r"gsm8k\.jsonl holds questions of another file"):
            load_set("gsm8k", size, other, stored)
    assert stored.read_bytes() == before
    assert load_set("gsm8k", 3, write_gsm8k(tmp_path / "train.jsonl"), stored) == first


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
    some = replace(SETS["easy"], looked_at=20)
    monkeypatch.setattr(sets, "ALL_SETS", {**ALL_SETS, "easy": some, "again": same})
    easy = load_set("easy", 25, None, tmp_path / "easy.jsonl")
    assert load_set("again", 5, None, tmp_path / "again.jsonl") == easy[20:]
    assert load_set("again", 3, None, tmp_path / "again.jsonl") == easy[20:23]


def test_fresh_questions_of_gsm8k_are_others_of_its_file(tmp_path: Path) -> None:
    file = write_gsm8k(tmp_path / "train.jsonl", range(8000))
    looked_at = load_set("gsm8k", SETS["gsm8k"].looked_at, file, tmp_path / "gsm8k.jsonl")
    fresh = load_set("fresh_gsm8k", 100, file, tmp_path / "fresh_gsm8k.jsonl")
    assert {split_of(each.question) for each in fresh} == {"test"}
    assert not {each.question for each in fresh} & {each.question for each in looked_at}
    with pytest.raises(ValueError, match="fresh_gsm8k needs GSM8K's training file"):
        load_set("fresh_gsm8k", 100, None, tmp_path / "none.jsonl")


SEEN = PROBLEMS[2].question.upper().replace(" ", "  ")  # case and white space do not count


def write(path: Path, *rows: dict[str, str]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_folder_without_training_files_says_nothing(tmp_path: Path) -> None:
    check_unseen(tmp_path, {"easy": PROBLEMS})


@pytest.mark.parametrize(
    "name",
    ["student_problems", "samples", "rollouts", "ei_1_problems", "ei_2_samples", "orm_control",
     "sorm", "sorm_ratio", "local_refiner", "global_refiner", "of_a_new_stage"],
)  # fmt: skip
def test_a_question_in_a_training_file_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / f"{name}.jsonl", {"question": "Another?"}, {"question": SEEN})
    with pytest.raises(TrainedOnError, match=rf"{name}\.jsonl holds 1 questions of the set easy"):
        check_unseen(tmp_path, {"gsm8k": PROBLEMS[:2], "easy": PROBLEMS})
    check_unseen(tmp_path, {"gsm8k": PROBLEMS[:2]})


def test_a_question_in_a_prompt_is_found_too(tmp_path: Path) -> None:
    write(tmp_path / "local_refiner.jsonl", {"prompt": student_prompt(PROBLEMS[0].question)})
    with pytest.raises(TrainedOnError):
        check_unseen(tmp_path, {"easy": PROBLEMS})


def test_what_thresholds_are_chosen_on_is_no_training_file(tmp_path: Path) -> None:
    write(tmp_path / "validation_samples.jsonl", {"question": SEEN})
    write(tmp_path / "test_rollouts.jsonl", {"question": SEEN})
    check_unseen(tmp_path, {"easy": PROBLEMS})


def test_unseen_templates_without_a_record_of_it_get_a_note(tmp_path: Path) -> None:
    assert template_notes(tmp_path, ["easy", "all"]) == ()
    (note,) = template_notes(tmp_path, ["easy", "templates_all"])
    assert "may have been trained on" in note
    done = tmp_path / "held_out.done.json"
    done.write_text('{"easy questions": 500, "found": 0}', encoding="utf-8")
    assert template_notes(tmp_path, ["templates_easy"]) == (note,)
    done.write_text('{"templates_easy questions": 250, "found": 0}', encoding="utf-8")
    assert template_notes(tmp_path, ["templates_easy"]) == ()


def test_a_file_without_questions_is_refused(tmp_path: Path) -> None:
    """What cannot be looked through may hold anything."""
    write(tmp_path / "of_a_new_stage.jsonl", {"asked": SEEN})
    with pytest.raises(ValueError, match=r"of_a_new_stage\.jsonl:1 holds no question"):
        check_unseen(tmp_path, {"easy": PROBLEMS})
