"""The card of the tables, and the counts in it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from glore_models.data.run_folder import RunModels
from glore_models.evaluation.paper.card import count_phases, funnel, write_card
from glore_models.evaluation.paper.collector import CollectPlan
from glore_models.evaluation.paper.pipeline import RecordKeys, collect_all
from glore_models.evaluation.paper.report import make_tables
from glore_models.evaluation.provenance import HardwareLog, Machine
from tests.models.evaluation.paper.builders import RIGHT, THRESHOLDS, WRONG, record
from tests.models.evaluation.paper.fakes import FakeModels, write_gsm8k


def write(folder: Path, phase: str, *rows: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{phase}.jsonl").write_text(lines, encoding="utf-8")


def test_rows_tokens_and_seconds_of_each_phase(tmp_path: Path) -> None:
    drafts = {"problem": "p1", "texts": ["a", "b"], "tokens": [3, 4], "seconds": [0.5, 1.0]}
    write(tmp_path, "samples", drafts, {**drafts, "problem": "of a larger set"})
    write(tmp_path, "sorm", {"problem": "p1", "text": "a", "scores": [0.5], "seconds": 2.0})
    old = {"problem": "p1", "continuations": ["a"], "tokens": 7}
    write(tmp_path, "rollouts", old, {**old, "seconds": 3.0})
    HardwareLog(tmp_path).note("sorm.jsonl", Machine("a CPU", "float32"))
    found = count_phases(tmp_path, {"p1"})
    samples, sorm, rollouts = found["samples"], found["sorm"], found["rollouts"]
    assert (samples.rows, samples.written, samples.tokens, samples.seconds) == (1, 1, 7, 1.5)
    assert samples.machines == (None,)
    assert (sorm.rows, sorm.tokens, sorm.seconds) == (1, 0, 2.0)
    assert sorm.machines == (None, Machine("a CPU", "float32"))
    assert (rollouts.rows, rollouts.timed, rollouts.tokens, rollouts.seconds) == (2, 1, 14, 3.0)
    assert (found["local"].rows, found["local"].machines) == (0, ())


def test_a_scorer_that_is_compared_counts_where_it_has_scored(tmp_path: Path) -> None:
    assert "orm_matched" not in count_phases(tmp_path, {"p1"})
    row = {"problem": "p1", "text": "a", "scores": [0.5], "seconds": 2.0}
    write(tmp_path, "orm_matched", row)
    found = count_phases(tmp_path, {"p1"})["orm_matched"]
    assert (found.rows, found.seconds) == (1, 2.0)


def test_the_funnel_counts_what_is_left_at_each_step(tmp_path: Path) -> None:
    nothing = {"problem": "p1", "texts": [" "], "tokens": [1], "seconds": [0.1]}
    write(tmp_path, "global", nothing, {**nothing, "texts": ["a"]})
    write(tmp_path, "rollouts", {"problem": "p1", "continuations": ["a"], "tokens": 7})
    write(tmp_path, "orm", *[{"problem": "p1", "text": "a", "seconds": 0.1}] * 2)
    write(tmp_path, "sorm", *[{"problem": "p1", "text": "a", "seconds": 0.1}] * 4)
    records = [record(WRONG, labels=(1, 0)), record(RIGHT, labels=(1,)), record(WRONG)]
    found = funnel(records, count_phases(tmp_path, {"p1"}))
    assert (found.asked, found.with_steps, found.wrong) == (3, 3, 2)
    assert (found.labelled, found.labelled_wrong, found.prefixes) == (2, 1, 1)
    assert (found.refined_globally, found.refined_locally, found.scored) == ((2, 1), (0, 0), 4)


PLAN = CollectPlan(labelled=3, first_error=0.5, orm_first_error=0.4)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_card(tmp_path_factory.mktemp("card"))


def make_card(folder: Path) -> str:
    run = RunModels(folder / "run")
    models = FakeModels(machine=Machine("a CPU", "float32"))
    wanted = RecordKeys(("sft", "ei"), {"gsm8k": 6}, write_gsm8k(folder / "gsm8k.jsonl"))
    ticks = iter(range(10_000))
    records = collect_all(run, wanted, PLAN, lambda _: models.ports(), lambda: float(next(ticks)))
    tables = make_tables(records, THRESHOLDS, notes=("mind this.",))
    write_card(run, records, tables, "glore eval --paper")
    return (run.tables / "CARD.md").read_text(encoding="utf-8")


def configuration(card: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(card.partition("```json\n")[2].removesuffix("```\n"))
    return found


def test_the_card_has_the_whole_configuration(card: str) -> None:
    found = configuration(card)
    assert found["command"] == "glore eval --paper"
    thresholds = {"first_error": 0.5, "orm_first_error": 0.4, "gate": 0.6, "compared": {}}
    assert found["thresholds"] == thresholds
    assert found["sets"]["gsm8k"]["seed"] == 900_005
    assert found["questions"]["ei/gsm8k"] == {"asked": 6, "labelled": 3}
    (created,) = found["made_with"]
    assert created["of"] == ["sft/gsm8k", "ei/gsm8k"]
    assert created["weights"] == {
        role: f"{role} 1" for role in ("student", "sorm", "orm", "global_refiner", "local_refiner")
    }
    assert created["drawings"]["rollouts"] == {"n": 8, "temperature": 0.8, "max_tokens": 256}


def test_the_card_has_counts_tokens_seconds_and_machines(card: str) -> None:
    assert "Note: mind this." in card
    assert "Machines: a CPU, float32." in card
    (funnel,) = [line for line in card.splitlines() if line.startswith("| ei, gsm8k | 900005")]
    assert funnel.startswith("| ei, gsm8k | 900005 | 6 | 6 | ")
    assert "| 6 asked, 6 written |" in funnel
    drafts = [line for line in card.splitlines() if line.startswith("| ei, gsm8k | drafts | 6 |")]
    assert len(drafts) == 1
    assert drafts[0].endswith("| 1 | a CPU, float32 |")  # one batch, one tick
    assert "![accuracy against tokens" in card


def test_every_line_of_a_table_has_as_many_cells_as_its_heading(card: str) -> None:
    width = 0
    for line in card.splitlines():
        width = (width or line.count("|")) if line.startswith("|") else 0
        assert line.count("|") == width or not line.startswith("|")


def test_without_matplotlib_a_line_says_that_the_plot_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    card = make_card(tmp_path)
    assert "The plot was left out: matplotlib is not installed" in card
    assert "curves.png" not in card
    assert not (tmp_path / "run" / "paper" / "curves.png").exists()
