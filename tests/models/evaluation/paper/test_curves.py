"""What the picture shows; how it looks was looked at."""

from collections import Counter
from pathlib import Path

import pytest

from glore_models.evaluation.paper.curves import draw_curves, offset_counts, panels
from glore_models.evaluation.paper.tables import Tables, make_tables
from tests.models.evaluation.paper.builders import RIGHT, THRESHOLDS, record, written

LATE = written(right=False, sorm=(0.9, 0.1), orm=(0.9, 0.8))
MARKED = [record(LATE, labels=(0, 0))] * 2


@pytest.fixture
def tables() -> Tables:
    return make_tables(
        {
            ("ei", "easy"): MARKED,
            ("ei", "all"): MARKED,
            ("ei", "gsm8k"): [record(RIGHT)],
            ("sft", "easy"): MARKED,
        },
        THRESHOLDS,
    )


def test_there_is_a_panel_for_each_pool_and_for_each_set_in_none(tables: Tables) -> None:
    of_ei = [section for section in tables.sections if section.student == "ei"]
    assert [section.name for section in panels(of_ei)] == ["gsm8k", "unseen numbers"]
    of_sft = [section for section in tables.sections if section.student == "sft"]
    assert [section.name for section in panels(of_sft)] == ["easy"]


def test_a_draft_counts_once_however_many_pools_it_is_in(tables: Tables) -> None:
    of_ei = [section for section in tables.sections if section.student == "ei"]
    assert offset_counts(of_ei, "sorm") == Counter({1: 4})
    assert offset_counts(of_ei, "orm") == Counter()


def test_the_picture_is_a_png(tables: Tables, tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    draw_curves(tables, out)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [out]
