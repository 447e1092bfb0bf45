"""A run that is killed (SIGKILL) in the middle of every stage ends as one that is not."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glore_models.recipes.catalog import smoke
from glore_models.recipes.run import Run
from glore_models.recipes.stages import Stages
from tests.models.recipes.killed_at_start import SETTINGS


@pytest.mark.timeout(1500)  # minutes alone, many more on a machine that does other work
def test_killed_in_every_stage_a_run_ends_the_same(tiny_base: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.recipes.killed", str(tiny_base), str(tmp_path)],
        stdout=subprocess.PIPE,
        check=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")]),
        },
    )
    attempts = json.loads(done.stdout)
    stages = list(Stages(smoke(), Run(tmp_path / "whole"), tiny_base).all())
    assert attempts == [*([stage, signal.SIGKILL] for stage in stages), ["", 0]]

    whole, killed = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    compared = [path.name for path in whole.folder.glob("*.json*") if "done" not in path.name]
    assert len(compared) > 20
    for name in compared:
        assert killed.path(name).read_text() == whole.path(name).read_text(), name
    adapters = list(whole.folder.glob("*/adapter_model.safetensors"))
    assert len(adapters) == 2 + 6 + 2
    for path in adapters:
        for key, value in load_file(path).items():
            other = load_file(killed.folder / path.relative_to(whole.folder))[key]
            torch.testing.assert_close(other, value, rtol=0.05, atol=1e-3)
    for stage, counts in whole.counts().items():
        theirs = killed.counts()[stage]
        for name in counts.keys() - {"seconds", "training_seconds", "losses"}:
            assert theirs[name] == counts[name], (stage, name)
    assert not list(killed.folder.glob("*.checkpoint"))


def test_killed_at_any_write_of_its_beginning_a_run_begins_again(tmp_path: Path) -> None:
    """Its recipe written down, or a kept run unpacked, in a new folder and in one in use."""
    stored, folder = tmp_path / "kept", tmp_path / "runs"
    for path in (stored / "sorm", folder):
        path.mkdir(parents=True)
    for name in ("recipe", "sorm.done", "student_0.done", "thresholds"):
        (stored / f"{name}.json").write_text(json.dumps({"name": name}))
    (stored / "recipe.json").write_text(json.dumps(SETTINGS, indent=1) + "\n")
    (stored / "sorm" / "adapter_model.safetensors").write_bytes(b"weights" * 9)
    (stored / "samples.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 9))
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.recipes.killed_at_start", str(stored), str(folder)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])},
    )
    starts = json.loads(done.stdout)
    assert {name: len(attempts) for name, attempts in starts.items()} == {
        "remembered": 2,
        "started_from": 2 * 6 + 1,
        "started_beside": 2 * 6,
    }
    for name, attempts in starts.items():
        for number, attempt in enumerate(attempts):
            assert attempt == {
                "signal": signal.SIGKILL,
                "stages done without their data": False,
                "a run that is not whole": False,
                "again": 0,
                "the same in the end": True,
            }, (name, number)
