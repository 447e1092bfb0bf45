"""What is started: one process under a guard, its log, and what the log says."""

import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import glore
import glore_models
from glore_models.serving.errors import ServingError
from glore_models.serving.guard import GRACE

PYTHON = (sys.executable, "-P")  # imports nothing from the current folder

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PREFIX = re.compile(  # vLLM's and torch's: process, level, time, place
    r"^(\([\w -]+pid=\d+\) ?)?((DEBUG|INFO|WARNING|ERROR):? +)?([\d-]+ [\d:]+ +)?"
    r"(\[[^\]]+:\d+\] ?)?([DIWEF]\d{4} [\d:.]+ +\d+ \S+\] )?"
)
_CAUSE = re.compile(r"(?=[\w.]*(?:Error|Exception)\b)[\w.]*+.*:|error:", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z]{3}")
_TAIL_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Launch:
    """A process to start: its command, its whole environment, and where it says it is ready.

    `ready` is a path on 127.0.0.1:`port` that answers 200; None for a process that just ends.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int = 0
    ready: str | None = None


class Guarded:
    """A process under `glore_models.serving.guard`: it and its children end when we do."""

    def __init__(self, launch: Launch, logs: Path) -> None:
        """Start it, its output going to `logs`/<name>.log (emptied first)."""
        self.launch = launch
        self.log = logs / f"{launch.name}.log"
        logs.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._guard = subprocess.Popen(
                [*PYTHON, "-m", "glore_models.serving.guard", *launch.command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_safe(launch.environment),
                start_new_session=True,
            )

    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self.wait(0.0)

    def wait(self, seconds: float) -> int | None:
        """The exit status, waiting up to `seconds` for it; None while it runs."""
        try:
            status = self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self.ask_to_stop()  # nobody is there to be asked, but the pipe is to be closed
        return status

    def ask_to_stop(self) -> None:
        """Have the guard end it; returns at once."""
        if self._guard.stdin is not None:
            with suppress(OSError):
                self._guard.stdin.close()

    def wait_stopped(self) -> None:
        """Wait until it has ended, which the guard sees to within its grace."""
        try:
            self._guard.wait(GRACE + 5)
        except subprocess.TimeoutExpired:
            self._guard.send_signal(signal.SIGKILL)
            self._guard.wait()

    def written(self) -> int:
        """Bytes in its log; 0 when somebody has taken it away."""
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    def causes(self) -> list[str]:
        """The errors its log names, each once and the first one first; else its last lines."""
        lines = meaningful(self.log)
        causes = dict.fromkeys(line for line in lines if _CAUSE.match(line))
        return list(causes)[:4] or lines[-4:]

    def tail(self, lines: int) -> list[str]:
        """The last lines of its log that say something, oldest first."""
        return meaningful(self.log)[-lines:]


@contextmanager
def own_logs(folder: Path, port: int) -> Iterator[Path]:
    """A folder for the logs of the service on `port`, which no other service writes into.

    It is `folder`, or the one named after the port in it when another service has that. Raises
    ServingError when none can be written.
    """
    with ExitStack() as stack:
        for each in (folder, folder / str(port)):
            try:
                each.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context((each / "lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError as error:
                raise ServingError(
                    problem=f"Logs cannot be written into {each}: {error.strerror}.",
                    way_out="Set GLORE_CACHE to a folder of yours, or name one with --cache.",
                ) from error
            yield each
            return
    raise ServingError(
        problem=f"Another `glore up` on port {port} writes its logs into {folder}.",
        way_out="Stop it, choose another --port, or another folder with --cache.",
    )


def _safe(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for a process all of whose Pythons import nothing from the current folder.

    Where our packages are found through that folder alone, they are named.
    """
    safe = {**environment, "PYTHONSAFEPATH": "1"}
    found = sys.path[0 if sys.flags.safe_path else 1 :]
    roots = (
        str(Path(file).resolve().parents[1]) for file in (glore_models.__file__, glore.__file__)
    )
    if missing := [root for root in roots if root not in found]:
        known = environment.get("PYTHONPATH")
        safe["PYTHONPATH"] = os.pathsep.join([*missing, *([known] if known else [])])
    return safe


def stop_all(processes: Iterable[Guarded]) -> None:
    """End all of them at once, and wait."""
    stopped = list(processes)
    for process in stopped:
        process.ask_to_stop()
    for process in stopped:
        process.wait_stopped()


def meaningful(log: Path) -> list[str]:
    """The lines of a log's end without colours, time stamps and process names.

    Banners and indented lines (stack frames, continuations) are left out.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    plain = _ANSI.sub("", text).replace("\r", "\n")
    lines = [_PREFIX.sub("", line).rstrip() for line in plain.split("\n")]
    return [line for line in lines if _WORDS.search(line) and not line[0].isspace()]
