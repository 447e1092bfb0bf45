"""Collecting that is killed (SIGKILL) in the middle of every write ends as if it were not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.evaluation.paper.counting import PHASES


@pytest.mark.timeout(300)  # 3 seconds of a processor, and many processes
def test_killed_in_every_phase_the_records_are_the_same(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tests.models.evaluation.paper.killed", str(tmp_path)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    *killed, last = json.loads(done.stdout)
    assert last == ["", 0]
    assert {signal_ for _, signal_ in killed} == {signal.SIGKILL}
    files = {name for name, _ in killed}
    assert "evaluation/questions/gsm8k.jsonl" in files
    for student in ("sft", "ei"):
        folder = f"evaluation/{student}/gsm8k"
        assert {f"{folder}/{phase}.jsonl" for phase in PHASES} <= files
        assert {f"{folder}.jsonl", f"{folder}/made_with.json", f"{folder}/made_on.json"} <= files
        appended = [name for name, _ in killed if name == f"{folder}/samples.jsonl"]
        assert len(appended) > 1  # between chunks too

    whole, other = tmp_path / "whole", tmp_path / "killed"
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert names == {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    for name in names:
        assert (other / name).read_bytes() == (whole / name).read_bytes(), name
