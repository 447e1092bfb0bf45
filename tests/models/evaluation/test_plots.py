"""That pictures show their figures; how they look was looked at."""

from collections import Counter
from pathlib import Path

import pytest

from glore_models.evaluation.paper.report import Tables, make_tables
from glore_models.evaluation.paper.table_a import Assessed, judge_scorer
from glore_models.evaluation.plots import (
    colour,
    draw_evaluation,
    draw_processbench,
    draw_tables,
    image_markdown,
    offset_counts,
    panels,
    positions,
    shares,
)
from glore_models.evaluation.processbench import ScorerResult
from glore_models.evaluation.report import EvaluationRow
from glore_models.evaluation.steps import Labelled, curve, figures
from tests.models.evaluation.paper.builders import RIGHT, THRESHOLDS, record, written


def test_strategies_of_as_many_tokens_stand_side_by_side() -> None:
    found = positions([100.0, 177.0, 177.0, 177.0])
    assert found[0] == 100.0
    assert found[1] < found[2] < found[3]
    assert found[2] == pytest.approx(177.0)
    assert positions([]) == []
    assert len(set(positions([0.0, 0.0]))) == 2


def test_what_no_one_has_is_grey() -> None:
    assert colour("perfect selector", 0) == "grey"
    assert colour("glore", 0) == colour("glore", 9) == "C0"


def test_a_picture_is_shown_where_it_can_be_drawn(tmp_path: Path) -> None:
    def cannot(_out: Path) -> None:
        raise ModuleNotFoundError

    out = tmp_path / "curves.png"
    assert image_markdown(lambda at: at.touch(), out, "a dot") == "![a dot](curves.png)"
    assert out.exists()
    assert "matplotlib is not installed" in image_markdown(cannot, out, "a dot")
    assert not out.exists()


ROWS = (
    EvaluationRow("draft", 10, 4, 0, 0, 70.0, 1.0, derived_from="glore"),
    EvaluationRow("gated", 10, 0, 10, 0, None, None),
    EvaluationRow("glore", 10, 6, 0, 1, 190.0, 3.0),
    EvaluationRow("perfect selector", 10, 7, 0, 1, 190.0, 3.0, derived_from="glore"),
)

SECONDS = {"draft": (0.5, 1.5), "gated": (), "glore": (2.0, 4.0)}


def picture(
    tmp_path: Path, rows: tuple[EvaluationRow, ...], seconds: dict[str, tuple[float, ...]]
) -> bytes:
    out = tmp_path / "curves.png"
    draw_evaluation(rows, seconds, out)
    assert list(tmp_path.iterdir()) == [out]
    return out.read_bytes()


def test_the_picture_is_a_png_and_shows_accuracies_and_latencies(tmp_path: Path) -> None:
    first = picture(tmp_path, ROWS, SECONDS)
    assert first.startswith(b"\x89PNG")
    assert picture(tmp_path, ROWS, SECONDS) == first
    assert picture(tmp_path, ROWS, {**SECONDS, "glore": (2.0, 3.0)}) != first
    assert (
        picture(tmp_path, (*ROWS[:2], EvaluationRow("glore", 10, 5, 0, 1, 190.0, 3.0)), SECONDS)
        != first
    )


@pytest.mark.parametrize("rows", [(), ROWS[1:2]])
def test_where_nothing_was_answered_the_picture_is_empty(
    tmp_path: Path, rows: tuple[EvaluationRow, ...]
) -> None:
    assert picture(tmp_path, rows, {}).startswith(b"\x89PNG")


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


def test_the_picture_of_the_tables_is_a_png(tables: Tables, tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    draw_tables(tables, out)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [out]


RIGHT_STEPS, WRONG_STEPS = Labelled((1, 1), (0.9, 0.6)), Labelled((1, 0, -1), (0.9, 0.3, 0.9))


def judged(role: str, *solutions: Labelled, threshold: float = 0.5) -> ScorerResult:
    assessed = [Assessed(each.scores, each.labels) for each in solutions]
    return ScorerResult(judge_scorer(role, assessed, threshold), 1.0, tuple(curve(solutions)))


def bench_picture(tmp_path: Path, sorm: ScorerResult) -> bytes:
    out = tmp_path / "curves.png"
    draw_processbench({"sorm": sorm, "orm": judged("orm", RIGHT_STEPS, WRONG_STEPS)}, out)
    assert list(tmp_path.iterdir()) == [out]
    return out.read_bytes()


def test_a_processbench_picture_is_a_png_and_shows_scores_and_thresholds(tmp_path: Path) -> None:
    first = bench_picture(tmp_path, judged("sorm", RIGHT_STEPS, WRONG_STEPS))
    assert first.startswith(b"\x89PNG")
    assert bench_picture(tmp_path, judged("sorm", RIGHT_STEPS, WRONG_STEPS)) == first
    assert (
        bench_picture(
            tmp_path, judged("sorm", RIGHT_STEPS, RIGHT_STEPS, WRONG_STEPS, threshold=0.7)
        )
        != first
    )
    assert (
        bench_picture(tmp_path, judged("sorm", RIGHT_STEPS, Labelled((1, 0), (0.9, 0.8)))) != first
    )


def test_the_lines_are_shares() -> None:
    late = Labelled((0, -1), (0.9, 0.1))
    assert shares(figures([RIGHT_STEPS, WRONG_STEPS, late], 0.5)) == pytest.approx(
        (2 / 3, 1.0, 0.5)
    )
    assert shares(figures([RIGHT_STEPS], 0.5)) == (0.0, 1.0, 0.0)
