"""What pictures have in common."""

from pathlib import Path

import pytest

from glore_models.evaluation.picture import colour, places, shown


def test_strategies_of_as_many_tokens_stand_side_by_side() -> None:
    found = places([100.0, 177.0, 177.0, 177.0])
    assert found[0] == 100.0
    assert found[1] < found[2] < found[3]
    assert found[2] == pytest.approx(177.0)
    assert places([]) == []
    assert len(set(places([0.0, 0.0]))) == 2


def test_what_no_one_has_is_grey() -> None:
    assert colour("perfect selector", 0) == "grey"
    assert colour("glore", 0) == colour("glore", 9) == "C0"


def test_a_picture_is_shown_where_it_can_be_drawn(tmp_path: Path) -> None:
    def cannot(_out: Path) -> None:
        raise ModuleNotFoundError

    out = tmp_path / "curves.png"
    assert shown(lambda at: at.touch(), out, "a dot") == "![a dot](curves.png)"
    assert out.exists()
    assert "matplotlib is not installed" in shown(cannot, out, "a dot")
    assert not out.exists()
