"""What a person sees while things start: one moving line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from glore.terminal import visible

if TYPE_CHECKING:
    from rich.status import Status

_PLAIN_EVERY = 5.0  # seconds between lines when something new is to be said
_PLAIN_AT_LEAST = 20.0  # seconds after which a line is repeated, so that silence means a stop
_WIDTH = 60


class Screen:
    """Progress, notes and problems, each with the seconds since the start."""

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to `console` (standard output if None)."""
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._clock = clock
        self._start = clock()
        self._status: Status | None = None
        self._last = ""
        self._last_at = float("-inf")

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def note(self, text: str) -> None:
        """A line that stays."""
        self.console.print(f"[dim]{self.elapsed:5.0f} s[/dim]  {_plain(text)}")

    def progress(self, stage: str, detail: str = "") -> None:
        """What is going on now; on a terminal it replaces the last one."""
        text = f"{stage}: {shortened(detail)}" if detail else stage
        if self.console.is_terminal:
            line = f"{self.elapsed:.0f} s  {_plain(text)}"
            if self._status is None:
                self._status = self.console.status(line)
                self._status.start()
            self._status.update(line)
            return
        since = self._clock() - self._last_at
        if since >= _PLAIN_AT_LEAST or (since >= _PLAIN_EVERY and text != self._last):
            self._last, self._last_at = text, self._clock()
            self.note(text)

    def settle(self) -> None:
        """End the moving line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def problem(self, problem: str, way_out: str) -> None:
        """What went wrong and what to do about it."""
        self.settle()
        self.console.print(f"[bold red]{_plain(problem)}[/bold red]")
        self.console.print(_plain(way_out))

    def text(self, text: str) -> None:
        """Lines as they are."""
        self.settle()
        self.console.print(_plain(text))


def _plain(text: str) -> str:
    """What a log or a gateway says, as text: never markup, never a command to the terminal."""
    return escape(visible(text))


def shortened(text: str) -> str:
    """The text on one short line."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
