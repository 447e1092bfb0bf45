"""Work that is done, and perhaps killed, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def killed_in(program: str, folder: Path) -> list[str]:
    """In which files `python -m program FOLDER` was killed, attempt by attempt, before its last.

    The program prints [file, signal] of each attempt; each but the last ended by SIGKILL.
    """
    done = subprocess.run(
        [sys.executable, "-m", program, str(folder)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])},
    )
    *killed, last = json.loads(done.stdout)
    assert last == ["", 0]
    assert {signal_ for _, signal_ in killed} == {signal.SIGKILL}
    return [name for name, _ in killed]


def in_a_child(work: Callable[[], None]) -> int:
    """The wait status of a child that does `work`."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]
