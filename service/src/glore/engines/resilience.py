"""The calls to one role's engine: whether they are made, how long they may take, and retries.

A role here is an engine of its own, also where several share a server. In front of it stands a
circuit breaker (`glore.engines.breaker`). Around each call there is a time limit of the role:

- A role has its setting, or a share of the request's deadline, or, once it has answered, 24 times
  what its slowest recent answer took, at least three seconds, if that is less. A call that runs
  into it counts as a fault of the engine. One that ends sooner because its request's own time is up
  does not, nor one of a request whose share is less than half of what the role may well take.
- A call is late after half of that. While `RoleLimits.late` calls are, no other is made; and one
  that would be another late one is ended. So a role that hangs cannot hold up all requests.
- A trial of a circuit that was open has the time after which a call is late, twice as much after
  each that fails: an engine that has become slow is found again.

A call is retried when nothing was begun: there was no connection, or the server said that it is
overloaded. Once in a call, a connection kept open from an earlier request that closed without an
answer counts as such: most likely the server had closed it for its age. vLLM sends nothing of a
whole answer before it is done, so the work may be done twice: that retry is made only if the
request has all the call's tokens once more. Every retry is one of the request's engine calls, a
small share of the role's (`RetrySettings.share`), and comes after a random wait whose bound doubles
(full jitter: Brooker, "Exponential Backoff and Jitter", 2015).
"""

import asyncio
import itertools
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from glore.engines.breaker import (
    BreakerSettings,
    Circuit,
    CircuitBreaker,
    CircuitChange,
    OnChange,
)
from glore.engines.exchange import MAX_RESPONSE_BYTES, EngineHTTP, EngineHTTPError
from glore.engines.ports import (
    NOTHING_BEGUN,
    FaultReason,
    Lease,
)

_SAFE: Final[frozenset[FaultReason]] = NOTHING_BEGUN - {"circuit_open"}
_TIMES_USUAL: Final = 24.0  # half of it is late: more than ten times as slow as usual
_LEAST_TIMEOUT: Final = 3.0  # seconds, of a role that has answered
_LEAST_COUNTED: Final = 0.25  # seconds: shorter timeouts say nothing of an engine

_Given = TypeVar("_Given")


@dataclass(frozen=True, slots=True)
class RoleLimits:
    """How long a call of a role may take, in seconds, and how many may be late at once."""

    timeout: float | None = None  # the setting; None: `share` of the request's deadline
    share: float = 1.0  # 1: the role has no time limit but the request's
    most: float = math.inf  # of the engine
    late: int | None = None  # calls; None: any number


@dataclass(frozen=True, slots=True)
class CallLimit:
    """How long one call may take, in seconds."""

    timeout: float = math.inf
    late: float = math.inf  # after this it is late
    longest_trial: float = math.inf
    counts: bool = False  # whether an engine that does not answer in time is unwell


class CallTimes:
    """How long the calls of one role may take.

    `like` is a role that takes about as long: from it is known what is late, until there is better.
    """

    def __init__(self, limits: RoleLimits, like: "CallTimes | None" = None) -> None:
        self._limits = limits
        self._like = like
        self._usual: float | None = None  # seconds of the slowest recent answer

    def answered(self, seconds: float) -> None:
        """An answer took so long."""
        before = seconds if self._usual is None else self._usual
        self._usual = max(seconds, before + 0.1 * (seconds - before))

    @property
    def long(self) -> float | None:
        """Longer than an answer takes, in seconds; None while that is not known."""
        return None if self._usual is None else max(_LEAST_TIMEOUT, _TIMES_USUAL * self._usual)

    def limit(self, deadline: float | None) -> CallLimit:
        """Of a call for a request with this deadline; None: for no request."""
        limits, long = self._limits, self.long
        if deadline is None:
            return CallLimit()
        if limits.timeout is not None:
            timeout = longest = min(limits.timeout, limits.most)
            counts = True
        elif limits.share >= 1:
            return CallLimit(limits.most, counts=True)
        else:
            longest = min(limits.share * deadline, limits.most)
            timeout = min(longest, long or longest)
            counts = timeout >= max(_LEAST_COUNTED, _TIMES_USUAL / 2 * (self._usual or 0.0))
            longest /= 2
        if long is not None:
            late = min(timeout, long / 2)
        else:
            like = self._like.long if self._like is not None else None
            late = min(timeout, like or timeout) / 2
        return CallLimit(timeout, late, longest, counts)


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often, and after how long in seconds. `share`: of retries among a role's calls."""

    attempts: int = 3  # the first included
    first_wait: float = 0.1
    longest_wait: float = 2.0
    share: float = 0.1
    saved: float = 10.0  # retries that may be saved up


class RetryBudget:
    """What a role's retries may amount to: every call earns a share of one."""

    def __init__(self, settings: RetrySettings) -> None:
        self._settings = settings
        self._left = settings.saved

    def earn(self) -> None:
        """A call was made."""
        self._left = min(self._left + self._settings.share, self._settings.saved)

    @property
    def allows(self) -> bool:
        """Whether there is a retry left."""
        return self._left >= 1.0

    def spend(self) -> None:
        """Take a retry that is left."""
        self._left -= 1.0


def wait_before(attempt: int, settings: RetrySettings, rng: random.Random) -> float:
    """Seconds before retry number `attempt` (1 is the first)."""
    bound = min(settings.first_wait * 2.0 ** (attempt - 1), settings.longest_wait)
    return rng.uniform(0.0, bound)


class _TooManyLateError(Exception):
    """A call is late, and as many others are as may be."""


class ResilientEngine:
    """One role's engine behind its breaker, its time limits and its retries.

    `clock` gives monotonic seconds, `sleep` waits so many. `on_change` gets changes of the circuit.
    """

    def __init__(
        self,
        engine: EngineHTTP,
        *,
        limits: RoleLimits,
        like: CallTimes | None = None,
        breaking: BreakerSettings,
        clock: Callable[[], float],
        retrying: RetrySettings = RetrySettings(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
        on_change: OnChange = lambda _: None,
    ) -> None:
        self._engine = engine
        self._breaker = CircuitBreaker(breaking, clock, self._changed)
        self.times = CallTimes(limits, like)
        self._most_late = limits.late
        self._late = 0  # calls that are late
        self._refusing = False  # because of them
        self._failed_trials = 0  # in a row
        self._retrying = retrying
        self._budget = RetryBudget(retrying)
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._on_change = on_change
        self.retries = 0  # retries so far
        self.openings = 0  # of its circuit so far

    @property
    def circuit(self) -> Circuit:
        """Whether calls go through."""
        return Circuit.OPEN if self._full else self._breaker.circuit

    def end_rest(self) -> None:
        """The engine is ready again: the next call is a trial."""
        self._breaker.end_rest()

    def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> Coroutine[Any, Any, bytes]:
        """The body of the answer, all attempts within the lease. Raises EngineHTTPError."""
        return self._call(
            lambda attempt: self._engine.post(path, payload, lease=attempt, size=size), lease
        )

    def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], bool | None],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> Coroutine[Any, Any, None]:
        """As the engine, all attempts within the lease: only one gives events."""
        return self._call(
            lambda attempt: self._engine.stream(path, payload, on_data, lease=attempt, size=size),
            lease,
        )

    def get(self, path: str, *, timeout: float) -> Coroutine[Any, Any, bytes]:
        """As the engine: probes ask whatever the circuit says."""
        return self._engine.get(path, timeout=timeout)

    async def _call(
        self,
        send: Callable[[Lease], Awaitable[_Given]],
        lease: Lease,
    ) -> _Given:
        """What `send` gives. Raises EngineHTTPError, and what a reader of events raised."""
        limit = self.times.limit(lease.deadline)
        last = self._clock() + lease.timeout
        end = min(last, self._clock() + limit.timeout)
        self._budget.earn()
        believed = False  # that a connection was closed for its age
        for attempt in itertools.count(1):
            try:
                return await self._once(send, lease, limit, end, last)
            except EngineHTTPError as fault:
                wait = wait_before(attempt, self._retrying, self._rng)
                repeated = fault.reused and not believed and fault.reason not in _SAFE
                believed = believed or repeated
                safe = fault.reason in _SAFE or repeated
                late = attempt >= self._retrying.attempts or self._clock() + wait >= end
                if fault.begun or not safe or late or not self._budget.allows:
                    raise
                if not lease.reserve_calls(repeated=repeated):
                    raise
            self._budget.spend()
            self.retries += 1
            await self._sleep(wait)
        raise AssertionError  # the count has no end

    async def _once(
        self,
        send: Callable[[Lease], Awaitable[_Given]],
        lease: Lease,
        limit: CallLimit,
        end: float,
        last: float,
    ) -> _Given:
        """One attempt, until `end`, or `last` if it is a trial; the breaker learns how it ended."""
        call = None if self._refuses() else self._breaker.admits()
        if call is None:
            lease.refund_call()
            raise EngineHTTPError(reason="circuit_open")
        if call.trial:
            longer = limit.late * 2.0 ** min(self._failed_trials, 16)
            end = min(last, call.began + min(longer, limit.longest_trial))
        try:
            async with self._in_time(limit.late):
                given = await send(lease.within(end - call.began))
        except _TooManyLateError:
            self._breaker.given_up(call)
            raise EngineHTTPError(reason="timeout") from None
        except EngineHTTPError as fault:
            own = fault.reason == "timeout" and fault.status is None and end < last
            if own and limit.counts:
                self._failed_trials += call.trial
                self._breaker.timed_out(call)
            else:
                self._breaker.failed(call, fault.reason)
            raise
        except BaseException:  # cancelled, or what a reader of events raised
            self._breaker.given_up(call)
            raise
        self._failed_trials = 0
        self._breaker.succeeded(call)
        self.times.answered(self._clock() - call.began)
        return given

    def _changed(self, change: CircuitChange) -> None:
        self.openings += change.circuit is Circuit.OPEN
        self._on_change(change)

    @property
    def _full(self) -> bool:
        """Whether as many calls are late as may be."""
        return self._most_late is not None and self._late >= self._most_late

    def _refuses(self) -> bool:
        """Whether no call may be made because too many are late; `on_change` is called once."""
        if self._full != self._refusing:
            self._refusing = self._full
            if self._full:
                change = CircuitChange(Circuit.OPEN, f"{self._late} calls are late")
                self._changed(change)
            elif self._breaker.circuit is Circuit.CLOSED:
                self._changed(CircuitChange(Circuit.CLOSED, "calls are no longer late"))
        return self._full

    @asynccontextmanager
    async def _in_time(self, late_after: float) -> AsyncIterator[None]:
        """Around a call: counts it once it is late. Raises _TooManyLateError."""
        if self._most_late is None or math.isinf(late_after):
            yield
            return
        loop = asyncio.get_running_loop()
        late = False

        def note() -> None:
            nonlocal late
            if self._full:
                limit.reschedule(loop.time())
            else:
                late = True
                self._late += 1

        timer = loop.call_later(late_after, note)
        limit = asyncio.timeout(None)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise _TooManyLateError from None
            raise
        finally:
            timer.cancel()
            self._late -= late
