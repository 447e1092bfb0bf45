"""That a picture of an evaluation shows its figures; how it looks was looked at."""

from pathlib import Path

import pytest

from glore_models.evaluation.curves import draw_curves
from glore_models.evaluation.table import Row

ROWS = (
    Row("draft", 10, 4, 0, 0, 70.0, 1.0, derived_from="glore"),
    Row("gated", 10, 0, 10, 0, None, None),
    Row("glore", 10, 6, 0, 1, 190.0, 3.0),
    Row("perfect selector", 10, 7, 0, 1, 190.0, 3.0, derived_from="glore"),
)
SECONDS = {"draft": (0.5, 1.5), "gated": (), "glore": (2.0, 4.0)}


def picture(tmp_path: Path, rows: tuple[Row, ...], seconds: dict[str, tuple[float, ...]]) -> bytes:
    out = tmp_path / "curves.png"
    draw_curves(rows, seconds, out)
    assert list(tmp_path.iterdir()) == [out]
    return out.read_bytes()


def test_the_picture_is_a_png_and_shows_accuracies_and_latencies(tmp_path: Path) -> None:
    first = picture(tmp_path, ROWS, SECONDS)
    assert first.startswith(b"\x89PNG")
    assert picture(tmp_path, ROWS, SECONDS) == first
    assert picture(tmp_path, ROWS, {**SECONDS, "glore": (2.0, 3.0)}) != first
    assert picture(tmp_path, (*ROWS[:2], Row("glore", 10, 5, 0, 1, 190.0, 3.0)), SECONDS) != first


@pytest.mark.parametrize("rows", [(), ROWS[1:2]])
def test_where_nothing_was_answered_the_picture_is_empty(
    tmp_path: Path, rows: tuple[Row, ...]
) -> None:
    assert picture(tmp_path, rows, {}).startswith(b"\x89PNG")
