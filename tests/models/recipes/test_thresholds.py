"""Thresholds come from validation alone, and each is the best point of the curve beside it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from glore_models.data.files import write_jsonl
from glore_models.data.rollouts import PrefixRollouts
from glore_models.data.run_folder import read_thresholds
from glore_models.recipes import thresholds
from glore_models.recipes.card import card
from glore_models.recipes.catalog import smoke
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Counts, Run
from glore_models.recipes.thresholds import ThresholdStages, best_gate

ROOT = Path(__file__).parents[3]
FILES = ("first_error", "sorm"), ("orm_first_error", "orm"), ("gate", "gate")


def drafts(split: str, size: int = 40) -> list[PrefixRollouts]:
    """Drafts of two steps and an answer, half of them wrong from a step that differs."""
    created = []
    for number in range(size):
        answer = "20" if number % 2 else "21"
        solution = f"{split} {number} = 5\n5 * 4 = {answer}\n#### {answer}"
        created += [
            PrefixRollouts(
                problem=f"{split}-{number}",
                question=f"How many in {split} {number}?",
                answer="20",
                solution=solution,
                kept=stored,
                continuations=("#### 20", "#### 1"),
                right=(bool(number % 2) or (number + stored) % 4 == 0, False),
            )
            for stored in (1, 2)
        ]
    return created


def scored(
    _base: Path, adapter: Path, solutions: Sequence[tuple[str, tuple[str, ...]]]
) -> list[tuple[float, ...]]:
    """Scores that depend on the scorer and the text alone."""

    def score(question: str, step: str) -> float:
        seen = hashlib.sha256(f"{adapter.name} {question} {step}".encode()).digest()
        return seen[0] / 255

    return [tuple(score(question, step) for step in steps) for question, steps in solutions]


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setattr(thresholds, "score_steps", scored)
    return replace(smoke(), ablations={}, orm_matched=False)


def choose(folder: Path, recipe: Recipe, **splits: Sequence[PrefixRollouts]) -> Counts:
    folder.mkdir()
    run = Run(folder)
    for split, rows in splits.items():
        write_jsonl(run.path(f"{split}_rollouts.jsonl"), rows)
    return ThresholdStages(recipe, run, folder / "merged").choose()


def test_thresholds_are_chosen_from_validation_alone(recipe: Recipe, tmp_path: Path) -> None:
    validation, test = drafts("validation"), drafts("test")
    names = ("thresholds.json", "sorm_curve.json", "orm_curve.json", "gate_curve.json")

    def chosen(folder: str) -> list[str]:
        return [(tmp_path / folder / name).read_text() for name in names]

    one = choose(tmp_path / "one", recipe, validation=validation, test=test)
    other = choose(tmp_path / "other", recipe, validation=validation, test=drafts("other", 12))
    choose(tmp_path / "none", recipe, validation=validation)
    choose(tmp_path / "moved", recipe, validation=drafts("moved"), test=test)
    assert one != other  # what is said of the test drafts
    assert chosen("other") == chosen("none") == chosen("one")
    assert chosen("moved")[0] != chosen("one")[0]


def test_without_test_drafts_the_card_has_the_thresholds_all_the_same(
    recipe: Recipe, tmp_path: Path
) -> None:
    counts = choose(tmp_path / "run", recipe, validation=drafts("validation"))
    stored = json.loads((tmp_path / "run" / "thresholds.json").read_text())
    assert counts["sorm"]["threshold"] == stored["first_error"]
    assert counts["orm"].keys() == {"threshold", "validation_f1"}
    written = card(recipe, {"steps": counts}, 0.0)
    assert (
        f"| sorm | {stored['first_error']:.2f} | {counts['sorm']['validation_f1']:.3f} |" in written
    )


def test_the_matched_orm_is_compared_later_and_changes_nothing_else(
    recipe: Recipe, tmp_path: Path
) -> None:
    """Its figures stand in the card's table beside the others, its threshold in its own file."""
    folder, validation = tmp_path / "run", drafts("validation")
    counts = choose(folder, recipe, validation=validation, test=drafts("test"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with_it = replace(recipe, orm_matched=True)
    without = card(with_it, {"steps": counts}, 0.0)  # not compared yet
    assert "| orm_matched |" not in without
    more = ThresholdStages(with_it, Run(folder), folder / "merged").matched()
    assert list(more) == ["orm_matched"]
    assert more["orm_matched"].keys() == counts["orm"].keys()
    points = json.loads((folder / "orm_matched_curve.json").read_text())
    at = {point["threshold"]: point["f1"] for point in points}
    threshold = more["orm_matched"]["threshold"]
    assert at[threshold] == max(at.values()) == more["orm_matched"]["validation_f1"]
    assert read_thresholds(folder / "thresholds.json").of("orm_matched") == threshold
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert ThresholdStages(with_it, Run(folder), folder / "merged").choose() == counts
    table = card(with_it, {"steps": counts, "matched_steps": more}, 0.0)
    assert f"| orm_matched | {threshold:.2f} |" in table


def check_best_points(folder: Path) -> list[float]:
    """Every threshold in the folder is a point of its curve with the highest value: the values."""
    values = []
    stored = json.loads((folder / "thresholds.json").read_text())
    for name, curve in FILES:
        points = json.loads((folder / f"{curve}_curve.json").read_text())
        value = "b" if curve == "gate" else "f1"
        (at,) = [point for point in points if point["threshold"] == stored[name]]
        assert at[value] == max(point[value] for point in points), name
        values.append(at[value])
    return values


def test_every_threshold_is_its_curves_best_point(recipe: Recipe, tmp_path: Path) -> None:
    choose(tmp_path / "run", recipe, validation=drafts("validation"))
    assert all(0 < value < 1 for value in check_best_points(tmp_path / "run"))


def test_the_thresholds_of_the_stored_run_are_its_curves_best_points() -> None:
    assert all(0 < value < 1 for value in check_best_points(ROOT / "models" / "kept" / "paper_gpu"))


def test_the_gate_is_the_middle_of_the_best_stretch_and_a_draft_at_the_gate_passes() -> None:
    """Right are 0.12 to 0.50: twenty gates, of which the eleventh is taken."""
    assert best_gate([(0.5, True), (0.1, False)]) == 0.32
