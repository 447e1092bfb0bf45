from pathlib import Path

import pytest

from glore_models.data.run_folder import Thresholds, ThresholdsError, compared_file, read_thresholds


def test_thresholds_with_and_without_a_gate(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text('{"first_error": 0.34, "orm_first_error": 0.52, "gate": 0.6}')
    found = read_thresholds(path)
    assert found == Thresholds(0.34, 0.52, 0.6)
    assert (found.of("sorm"), found.of("orm")) == (0.34, 0.52)
    path.write_text('{"first_error": 0.34, "orm_first_error": 1}')
    assert read_thresholds(path) == Thresholds(0.34, 1.0, None)


def test_the_threshold_of_a_compared_scorer_lies_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text('{"first_error": 0.34, "orm_first_error": 0.52, "gate": 0.6}')
    compared_file(tmp_path, "orm_matched").write_text('{"first_error": 0.3}')
    found = read_thresholds(path)
    assert found == Thresholds(0.34, 0.52, 0.6, {"orm_matched": 0.3})
    assert [found.of(role) for role in ("sorm", "orm", "orm_matched")] == [0.34, 0.52, 0.3]
    compared_file(tmp_path, "orm_matched").write_text('{"first_error": 3}')
    with pytest.raises(ThresholdsError, match=r"orm_matched_thresholds\.json does not hold"):
        read_thresholds(path)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "0.5",
        '{"first_error": 0.3, "orm_first_error": "high"}',
        '{"first_error": 1.3, "orm_first_error": 0.5}',
        '{"first_error": 0.3, "orm_first_error": true}',
    ],
)
def test_a_file_without_thresholds_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text(text)
    with pytest.raises(ThresholdsError, match="does not hold the thresholds"):
        read_thresholds(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThresholdsError, match=r"thresholds\.json cannot be read"):
        read_thresholds(tmp_path / "thresholds.json")
