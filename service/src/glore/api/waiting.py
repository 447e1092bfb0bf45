"""One timer of the event loop that watches many waits, one after the other."""

import asyncio
from collections.abc import Callable


class WaitTimer:
    """Calls `expired` when a wait has lasted `seconds`; it is called at most once for a wait.

    A timer for every wait is costly where most are short: this one is set anew only when it has
    gone off.
    """

    def __init__(self, seconds: float, expired: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._expired = expired
        self._since: float | None = None  # the loop's time at which the wait began
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A wait begins."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._check)

    def end(self) -> None:
        """The wait is over."""
        self._since = None

    def close(self) -> None:
        """No wait follows."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        self._timer = None
        if self._since is None:
            return
        until = self._since + self._seconds
        if self._loop.time() < until:
            self._timer = self._loop.call_at(until, self._check)
        else:
            self._expired()
