"""Runs a command and takes down all it started: `python -m glore_models.serving.guard COMMAND...`.

The owner holds the other end of standard input and never writes. When it closes, because the
owner said so or because it died in whatever way, the command gets SIGTERM, ten seconds, and
then SIGKILL, as does everything in its process group: vLLM's engine core is a child of a
child. The command runs in a session of its own, so a Ctrl-C at the terminal does not reach it
past its owner. The exit status is the command's (128 + N when signal N ended it).

Nothing outlives the guard either, should that be killed: the kernel ends the command, and a shell
that waits for the guard's end kills the group.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_TICK = 0.2
_PR_SET_PDEATHSIG = 1  # prctl(2)
_WATCH = 'read _; kill -s KILL -- "-$1"'  # standard input closes when the guard ends


def main(command: list[str]) -> int:
    """Run `command` until it ends or the owner is gone; its exit status."""
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_ends_with(os.getpid()),  # noqa: PLW1509 - there is one thread
    )
    watcher = _watcher(child.pid)
    try:
        while child.poll() is None and not stopping:
            closed, _, _ = select.select([sys.stdin], [], [], _TICK)
            stopping |= bool(closed)
            if watcher.poll() is not None:
                watcher = _watcher(child.pid)
        if child.poll() is None:
            _signal_group(child.pid, signal.SIGTERM)
            _wait(child, GRACE)
    finally:
        _signal_group(child.pid, signal.SIGKILL)
        status = child.wait()
        watcher.kill()
        watcher.wait()
    return 128 - status if status < 0 else status


def _ends_with(parent: int) -> Callable[[], None]:
    """What a child calls before its program begins, so that it is killed when its parent ends."""
    prctl = ctypes.CDLL(None).prctl  # loaded here: a child that was forked should load nothing

    def call() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it had ended before
            os.kill(os.getpid(), signal.SIGKILL)

    return call


def _watcher(group: int) -> subprocess.Popen[bytes]:
    """A process that kills the group once this one has ended."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, "sh", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while child.poll() is None and time.monotonic() < until:
        time.sleep(_TICK)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
