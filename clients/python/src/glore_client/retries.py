"""When a call is repeated, and when its time is over."""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import httpx2

from glore_client.errors import APIConnectionError, APIStatusError, GloreError
from glore_client.keywords import names_nearest
from glore_client.transport import Transport
from glore_client.transport_errors import is_lasting

logger = logging.getLogger("glore_client")

SHORTEST_DEADLINE = 0.1  # seconds; the gateway accepts nothing shorter
# Statuses that say "not now". 504 is not among them: its deadline is used up.
RETRIED = frozenset({429, 502, 503})
FINAL = frozenset({"student-rejected"})  # problems that end in the same way, whatever their status

# Errors of a request that no server received.
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@names_nearest
@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is repeated, and after how many seconds.

    A call is repeated if it never reached the gateway, and after 429, 502 and 503, but not if the
    student's engine refused the question. A call that was sent and not answered is not repeated:
    the gateway may still work on it. A batch with an idempotency key is.
    """

    max_retries: int = 2
    first_wait: float = 0.5  # doubled each time; half of it is random
    longest_wait: float = 8.0
    longest_retry_after: float = 60.0  # after a longer Retry-After the call is not repeated
    jitter: Callable[[], float] = random.random  # 0..1

    def wait(self, retries: int, error: GloreError, *, repeatable: bool = False) -> float | None:
        """Seconds until the next attempt after `retries` retries, or None to give up."""
        if retries >= self.max_retries or not _may_retry(error, repeatable=repeatable):
            return None
        requested = error.retry_after if isinstance(error, APIStatusError) else None
        if requested is None:
            backoff = min(self.longest_wait, self.first_wait * 2.0**retries)
            return backoff * (0.5 + 0.5 * self.jitter())
        if requested > self.longest_retry_after:
            return None
        return requested * (1.0 + 0.1 * self.jitter())  # other clients wait for the same moment


class Attempts:
    """The attempts of one call, which may take `limit` seconds in all, pauses included."""

    def __init__(
        self,
        transport: Transport,
        policy: RetryPolicy,
        clock: Callable[[], float],
        limit: float,
    ) -> None:
        self.transport = transport
        self._policy = policy
        self._clock = clock
        self._limit = limit
        self._started = clock()
        self._retries = 0
        self.offset = 0.0  # seconds from the start of the first attempt to that of the present one

    @property
    def elapsed(self) -> float:
        """Seconds since the first attempt began."""
        return self._clock() - self._started

    @property
    def elapsed_now(self) -> float:
        """Seconds since the present attempt began."""
        return self.elapsed - self.offset

    async def retry(self, error: GloreError, *, repeatable: bool = False) -> bool:
        """Pause and begin the next attempt; False where it is not safe, not wanted or too late."""
        pause = self._policy.wait(self._retries, error, repeatable=repeatable)
        if pause is None or self._limit - self.elapsed - pause < SHORTEST_DEADLINE:
            return False
        self._retries += 1
        logger.debug("retry %d in %.2f s: %s", self._retries, pause, error)
        await self.transport.sleep(pause)
        self.offset = max(0.0, self.elapsed)
        return True

    def restore_retries(self) -> None:
        """Count the retries from 0 again: the present attempt made progress."""
        self._retries = 0


BeginAttempts: TypeAlias = Callable[[float], Attempts]  # of one call with this limit, in seconds


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The header, seconds or an HTTP date, as seconds from `now`; None if it is neither."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    moment = _http_date(value)
    if moment is None:
        return None
    sent = _http_date(headers.get("Date", "")) or now  # by the server's clock, if it is known
    return max(0.0, (moment - sent).total_seconds())


def _may_retry(error: GloreError, *, repeatable: bool) -> bool:
    if isinstance(error, APIStatusError):
        kind = error.problem.type.rpartition("/")[2] if error.problem else ""
        return error.status in RETRIED and kind not in FINAL
    if is_lasting(error.__cause__):
        return False
    if repeatable:
        return isinstance(error, APIConnectionError)
    return isinstance(error.__cause__, NEVER_SENT)


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a huge year or offset
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
