"""The card of the tables, of records that fake models made."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from glore_models.evaluation.paper.card import write_card
from glore_models.evaluation.paper.collect import Plan
from glore_models.evaluation.paper.gathering import Wanted, collect_all
from glore_models.evaluation.paper.machines import Machine
from glore_models.evaluation.paper.ports import RunModels
from glore_models.evaluation.paper.tables import make_tables
from tests.models.evaluation.paper.builders import THRESHOLDS
from tests.models.evaluation.paper.fakes import FakeModels, write_gsm8k

PLAN = Plan(labelled=3, first_error=0.5, orm_first_error=0.4)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_card(tmp_path_factory.mktemp("card"))


def make_card(folder: Path) -> str:
    run = RunModels(folder / "run")
    models = FakeModels(machine=Machine("a CPU", "float32"))
    wanted = Wanted(("sft", "ei"), {"gsm8k": 6}, write_gsm8k(folder / "gsm8k.jsonl"))
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
    (made,) = found["made_with"]
    assert made["of"] == ["sft/gsm8k", "ei/gsm8k"]
    assert made["weights"] == {
        role: f"{role} 1" for role in ("student", "sorm", "orm", "global_refiner", "local_refiner")
    }
    assert made["drawings"]["rollouts"] == {"n": 8, "temperature": 0.8, "max_tokens": 256}


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
