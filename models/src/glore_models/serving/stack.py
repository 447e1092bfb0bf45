"""The processes of one service on this machine, together: start, wait, stop."""

import http.client
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from glore_models.serving.engines import HERE
from glore_models.serving.errors import ServingError
from glore_models.serving.processes import Guarded, Launch, stop_all

SILENT_SECONDS = 600.0  # a loaded machine is slow but says something; a hang does not
START_SECONDS = 3600.0  # and an end to it in any case
_TICK = 0.5

Tick = Callable[[str, str], None]  # what is waited for, the last line of its log


class Silence:
    """For how long what starts has written nothing: slow is not hung."""

    def __init__(self, now: float) -> None:
        """It begins to start; `now` is of a monotonic clock, in seconds."""
        self._written = 0
        self._since = now

    def lasts(self, written: int, now: float) -> float:
        """Seconds since there were fewer or more bytes than are `written` now."""
        if written != self._written:
            self._written, self._since = written, now
        return now - self._since


class Stack:
    """Launches that run until the `with` block ends, whatever ends it."""

    def __init__(self, logs: Path) -> None:
        """Nothing is started yet; logs go to the folder `logs`."""
        self.logs = logs
        self.running: dict[str, Guarded] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stop_all(self.running.values())

    def start(self, launch: Launch) -> None:
        """Start a process; returns at once."""
        self.running[launch.name] = Guarded(launch, self.logs)

    def wait_ready(
        self, names: Sequence[str], tick: Tick, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        """Wait until all of `names` are ready.

        Raises ServingError when one ends, also of those that were ready before, when the gateway
        says that an engine is a misfit, when none that is waited for has written to its log for
        `silent_seconds`, and after an hour.
        """
        waiting = list(names)
        start = time.monotonic()
        silence = Silence(start)
        while waiting:
            for process in self.running.values():
                if process.status() is not None:
                    raise ended(process)
            for name in list(waiting):
                process = self.running[name]
                if is_ready(process.launch):
                    waiting.remove(name)
                elif problem := _misfit(process.launch):
                    raise problem
            if not waiting:
                return
            written = sum(self.running[name].written() for name in waiting)
            now = time.monotonic()
            if silence.lasts(written, now) > silent_seconds or now - start > START_SECONDS:
                raise _hangs(self.running[waiting[0]], now - start)
            tick(" and ".join(waiting), _last_line(self.running[waiting[0]]))
            time.sleep(_TICK)


def is_ready(launch: Launch) -> bool:
    """Whether the process answers 200 where it says that it is ready."""
    return _ask(launch)[0] == http.HTTPStatus.OK


def _misfit(launch: Launch) -> ServingError | None:
    """What the gateway says of an engine that does not fit the family of its roles."""
    if launch.name != "gateway":
        return None
    try:
        problems = dict(json.loads(_ask(launch)[1]).get("problems") or {})
    except (ValueError, TypeError, AttributeError):
        return None
    if not problems:
        return None
    reasons = "\n".join(f"The {name} engine does not fit: {why}." for name, why in problems.items())
    return ServingError(
        problem=reasons, way_out="docs/guides/own-models.md says what each family needs."
    )


def _ask(launch: Launch) -> tuple[int, bytes]:
    """Status and body where the process says whether it is ready; 0 when nothing answers."""
    if launch.ready is None:
        return 0, b""
    connection = http.client.HTTPConnection(HERE, launch.port, timeout=5)
    try:
        connection.request("GET", launch.ready)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def ended(process: Guarded) -> ServingError:
    """The error of a process that should still run, with what its log says."""
    return _failed_start(process, f"ended with status {process.status()}", "The whole log")


def _hangs(process: Guarded, seconds: float) -> ServingError:
    way_out = "Is the machine busy or short of memory? The whole log"
    return _failed_start(process, f"was not ready after {seconds:.0f} s", way_out)


def _failed_start(process: Guarded, what: str, way_out: str) -> ServingError:
    lines = "\n".join(f"    {line[:200]}" for line in process.causes())
    name = process.launch.name
    noun = name if name == "gateway" else f"{name} engine"
    return ServingError(
        problem=f"The {noun} {what}. Its log says:\n{lines}", way_out=f"{way_out}: {process.log}"
    )


def _last_line(process: Guarded) -> str:
    return next(iter(process.tail(1)), "starting")
