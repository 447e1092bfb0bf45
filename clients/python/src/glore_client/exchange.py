"""One call as a dialogue, free of input and output: what to send, when to try again.

`solve` and `ready` are generators. Each yields `Send` and is sent the response (or the
transport's exception), or yields `Pause` and is resumed afterwards. `Client` and
`AsyncClient` only carry the steps out, so both behave the same.
"""

import math
import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias, TypeVar

import httpx2
from pydantic import ValidationError

from glore_client.errors import (
    BY_STATUS,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    GloreError,
    InvalidResponseError,
)
from glore_client.results import Problem, Readiness, Sampling, SolveResult, Strategy

T = TypeVar("T")

SLACK = 5.0  # seconds a client waits beyond the deadline that it gave the gateway
CONNECT_TIMEOUT = 5.0
SHORTEST_DEADLINE = 0.1  # seconds; the gateway takes nothing shorter
# Statuses that say "not now". 504 is not among them: its deadline is used up.
RETRIED = frozenset({429, 502, 503})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried again, and after how many seconds.

    Tried again are calls that never reached the gateway, and 429, 502 and 503. A call that
    was sent and not answered is not: the gateway may still be at work on it.
    """

    max_retries: int = 2
    first_wait: float = 0.5  # doubled each time; half of it is random
    longest_wait: float = 8.0
    longest_retry_after: float = 60.0  # a longer Retry-After is not waited for
    jitter: Callable[[], float] = random.random  # 0..1

    def wait(self, retries: int, error: GloreError) -> float | None:
        """Seconds until the next try after `retries` of them, or None to give up."""
        if retries >= self.max_retries or not _may_retry(error):
            return None
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        if asked is None:
            backoff = min(self.longest_wait, self.first_wait * 2.0**retries)
            return backoff * (0.5 + 0.5 * self.jitter())
        if asked > self.longest_retry_after:
            return None
        return asked * (1.0 + 0.1 * self.jitter())  # spread: others wait for the same moment


@dataclass(frozen=True, slots=True)
class Send:
    """Send this request; `timeout` is the time left in seconds."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, object] | None
    timeout: float

    def timeouts(self) -> httpx2.Timeout:
        """The same for the transport, connecting kept short."""
        return httpx2.Timeout(self.timeout, connect=min(self.timeout, CONNECT_TIMEOUT))


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds."""

    seconds: float


Reply: TypeAlias = httpx2.Response | httpx2.RequestError | None
Flow: TypeAlias = Generator[Send | Pause, Reply, T]


@dataclass(frozen=True, slots=True)
class SolveCall:
    """One question. `deadline` is the gateway's, `timeout` the client's, both in seconds.

    Both count from the first try, so a try after a pause has less of each.
    """

    question: str
    strategy: Strategy
    sampling: Sampling | None
    deadline: float
    timeout: float
    request_id: str

    def __post_init__(self) -> None:
        """Refuse times that are no times. Raises ValueError."""
        for name, value in (("deadline", self.deadline), ("timeout", self.timeout)):
            if not (math.isfinite(value) and value > 0):
                message = f"{name} must be a positive number of seconds, not {value}"
                raise ValueError(message)

    def send(self, elapsed: float) -> Send:
        """The request as it goes out `elapsed` seconds after the first try."""
        body: dict[str, object] = {
            "question": self.question,
            "strategy": self.strategy,
            "deadline_ms": math.floor(1000 * (self.deadline - elapsed)),
        }
        if self.sampling is not None:
            body["sampling"] = self.sampling.model_dump(exclude_none=True)
        headers = {"X-Request-ID": self.request_id}
        return Send("POST", "/solve", headers, body, self.timeout - elapsed)


def solve(call: SolveCall, policy: RetryPolicy, clock: Callable[[], float]) -> Flow[SolveResult]:
    """Ask, and ask again where that is safe. Raises GloreError."""
    begun = clock()
    elapsed = 0.0
    retries = 0
    while True:
        send = call.send(elapsed)
        reply = yield send
        try:
            return _result(reply, send, call.request_id)
        except GloreError as error:
            wait = policy.wait(retries, error)
            left = min(call.deadline, call.timeout) - (clock() - begun)
            if wait is None or left - wait < SHORTEST_DEADLINE:
                raise
        yield Pause(wait)
        retries += 1
        elapsed = max(0.0, clock() - begun)


def ready(request_id: str, timeout: float) -> Flow[Readiness]:
    """Ask once whether the gateway can answer. Raises GloreError."""
    send = Send("GET", "/readyz", {"X-Request-ID": request_id}, None, timeout)
    response = _response((yield send), send, request_id)
    if response.status_code in {200, 503}:
        try:
            return Readiness.model_validate_json(response.content)
        except ValidationError:
            pass
    raise _error(response, request_id)


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


def _may_retry(error: GloreError) -> bool:
    if isinstance(error, APIStatusError):
        return error.status in RETRIED
    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def _result(reply: Reply, send: Send, request_id: str) -> SolveResult:
    response = _response(reply, send, request_id)
    if response.status_code != httpx2.codes.OK:
        raise _error(response, request_id)
    try:
        result = SolveResult.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        message = f"the answer is not a result of this API: {place}: {first['msg']}"
        raise InvalidResponseError(message, request_id=request_id) from error
    if not 0 <= result.selected.candidate < len(result.candidates):
        message = "the answer selects a candidate that it does not hold"
        raise InvalidResponseError(message, request_id=request_id)
    return result


def _response(reply: Reply, send: Send, request_id: str) -> httpx2.Response:
    if isinstance(reply, httpx2.Response):
        return reply
    if isinstance(reply, httpx2.ConnectTimeout):
        message = f"no connection within {min(send.timeout, CONNECT_TIMEOUT):.1f} s"
        raise APITimeoutError(message, request_id=request_id) from reply
    if isinstance(reply, httpx2.TimeoutException):
        message = f"no answer within {send.timeout:.1f} s"
        raise APITimeoutError(message, request_id=request_id) from reply
    what = "cannot connect" if isinstance(reply, httpx2.ConnectError) else "the call broke off"
    message = f"{what}: {str(reply) or type(reply).__name__}"
    raise APIConnectionError(message, request_id=request_id) from reply


def _error(response: httpx2.Response, request_id: str) -> GloreError:
    status = response.status_code
    kind = BY_STATUS.get(status, APIStatusError)
    if response.is_success:
        message = f"status {status} is not an answer of this API"
        return InvalidResponseError(message, request_id=request_id)
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = None
    return kind(
        status=status,
        request_id=response.headers.get("X-Request-ID", request_id),
        problem=problem,
        retry_after=retry_after(response.headers, datetime.now(UTC)),
    )


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
