"""Collects with fake models and is killed in the middle of one write after the other.

A program of its own, `python -m tests.models.evaluation.paper.killed FOLDER`, because a process
that is killed with SIGKILL cannot report. One child is forked for each attempt; nothing of
torch has run in the parent, so forking is safe. The first attempt is killed in its first write,
every other in its second, so that it gets one write further than the one before. Prints a
JSON list of [file, signal].
"""

import json
import os
import signal
import sys
from pathlib import Path

from glore_models.data.run_folder import RunModels
from glore_models.evaluation.paper import phases
from glore_models.evaluation.paper.collector import CollectPlan
from glore_models.evaluation.paper.pipeline import RecordKeys, collect_all
from glore_models.evaluation.provenance import Machine
from tests.models.evaluation.paper.fakes import FakeModels, write_gsm8k
from tests.models.forked import in_a_child

PLAN = CollectPlan(labelled=4, first_error=0.4, orm_first_error=0.5)
QUESTIONS = 6
_FSYNC = os.fsync
_REPLACE = Path.replace


def carry_out(folder: Path) -> None:
    """All that is left, in chunks so small that every phase has several."""
    phases.BATCH_ROWS = 9
    phases.BATCH_SCORES = 4
    models = FakeModels(machine=Machine("a CPU", "float32"))
    collect_all(
        RunModels(folder),
        RecordKeys(("sft", "ei"), {"gsm8k": QUESTIONS}, folder.parent / "gsm8k.jsonl"),
        PLAN,
        lambda _: models.ports(),
        lambda: 0.0,
    )


def killed_in_a_write(folder: Path, last: int, reported: Path) -> None:
    """As `carry_out`, until the `last` lasting write: half of a row stays, or the old file."""
    writes = 0

    def dies(path: Path) -> bool:
        nonlocal writes
        writes += 1
        if writes == last:
            reported.write_text(str(path.relative_to(folder)), encoding="utf-8")
        return writes == last

    def fsync(file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink()
        if path.suffix != ".partial" and dies(path):  # else it counts when it is moved
            os.truncate(path, path.stat().st_size - 9)
            os.kill(os.getpid(), signal.SIGKILL)
        _FSYNC(file)

    def replace(self: Path, target: Path) -> Path:
        anew = target.exists() and target.read_bytes() == self.read_bytes()  # records are
        if not anew and dies(target):
            os.kill(os.getpid(), signal.SIGKILL)
        return _REPLACE(self, target)

    os.fsync = fsync  # type: ignore[assignment]
    Path.replace = replace  # type: ignore[method-assign, assignment]
    carry_out(folder)


def main(folder: Path) -> None:
    """An undisturbed run in `folder`/whole, one killed in every write in `folder`/killed."""
    write_gsm8k(folder / "gsm8k.jsonl")
    if in_a_child(lambda: carry_out(folder / "whole")) != 0:
        raise SystemExit(1)
    reported = folder / "told"
    attempts: list[list[object]] = []
    for attempt in range(200):
        reported.write_text("", encoding="utf-8")
        last = 1 if attempt == 0 else 2
        status = in_a_child(lambda last=last: killed_in_a_write(folder / "killed", last, reported))  # type: ignore[misc]
        died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else status
        attempts.append([reported.read_text(encoding="utf-8"), died])
        if died != signal.SIGKILL:
            break
    sys.stdout.write(json.dumps(attempts))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
