"""How much of a request's time was not the gateway's own: engines worked, or it waited its turn.

The time is collected in a context variable, as a trace is: the layers between have no use for it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class TimeAway:
    """Seconds in which at least one engine call of a request ran, and those of its wait.

    Calls side by side count once (the union of their intervals).
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._calls = 0  # that run now
        self._since = 0.0

    def waited(self, seconds: float) -> None:
        """The request waited for its turn; no engine worked for it."""
        self.seconds += seconds

    def begin(self) -> None:
        """A call begins."""
        if not self._calls:
            self._since = time.perf_counter()
        self._calls += 1

    def end(self) -> None:
        """A call that had begun ends."""
        self._calls -= 1
        if not self._calls:
            self.seconds += time.perf_counter() - self._since


_away: ContextVar[TimeAway | None] = ContextVar("away", default=None)


@contextmanager
def collecting() -> Iterator[TimeAway]:
    """Collect the time of the request in the block."""
    away = TimeAway()
    token = _away.set(away)
    try:
        yield away
    finally:
        _away.reset(token)


def time_away() -> TimeAway | None:
    """That of the request that is worked on; None outside of any."""
    return _away.get()
