"""Engines that end are started again: later each time, and not for ever.

The gateway answers without an engine that is down, and says so in `degraded` and `/readyz`.
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from glore_models.serving.errors import ServingError
from glore_models.serving.processes import Guarded, Launch
from glore_models.serving.stack import SILENT_SECONDS, Silence, Stack, ended, is_ready

GATEWAY = "gateway"
_TICK = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long to wait before an engine is started again, and when it is given up.

    The wait, in seconds, doubles with each time that it ends. After `steady` seconds of being
    ready the earlier ones are forgotten. One that is started again and adds nothing to its log for
    `silent` seconds before it is ready hangs, and is ended.
    """

    first_wait: float = 1.0
    longest_wait: float = 60.0
    starts: int = 6  # again, in a row
    steady: float = 600.0
    silent: float = SILENT_SECONDS

    def wait(self, ends: int) -> float | None:
        """Seconds before the next start after so many ends in a row; None: no more starts."""
        if ends > self.starts:
            return None
        return min(self.first_wait * 2.0 ** (ends - 1), self.longest_wait)


@dataclass(slots=True)
class _Engine:
    """What is known of one engine; times are of the monotonic clock."""

    launch: Launch
    ready_since: float | None  # None: it is down, or starting
    ends: int = 0  # in a row
    due: float | None = None  # when it is started again
    silence: Silence | None = None  # while it is starting again, until it is to end


class Revival:
    """Watches what a stack has started.

    `report` takes a line for people. Without a `vital` engine nothing can be answered: when one
    is given up, so is all.
    """

    def __init__(
        self,
        stack: Stack,
        report: Callable[[str], None],
        *,
        vital: Collection[str] = (),
        policy: RestartPolicy = RestartPolicy(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stack = stack
        self._report = report
        self._vital = frozenset(vital)
        self._policy = policy
        self._clock = clock
        self._engines = {
            name: _Engine(process.launch, ready_since=clock())
            for name, process in stack.running.items()
            if name != GATEWAY
        }

    def watch(self) -> None:
        """Keep all of it running; returns never.

        Raises ServingError when the gateway ends, or a vital engine once too often.
        """
        while True:
            time.sleep(_TICK)
            self.look()

    def look(self) -> None:
        """Do what is to be done now. Raises ServingError as `watch` does."""
        for name, process in list(self._stack.running.items()):
            if process.status() is not None:
                if name == GATEWAY:
                    raise ended(process)
                self._ended(self._engines[name], process)
        for engine in self._engines.values():
            if engine.due is not None and self._clock() >= engine.due:
                engine.due = None
                self._report(f"{engine.launch.name} engine: starting again")
                self._stack.start(engine.launch)
                engine.silence = Silence(self._clock())
            elif self._is_starting(engine):
                self._look_at_start(engine, self._stack.running[engine.launch.name])

    def _look_at_start(self, engine: _Engine, process: Guarded) -> None:
        if is_ready(engine.launch):
            engine.ready_since = self._clock()
            self._report(f"{engine.launch.name} engine: ready again")
            return
        if engine.silence is None:
            return  # it may take a little to end
        if engine.silence.lasts(process.written(), self._clock()) > self._policy.silent:
            engine.silence = None
            self._report(
                f"{engine.launch.name} engine: has said nothing for {self._policy.silent:.0f} s, "
                "and is ended"
            )
            process.ask_to_stop()

    def _is_starting(self, engine: _Engine) -> bool:
        return engine.ready_since is None and engine.launch.name in self._stack.running

    def _ended(self, engine: _Engine, process: Guarded) -> None:
        name, now = engine.launch.name, self._clock()
        if engine.ready_since is not None and now - engine.ready_since >= self._policy.steady:
            engine.ends = 0
        engine.ends += 1
        engine.ready_since = None
        wait = self._policy.wait(engine.ends)
        if wait is None and name in self._vital:
            raise _given_up(process, engine.ends)
        said = f"{name} engine: ended (status {process.status()})"
        kept = _set_aside(process.log)
        del self._stack.running[name]
        if wait is None:
            self._report(
                f"{said}, {engine.ends} times in a row, and is given up. Answers go on without "
                f"it until all is started anew. Its log: {kept}"
            )
            return
        engine.due = now + wait
        self._report(
            f"{said}. Answers go on without it; it is started again in {wait:.0f} s. "
            f"Its log: {kept}"
        )


def _set_aside(log: Path) -> Path:
    """Where a log is from now on: the next start begins its own under the old name."""
    aside = log.with_suffix(".ended.log")
    with suppress(FileNotFoundError):  # somebody needed the room
        log.replace(aside)
    return aside


def _given_up(process: Guarded, ends: int) -> ServingError:
    """The error of an engine without which nothing is answered."""
    error = ended(process)
    return ServingError(
        problem=f"An engine without which nothing is answered was started {ends} times in vain.\n"
        f"{error.problem}",
        way_out=error.way_out,
    )
