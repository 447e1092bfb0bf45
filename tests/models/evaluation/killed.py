"""Evaluates a fake service and is killed in the middle of one write after the other.

A program of its own, `python -m tests.models.evaluation.killed FOLDER`, because a process that is
killed with SIGKILL cannot report. One child is forked for each attempt. It is killed in its second
answer (the first attempt in its first), or in the first write of a file that no attempt before
was killed in. Prints a JSON list of [file, signal].
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path

from glore_models.evaluation.run import evaluate
from tests.models.evaluation.fakes import PROBLEMS, FakeSolver, plan
from tests.models.forked import in_a_child

_FSYNC = os.fsync
_REPLACE = Path.replace


def carry_out(folder: Path) -> None:
    """All that is left; whatever is written takes a second."""
    seconds = itertools.count(float(os.getpid()))  # another beginning in each process
    requested = plan(strategies=("draft", "glore"), concurrency=1)
    asyncio.run(evaluate(FakeSolver(), PROBLEMS, requested, folder, clock=lambda: next(seconds)))


def killed_in_a_write(folder: Path, answers: int, known: Collection[str], reported: Path) -> None:
    """As `carry_out`, until a write: half of a row stays, or the old file."""
    written = 0

    def die(path: Path) -> None:
        reported.write_text(path.name, encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)

    def fsync(file: int) -> None:
        nonlocal written
        path = Path(f"/proc/self/fd/{file}").readlink()
        written += path.suffix != ".partial"  # which counts when it is moved
        if written == answers:
            os.truncate(path, path.stat().st_size - 9)
            die(path)
        _FSYNC(file)

    def replace(self: Path, target: Path) -> Path:
        if target.name not in known:
            die(target)
        return _REPLACE(self, target)

    os.fsync = fsync  # type: ignore[assignment]
    Path.replace = replace  # type: ignore[method-assign, assignment]
    carry_out(folder)


def main(folder: Path) -> None:
    """An undisturbed run in `folder`/whole, one killed in every write in `folder`/killed."""
    if in_a_child(lambda: carry_out(folder / "whole")) != 0:
        raise SystemExit(1)
    reported = folder / "told"
    attempts: list[tuple[str, int]] = []
    for _ in range(40):
        reported.write_text("", encoding="utf-8")
        known = [name for name, _ in attempts]
        answers = 2 if "responses.jsonl" in known else 1
        status = in_a_child(
            lambda answers=answers, known=known: killed_in_a_write(  # type: ignore[misc]
                folder / "killed", answers, known, reported
            )
        )
        died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else status
        attempts.append((reported.read_text(encoding="utf-8"), died))
        if died != signal.SIGKILL:
            break
    sys.stdout.write(json.dumps(attempts))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
