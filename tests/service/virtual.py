"""An event loop in which waiting takes no time: for tests that measure seconds of waiting alone."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

_T = TypeVar("_T")


class _Skipping(selectors.DefaultSelector):
    """Skips the time in which nothing is ready."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now."""
        if timeout is None:
            message = "everybody waits, and nothing will happen"
            raise RuntimeError(message)
        self.skipped += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds pass only while everybody waits for them. Nothing outside may be waited for."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._skipping.skipped


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """What `work` gives, in such a loop. Its clock is `asyncio.get_running_loop().time`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each timer goes off that the running loop is given from now on."""
    loop, due = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def noted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:  # noqa: ANN401 - passed on
        due.append(when)
        return call_at(when, *rest, **more)

    monkeypatch.setattr(loop, "call_at", noted)
    return due
