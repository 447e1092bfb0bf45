"""A circuit breaker per engine: calls to an engine that fails are refused before they are made.

Each of the five roles is an engine of its own here, also where several share a server: one that
is broken must not take its neighbours with it.

It opens when, within a window, enough calls failed and they are a large enough share. Only
faults of the engine count: a call that took longer than its request could wait says nothing of
the engine's health, and a request that the engine refuses says the engine is well. After a rest
one call is let through, the trial; if it succeeds the breaker closes, else it rests longer. Only
the trial decides: what a call has to tell that began before the breaker last opened, closed or
reopened comes too late and changes nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.engines.ports import FaultReason

# What shows an engine unwell. Not `timeout`, `rejected`, `bad_response` or `wrong_scores`.
UNWELL: Final[frozenset[FaultReason]] = frozenset({"unreachable", "failed"})


class Circuit(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"  # calls go through
    OPEN = "open"  # calls are refused
    HALF_OPEN = "half_open"  # one call is on its way to see


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, and for how long. Times in seconds."""

    window: float = 20.0
    failures: int = 10  # in the window, at least: more than a request of three candidates makes
    share: float = 0.5  # of the calls in the window, at least
    rest: float = 2.0
    longest_rest: float = 30.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be made; to be handed back, once, with what became of it."""

    generation: int  # of the breaker when the call began
    trial: bool


class CircuitBreaker:
    """The breaker of one engine. `clock` gives monotonic seconds."""

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._recent: deque[tuple[float, bool]] = deque()  # (when, whether it failed)
        self._opened: float | None = None
        self._rest = settings.rest
        self._trying = False
        self._generation = 0  # how often it has opened, reopened and closed

    @property
    def circuit(self) -> Circuit:
        """Where it stands now; a rest that is over shows as half-open."""
        if self._opened is None:
            return Circuit.CLOSED
        rested = self._clock() - self._opened >= self._rest
        return Circuit.HALF_OPEN if rested else Circuit.OPEN

    @property
    def seconds_left(self) -> float:
        """How long calls are still refused; 0 when they are not."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._opened + self._rest - self._clock())

    def admits(self) -> Admitted | None:
        """A call that may be made now, or None. Every admitted call must be reported back."""
        circuit = self.circuit
        if circuit is Circuit.HALF_OPEN and not self._trying:
            self._trying = True
            return Admitted(self._generation, trial=True)
        return Admitted(self._generation, trial=False) if circuit is Circuit.CLOSED else None

    def succeeded(self, call: Admitted) -> None:
        """It was answered, whatever the answer was."""
        if call.generation != self._generation:
            return
        if call.trial:
            self._close()
        self._note(failed=False)

    def failed(self, call: Admitted, reason: FaultReason) -> None:
        """It was not answered soundly: an answer of any kind still shows an engine that is well."""
        if reason == "timeout":
            self.given_up(call)
        elif reason not in UNWELL:
            self.succeeded(call)
        elif call.generation == self._generation:
            self._failed(call)

    def given_up(self, call: Admitted) -> None:
        """It was cancelled: nothing was learned, and the next call may be the trial."""
        if call.trial and call.generation == self._generation:
            self._trying = False

    def _failed(self, call: Admitted) -> None:
        if call.trial:
            self._open(min(2 * self._rest, self._settings.longest_rest))
            return
        self._note(failed=True)
        failures = sum(failed for _, failed in self._recent)
        enough = failures >= self._settings.failures
        if enough and failures >= self._settings.share * len(self._recent):
            self._open(self._settings.rest)

    def _open(self, rest: float) -> None:
        self._opened, self._trying, self._rest = self._clock(), False, rest
        self._generation += 1

    def _close(self) -> None:
        self._opened, self._trying = None, False
        self._generation += 1
        self._recent.clear()

    def _note(self, *, failed: bool) -> None:
        now = self._clock()
        self._recent.append((now, failed))
        while self._recent[0][0] < now - self._settings.window:
            self._recent.popleft()
