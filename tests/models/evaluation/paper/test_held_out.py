"""A question that a model of the run has learnt from is found, whatever the file."""

import json
from pathlib import Path

import pytest

from glore.formats.prompts import student_prompt
from glore_models.evaluation.paper.held_out import TrainedOnError, check_unseen, template_notes
from tests.models.evaluation.paper.fakes import PROBLEMS

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
