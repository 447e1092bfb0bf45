"""Retries of engine calls: in this one layer, inside the request's budget, and few.

Every retry is one of the engine calls that the request may make, and none is made beyond them.
Who calls says which faults are worth it (`service.engines.guarded`): a connection that could not
be made and a server that says it is overloaded, for then nothing was begun; and, once in a call, a
connection kept open from an earlier request that closed without an answer, for then most likely
nothing was. Where it was, the work is done twice and nobody says how many tokens the attempt that
was lost has written, so such a retry is made only if the request has all of them once more. A
budget per engine keeps retries a small share of its calls, so that an engine in trouble is not
asked more, but less. Waits are drawn at random up to a bound that doubles (full jitter: Brooker,
"Exponential Backoff and Jitter", 2015).
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeVar

from service.engines.ports import NOTHING_BEGUN, FaultReason, more_calls

SAFE: Final[frozenset[FaultReason]] = NOTHING_BEGUN - {"circuit_open"}

_T = TypeVar("_T")


class Retry(Enum):
    """Whether a call that failed is worth making again."""

    NO = auto()
    UNBEGUN = auto()  # yes: nothing was begun
    REPEATED = auto()  # yes, though the work may have been begun: its tokens may be spent twice


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often, and after how long in seconds. `share`: of retries among an engine's calls."""

    attempts: int = 3  # the first included
    first_wait: float = 0.1
    longest_wait: float = 2.0
    share: float = 0.1
    saved: float = 10.0  # retries that may be saved up


class RetryBudget:
    """What an engine's retries may amount to: every call earns a share of one."""

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


class Retrier:
    """Makes the calls to one engine, again when that is safe and may help.

    `clock` gives monotonic seconds, `sleep` waits so many.
    """

    def __init__(
        self,
        settings: RetrySettings,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - not for secrets
        self._budget = RetryBudget(settings)
        self.retries = 0

    async def call(
        self,
        work: Callable[[float], Awaitable[_T]],
        seconds: float,
        retryable: Callable[[Exception], Retry],
    ) -> _T:
        """What `work(seconds left)` gives. Raises what its last attempt raised.

        An attempt is not made when the wait before it would leave less than nothing.
        """
        end = self._clock() + seconds
        self._budget.earn()
        for attempt in range(1, self._settings.attempts):
            try:
                return await work(end - self._clock())
            except Exception as error:
                wait = wait_before(attempt, self._settings, self._rng)
                in_time = self._clock() + wait < end
                retry = retryable(error)
                allowed = retry is not Retry.NO and in_time and self._budget.allows
                if not (allowed and more_calls(repeated=retry is Retry.REPEATED)):
                    raise
                self._budget.spend()
                self.retries += 1
                await self._sleep(wait)
        return await work(end - self._clock())
