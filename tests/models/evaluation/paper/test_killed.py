"""Collecting that is killed (SIGKILL) in the middle of every write ends as if it were not."""

from pathlib import Path

import pytest

from glore_models.evaluation.paper.card import PHASES
from tests.models.forked import killed_in


@pytest.mark.timeout(300)  # 3 seconds of a processor, and many processes
def test_killed_in_every_phase_the_records_are_the_same(tmp_path: Path) -> None:
    killed = killed_in("tests.models.evaluation.paper.killed", tmp_path)
    files = set(killed)
    assert "evaluation/questions/gsm8k.jsonl" in files
    for student in ("sft", "ei"):
        folder = f"evaluation/{student}/gsm8k"
        assert {f"{folder}/{phase}.jsonl" for phase in PHASES} <= files
        assert {f"{folder}.jsonl", f"{folder}/made_with.json", f"{folder}/made_on.json"} <= files
        appended = [name for name in killed if name == f"{folder}/samples.jsonl"]
        assert len(appended) > 1  # between chunks too

    whole, other = tmp_path / "whole", tmp_path / "killed"
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert names == {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    for name in names:
        assert (other / name).read_bytes() == (whole / name).read_bytes(), name
