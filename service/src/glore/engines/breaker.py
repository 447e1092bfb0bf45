"""A circuit breaker per role: calls to an engine that fails are refused before they are made.

Each of the five roles has a breaker of its own, also where several share a server: one that is
broken must not take its neighbours with it.

It opens when, within a window, enough calls failed and they are a large enough share. It also opens
when calls run into the time that their role has (`timed_out`) and none is answered in between. Only
faults of the engine count: a call that took longer than its request could wait says nothing of the
engine's health, and a request that the engine refuses says the engine is well.

After a rest one call is let through, the trial; if it succeeds the breaker closes, else it rests
longer. Only the trial decides: a call that began before the breaker last changed changes nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from glore.engines.ports import FaultReason

# What shows an engine unwell. Not `rejected`, `bad_response` or `wrong_scores`: those are answers.
UNWELL: Final[frozenset[FaultReason]] = frozenset({"unreachable", "failed"})


class Circuit(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"  # Calls are made.
    OPEN = "open"  # Calls are refused without asking the engine.
    HALF_OPEN = "half_open"  # One call is made as a trial.


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, and for how long. Times in seconds."""

    window: float = 20.0
    failures: int = 10  # in the window, at least: more than a request of three candidates makes
    share: float = 0.5  # of the calls in the window, at least
    timeouts: int = 10  # without an answer in between
    timeouts_in_turn: int = 2  # the same, each begun after the one before had ended
    rest: float = 2.0
    longest_rest: float = 30.0


@dataclass(frozen=True, slots=True)
class AdmittedCall:
    """A call that may be made; to be handed back, once, with what became of it."""

    generation: int  # of the breaker when the call began
    trial: bool
    began: float


@dataclass(frozen=True, slots=True)
class CircuitChange:
    """What became of a circuit, and why; `rest` in seconds, 0 when it closed."""

    circuit: Circuit
    reason: str
    rest: float = 0.0


OnChange: TypeAlias = Callable[[CircuitChange], None]


class CircuitBreaker:
    """The breaker of one role. `clock` gives monotonic seconds."""

    def __init__(
        self,
        settings: BreakerSettings,
        clock: Callable[[], float],
        on_change: OnChange = lambda _: None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_change = on_change
        self._recent: deque[tuple[float, bool]] = deque()  # (when, whether it failed)
        self._timeouts = self._in_turn = 0  # since the last answer
        self._last_timeout = -1.0
        self._opened: float | None = None
        self._rest = settings.rest
        self._trying = False
        self._generation = 0  # how often it has opened, reopened and closed

    @property
    def circuit(self) -> Circuit:
        """Where it stands now; a rest that is over shows as half-open."""
        if self._opened is None:
            return Circuit.CLOSED
        return Circuit.HALF_OPEN if self.seconds_left <= 0 else Circuit.OPEN

    @property
    def seconds_left(self) -> float:
        """How long calls are still refused; 0 when they are not."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._opened + self._rest - self._clock())

    def admits(self) -> AdmittedCall | None:
        """A call that may be made now, or None. Every admitted call must be reported back."""
        circuit = self.circuit
        trial = circuit is Circuit.HALF_OPEN and not self._trying
        if not trial and circuit is not Circuit.CLOSED:
            return None
        self._trying = trial
        return AdmittedCall(self._generation, trial, self._clock())

    def succeeded(self, call: AdmittedCall) -> None:
        """It was answered, whatever the answer was."""
        if call.generation != self._generation:
            return
        if call.trial:
            self._close("the trial was answered")
        self._timeouts = self._in_turn = 0
        self._note(failed=False)

    def failed(self, call: AdmittedCall, reason: FaultReason) -> None:
        """It was not answered soundly: an answer of any kind still shows an engine that is well."""
        if reason == "timeout":
            self.given_up(call)
        elif reason not in UNWELL:
            self.succeeded(call)
        elif call.generation == self._generation:
            self._failed(call, reason)

    def timed_out(self, call: AdmittedCall) -> None:
        """It was not answered in the time that the role has."""
        if call.generation == self._generation:
            self._timeouts += 1
            if call.began >= self._last_timeout:
                self._in_turn += 1
                self._last_timeout = self._clock()
            self._failed(call, "timeout")

    def given_up(self, call: AdmittedCall) -> None:
        """It was cancelled: nothing was learned, and the next call may be the trial."""
        if call.trial and call.generation == self._generation:
            self._trying = False

    def end_rest(self) -> None:
        """Let the trial through now: there is reason to think that the engine is well again."""
        if self._opened is not None:
            self._rest = 0.0

    def _failed(self, call: AdmittedCall, reason: FaultReason) -> None:
        settings = self._settings
        if call.trial:
            rest = min(2 * max(self._rest, settings.rest / 2), settings.longest_rest)
            self._open(rest, f"the trial failed: {reason}")
            return
        self._note(failed=True)
        failures = sum(failed for _, failed in self._recent)
        if (
            (failures >= settings.failures and failures >= settings.share * len(self._recent))
            or self._timeouts >= settings.timeouts
            or self._in_turn >= settings.timeouts_in_turn
        ):
            self._open(settings.rest, reason)

    def _open(self, rest: float, reason: str) -> None:
        self._opened, self._trying, self._rest = self._clock(), False, rest
        self._generation += 1
        self._on_change(CircuitChange(Circuit.OPEN, reason, rest))

    def _close(self, reason: str) -> None:
        self._opened, self._trying = None, False
        self._generation += 1
        self._recent.clear()
        self._on_change(CircuitChange(Circuit.CLOSED, reason))

    def _note(self, *, failed: bool) -> None:
        now = self._clock()
        self._recent.append((now, failed))
        while self._recent[0][0] < now - self._settings.window:
            self._recent.popleft()
