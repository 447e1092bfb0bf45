import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from models.serving.processes import Guarded, Launch, meaningful, stop_all

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("the child is", child.pid, flush=True)
time.sleep(600)
"""
OWNER = """
import os, sys, time
from pathlib import Path
from models.serving.processes import Guarded, Launch
launch = Launch("family", (sys.executable, "-c", sys.argv[1]), os.environ)
process = Guarded(launch, Path(sys.argv[2]))
time.sleep(600)
"""


def python(name: str, code: str) -> Launch:
    return Launch(name, (sys.executable, "-c", code), os.environ)


def child_of_family(log: Path) -> psutil.Process:
    """The grandchild that FAMILY wrote into its log."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if log.exists() and "the child is" in (text := log.read_text()):
            return psutil.Process(int(text.split()[-1]))
        time.sleep(0.05)
    raise AssertionError


def gone(process: psutil.Process, seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_process_that_ends_gives_its_status_and_log(tmp_path: Path) -> None:
    process = Guarded(python("short", "print('said this'); raise SystemExit(3)"), tmp_path)
    assert process.wait(30) == 3
    assert process.status() == 3
    assert process.tail(5) == ["said this"]
    assert process.log == tmp_path / "short.log"


def test_a_signal_shows_in_the_status(tmp_path: Path) -> None:
    process = Guarded(python("hit", "import os; os.kill(os.getpid(), 9)"), tmp_path)
    assert process.wait(30) == 137


def test_stopping_takes_the_whole_family(tmp_path: Path) -> None:
    process = Guarded(python("family", FAMILY), tmp_path)
    child = child_of_family(process.log)
    stop_all([process])
    assert process.status() is not None
    assert gone(child)


def test_what_a_dead_process_left_is_taken_down(tmp_path: Path) -> None:
    process = Guarded(python("family", FAMILY), tmp_path)
    child = child_of_family(process.log)
    parent = child.parent()
    assert parent is not None
    parent.kill()
    assert process.wait(30) == 137
    assert gone(child)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_when_the_owner_dies(tmp_path: Path, number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, FAMILY, str(tmp_path)])  # noqa: S603
    child = child_of_family(tmp_path / "family.log")
    parent = child.parent()
    owner.send_signal(number)
    owner.wait()
    assert parent is not None
    assert gone(parent)
    assert gone(child)


def test_a_process_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on'); "
    process = Guarded(python("stubborn", f"{stubborn}time.sleep(600)"), tmp_path)
    started = time.monotonic()
    stop_all([process])
    assert process.status() is not None
    assert time.monotonic() - started < 20


def test_a_log_is_read_for_what_it_says(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text(
        "\x1b[36m(APIServer pid=12)\x1b[0;0m INFO 11-23 20:04:05 [core.py:88] Loading weights\n"
        "  wrapper = lookup(kernel)\n"
        " █ ▄▄ █\n\n"
        "W1123 20:49:49.346000 6988 torch/triton.py:53] Triton not available\n"
        "(EngineCore pid=7) ERROR 11-23 20:49:49 [core.py:1]   File x, line 1, in run\n"
        "10%|#   | 1/10\r100%|####| done with it\n"
    )
    assert meaningful(log) == [
        "Loading weights",
        "Triton not available",
        "100%|####| done with it",
    ]
    assert meaningful(tmp_path / "none.log") == []


def test_causes_are_the_errors_in_order_and_once(tmp_path: Path) -> None:
    code = "print('INFO hello'); print('ValueError: the cause'); print('ValueError: the cause')"
    process = Guarded(python("bad", f"{code}; print('RuntimeError: see above')"), tmp_path)
    assert process.wait(30) == 0
    assert process.causes() == ["ValueError: the cause", "RuntimeError: see above"]
    process = Guarded(python("odd", "print('only this')"), tmp_path)
    assert process.wait(30) == 0
    assert process.causes() == ["only this"]
