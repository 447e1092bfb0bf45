"""An event loop in which waiting takes no time: for tests that measure seconds of waiting alone."""

import asyncio
import selectors
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, TypeVar

import pytest

_SHARE: Final = 0.1
_LONGEST: Final = 0.5  # seconds

_T = TypeVar("_T")


class _Skipping(selectors.DefaultSelector):
    """Skips the time in which nothing is ready, `share` of which passes in earnest first."""

    skipped = 0.0

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now, or what becomes ready meanwhile."""
        longest = _LONGEST if timeout is None else max(0.0, timeout)
        ready = super().select(0) or super().select(min(self._share * longest, _LONGEST))
        if ready:
            return ready
        if timeout is None:
            message = "everybody waits, and nothing will happen"
            raise RuntimeError(message)
        self.skipped += longest
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds pass only while everybody waits for them. Nothing outside may be waited for.

    Where both ends of a socket are in this loop, the kernel may still be passing bytes on while
    everybody waits. `sockets` gives it time: a tenth of what is skipped, at most `_LONGEST`.
    """

    def __init__(self, *, sockets: bool = False) -> None:
        self._skipping = _Skipping(_SHARE if sockets else 0.0)
        super().__init__(self._skipping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._skipping.skipped


def run(work: Coroutine[Any, Any, _T], *, sockets: bool = False) -> _T:
    """What `work` gives, in such a loop. Its clock is `asyncio.get_running_loop().time`."""
    with asyncio.Runner(loop_factory=partial(VirtualLoop, sockets=sockets)) as runner:
        return runner.run(work)


def timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each timer goes off that the running loop is given from now on."""
    loop, due = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def noted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
        due.append(when)
        return call_at(when, *rest, **more)

    monkeypatch.setattr(loop, "call_at", noted)
    return due
