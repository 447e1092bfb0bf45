"""`glore eval --selectors`: what is printed, written and refused."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from glore.cli import main
from glore_models.commands import selectors
from glore_models.data.run_folder import RunModels
from tests.models.evaluation.drawers import FakeDrawer, FakeScorer

THRESHOLDS = '{"first_error": 0.34, "orm_first_error": 0.52, "gate": 0.6}'


@dataclass
class FakeLikelihood(FakeScorer):
    """What ranks by likelihood, with the hash of its weights."""

    identity: str = ""


@dataclass
class FakeComposition:
    """The models of a run: each text is the same wrong sum, with the prompt's length before it."""

    models: RunModels
    identities: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.student = self.global_refiner = self.local_refiner = FakeDrawer(
            lambda prompt, number: f"Text {number} of {len(prompt)}.\n1 + 1 = 3\n#### 3"
        )
        self.sorm = self.orm = FakeScorer()
        roles = ("student", "global_refiner", "local_refiner", "sorm", "orm")
        weights = self.models.folder / "weights"
        of = weights.read_text(encoding="utf-8") if weights.exists() else "1"
        self.identities = {role: f"{role} {of}" for role in roles}

    def ports(self, student: str) -> "FakeComposition":
        assert student == "ei"
        return self

    def likelihood(self, student: str) -> "FakeLikelihood":
        assert student == "ei"
        return FakeLikelihood(identity=self.identities["student"])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(selectors, "ModelLoader", FakeComposition)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thresholds.json").write_text(THRESHOLDS, encoding="utf-8")
    return folder


def glore_eval(run: Path, *arguments: str) -> Result:
    options = ["eval", "--selectors", "--run-dir", str(run), "--students", "ei", *arguments]
    return CliRunner().invoke(main, options, env={"COLUMNS": "200"})


SIZES = ("--sizes", "validation_easy=3,validation_all=2")


def test_the_tables_are_printed_and_written_and_counted_again_without_models(run: Path) -> None:
    first = glore_eval(run, *SIZES)
    assert first.exit_code == 0, first.output
    assert "## ei, validation_easy and validation_all, n = 5" in first.stdout
    assert "| draft | 0/5 0.0%" in first.stdout
    written = json.loads((run / "selectors" / "tables.json").read_text(encoding="utf-8"))
    assert [each["n"] for each in written["sets"]] == [3, 2, 5]
    again = glore_eval(run, *SIZES, "--tables-only")
    assert again.stdout == first.stdout
    as_json = glore_eval(run, *SIZES, "--tables-only", "--json")
    assert json.loads(as_json.stdout) == written


def test_fewer_strategies_need_fewer_texts_and_all_go_on_from_there(run: Path) -> None:
    some = glore_eval(run, *SIZES, "--strategies", "glore")
    assert some.exit_code == 0, some.output
    assert "| glore |" in some.stdout
    assert "| draft |" in some.stdout
    assert "best_of_n" not in some.stdout
    assert "3 samples" not in some.stdout
    every = glore_eval(run, *SIZES)
    assert "| best_of_n |" in every.stdout
    again = glore_eval(run, *SIZES, "--strategies", "glore", "--tables-only")
    assert again.stdout == some.stdout
    wrong = glore_eval(run, *SIZES, "--strategies", "gore")
    assert wrong.exit_code == 2
    assert "no strategy 'gore'" in wrong.stderr


def test_missing_texts_and_other_models_are_refused(run: Path) -> None:
    missing = glore_eval(run, *SIZES, "--tables-only")
    assert missing.exit_code == 1
    assert "does not hold every text and score" in missing.stderr
    glore_eval(run, *SIZES)
    (run / "weights").write_text("2", encoding="utf-8")
    other = glore_eval(run, *SIZES)
    assert other.exit_code == 1
    assert "was made with another student" in other.stderr


def test_it_is_a_command_of_its_own(run: Path) -> None:
    both = glore_eval(run, "--paper")
    assert both.exit_code == 2
    assert "--selectors is a command of its own" in both.stderr
