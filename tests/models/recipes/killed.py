"""Carries out the smoke recipe and is killed in the middle of every stage, one after the other.

A program of its own, `python -m tests.models.recipes.killed BASE FOLDER`, because a process that is
killed with SIGKILL cannot report. One child is forked for each attempt; nothing of torch has
run in the parent, so forking is safe. Prints a JSON list of [stage, signal] for the attempts.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from glore_models.recipes import sampling
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Run
from glore_models.recipes.stages import Stages
from glore_models.training import loop
from glore_models.training.loop import LoopConfig
from tests.models.forked import in_a_child
from tests.models.recipes.scripted import scripted


def recipe() -> Recipe:
    """The smoke recipe with a scripted sampler, and long enough training to be killed within."""
    created = scripted()
    longer = replace(created.student, loop=LoopConfig(epochs=6, batch_tokens=2048, rate=1e-3))
    assert created.expert_iteration is not None
    return replace(
        created,
        student=longer,
        expert_iteration=replace(created.expert_iteration, training=longer),
        orm=longer,
        sorm=longer,
        global_refiner=longer,
        local_refiner=longer,
    )


def carry_out(base: Path, folder: Path, on_write: Callable[[str], None] | None = None) -> None:
    """All stages that are left; `on_write` is told of each lasting write, by its stage."""
    # several writes in every stage, at this size too
    sampling._CHUNK = 2
    loop._CHECKPOINT_SECONDS = 0.0
    run = Run(folder)
    for name, work in Stages(recipe(), run, base).all().items():
        if on_write is not None:
            _watch(name, on_write)
        run.stage(name, work)


def _watch(stage: str, on_write: Callable[[str], None]) -> None:
    fsync, move = _FSYNC, _REPLACE

    def watched_fsync(file: int) -> None:
        fsync(file)
        on_write(stage)

    def watched_replace(self: Path, target: Path) -> Path:
        on_write(stage)
        return move(self, target)

    os.fsync = watched_fsync  # type: ignore[assignment]
    Path.replace = watched_replace  # type: ignore[method-assign, assignment]


_FSYNC = os.fsync
_REPLACE = Path.replace


def killed_in_the_middle_of(stage: str, writes: int) -> Callable[[str], None]:
    """Kills this process at half the `writes` of a stage (at its only one, if it has one)."""
    seen = 0

    def on_write(current: str) -> None:
        nonlocal seen
        if current == stage:
            seen += 1
            if seen == (writes + 1) // 2:
                os.kill(os.getpid(), signal.SIGKILL)

    return on_write


def main(base: Path, folder: Path) -> None:
    """An undisturbed run in `folder`/whole, one killed in every stage in `folder`/killed."""
    counted = folder / "writes.json"

    def undisturbed() -> None:
        writes: dict[str, int] = {}

        def count(stage: str) -> None:
            writes[stage] = writes.get(stage, 0) + 1

        carry_out(base, folder / "whole", count)
        counted.write_text(json.dumps(writes))

    if in_a_child(undisturbed) != 0:
        raise SystemExit(1)
    attempts = []
    for stage, writes in json.loads(counted.read_text()).items():
        kill = killed_in_the_middle_of(stage, writes)
        status = in_a_child(lambda kill=kill: carry_out(base, folder / "killed", kill))  # type: ignore[misc]
        attempts.append([stage, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0])
    attempts.append(["", in_a_child(lambda: carry_out(base, folder / "killed"))])
    sys.stdout.write(json.dumps(attempts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
