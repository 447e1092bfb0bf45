"""An evaluation that is killed (SIGKILL) in the middle of every write ends as if it were not."""

import json
from pathlib import Path
from typing import Any

from tests.models.forked import killed_in

FILES = ("plan.json", "responses.jsonl", "report.json", "table.md", "curves.png", "CARD.md")


def report(folder: Path) -> dict[str, Any]:
    """The report but for the times of the day."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key not in {"started", "finished"}}


def test_killed_in_every_write_the_figures_and_the_time_are_the_same(tmp_path: Path) -> None:
    names = killed_in("tests.models.evaluation.killed", tmp_path)
    assert set(names) == set(FILES)
    assert names.count("responses.jsonl") == 8  # in every answer
    whole, other = tmp_path / "whole", tmp_path / "killed"
    for name in ("plan.json", "responses.jsonl", "table.md", "curves.png"):
        assert (other / name).read_bytes() == (whole / name).read_bytes(), name
    assert report(other) == report(whole)
    assert report(other)["spent"]["seconds"] == 8 + 1  # each answer that lasted, and the end
    assert {path.name for path in other.iterdir()} == set(FILES)
