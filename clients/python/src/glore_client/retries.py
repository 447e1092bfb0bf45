"""When a call is tried again, and when the time for it is over."""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

from glore_client.errors import APIConnectionError, APIStatusError, GloreError
from glore_client.keywords import names_nearest
from glore_client.transport_errors import is_lasting

logger = logging.getLogger("glore_client")

SHORTEST_DEADLINE = 0.1  # seconds; the gateway takes nothing shorter
# Statuses that say "not now". 504 is not among them: its deadline is used up.
RETRIED = frozenset({429, 502, 503})
FINAL = frozenset({"student-rejected"})  # problems that end in the same way, whatever their status

# What says that a call has not left this machine, or found nobody.
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@names_nearest
@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried again, and after how many seconds.

    Tried again are calls that never reached the gateway, and 429, 502 and 503, but for a
    question that the student's engine refused. A call that was sent and not answered is not,
    unless it is repeatable (a batch with an idempotency key): the gateway may still be at work
    on it.
    """

    max_retries: int = 2
    first_wait: float = 0.5  # doubled each time; half of it is random
    longest_wait: float = 8.0
    longest_retry_after: float = 60.0  # a longer Retry-After is not waited for
    jitter: Callable[[], float] = random.random  # 0..1

    def wait(self, retries: int, error: GloreError, *, repeatable: bool = False) -> float | None:
        """Seconds until the next try after `retries` of them, or None to give up."""
        if retries >= self.max_retries or not _may_retry(error, repeatable=repeatable):
            return None
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        if asked is None:
            backoff = min(self.longest_wait, self.first_wait * 2.0**retries)
            return backoff * (0.5 + 0.5 * self.jitter())
        if asked > self.longest_retry_after:
            return None
        return asked * (1.0 + 0.1 * self.jitter())  # spread: others wait for the same moment


class Tries:
    """The tries of one call that may take `limit` seconds in all, pauses included."""

    def __init__(self, policy: RetryPolicy, clock: Callable[[], float], limit: float) -> None:
        self._policy = policy
        self._clock = clock
        self._limit = limit
        self._begun = clock()
        self._retries = 0
        self.elapsed = 0.0  # seconds from the first try to the present one

    def passed(self) -> float:
        """Seconds since the first try."""
        return self._clock() - self._begun

    def since(self) -> float:
        """Seconds since the present try."""
        return self.passed() - self.elapsed

    def wait(self, error: GloreError, *, repeatable: bool = False) -> float | None:
        """Seconds until the next try, or None where it is not safe, not wanted or too late."""
        wait = self._policy.wait(self._retries, error, repeatable=repeatable)
        if wait is None or self._limit - self.passed() - wait < SHORTEST_DEADLINE:
            return None
        logger.debug("retry %d in %.2f s: %s", self._retries + 1, wait, error)
        return wait

    def again(self) -> None:
        """The next try begins."""
        self._retries += 1
        self.elapsed = max(0.0, self.passed())

    def progressed(self) -> None:
        """The present try has brought something: the retries are counted anew."""
        self._retries = 0


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The header in seconds from `now`, stated as seconds or as an HTTP date; None if neither."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    moment = _http_date(value)
    if moment is None:
        return None
    sent = _http_date(headers.get("Date", "")) or now  # the server's clock, when it says
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
    except (ValueError, OverflowError):  # the latter for a year or an offset beyond all bounds
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
