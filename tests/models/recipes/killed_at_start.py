"""Begins runs and is killed in the middle of every write of that, then begins them again.

A program of its own, `python -m tests.models.recipes.killed_at_start KEPT FOLDER`, as `killed` is.
A write that is killed has put down half of its bytes; a rename has not been done yet. Prints a
JSON list of what came of each attempt.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glore_models.recipes.keep import unpack
from glore_models.recipes.run import Run
from tests.models.forked import in_a_child

SETTINGS = {"name": "paper", "seeds": [1, 11, 21]}
BEGUN = ("recipe.json", ".done.json")  # what says that there is a run, and that a stage is done


def remembered(_stored: Path, run: Path) -> None:
    """A run without a kept one."""
    Run(run).remember(SETTINGS)


def started_from(stored: Path, run: Path) -> None:
    """As `--start-from`, left out once there is a run."""
    if not (run / "recipe.json").exists():
        unpack(stored, run)
    Run(run).remember(SETTINGS)


def started_beside(stored: Path, run: Path) -> None:
    """As `--start-from`, in a folder that holds other things."""
    run.mkdir(exist_ok=True)
    (run / "notes").touch()
    started_from(stored, run)


def kill_at(number: int) -> Callable[[], int]:
    """SIGKILL in the middle of write `number`; returns what tells how many there were."""
    seen = 0
    write, replace = Path.write_bytes, Path.replace

    def killed() -> bool:
        nonlocal seen
        seen += 1
        return seen == number

    def write_bytes(self: Path, content: bytes) -> int:
        if killed():
            write(self, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(self, content)

    def write_text(self: Path, text: str, encoding: str = "utf-8") -> int:
        return write_bytes(self, text.encode(encoding))

    def copyfile(source: Path, target: Path) -> None:
        write_bytes(target, source.read_bytes())

    def moved(self: Path, target: Path) -> Path:
        if killed():
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.write_bytes = write_bytes  # type: ignore[method-assign, assignment]
    Path.write_text = write_text  # type: ignore[method-assign, assignment]
    Path.replace = moved  # type: ignore[method-assign, assignment]
    shutil.copyfile = copyfile  # type: ignore[assignment]
    return lambda: seen


def files(run: Path) -> dict[str, bytes]:
    """Everything in a run folder."""
    found = (path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


def attempts(
    start: Callable[[Path, Path], None], stored: Path, folder: Path
) -> list[dict[str, Any]]:
    """One attempt for every write of an undisturbed start, each begun again after its kill."""
    counted = folder / f"{start.__name__}.writes"

    def undisturbed() -> None:
        writes = kill_at(0)
        start(stored, folder / start.__name__)
        number = writes()
        os.close(os.open(f"{counted}.{number}", os.O_CREAT))

    if in_a_child(undisturbed) != 0:
        raise SystemExit(1)
    (said,) = folder.glob(f"{counted.name}.*")
    whole, created = files(folder / start.__name__), []
    data = {name: content for name, content in whole.items() if not name.endswith(BEGUN)}
    for number in range(1, int(said.suffix[1:]) + 1):
        run = folder / f"{start.__name__}_{number}"

        def killed(number: int = number, run: Path = run) -> None:
            kill_at(number)
            start(stored, run)

        status = in_a_child(killed)
        half = files(run)
        again = in_a_child(lambda run=run: start(stored, run))  # type: ignore[misc]
        created.append(
            {
                "signal": os.WTERMSIG(status),
                "stages done without their data": any(n.endswith(BEGUN) for n in half)
                and not data.items() <= half.items(),
                "a run that is not whole": "recipe.json" in half
                and not whole.items() <= half.items(),
                "again": again,
                "the same in the end": files(run) == whole,
            }
        )
    return created


def main(stored: Path, folder: Path) -> None:
    """All three ways to begin a run."""
    starts = (remembered, started_from, started_beside)
    created = {start.__name__: attempts(start, stored, folder) for start in starts}
    sys.stdout.write(json.dumps(created))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
