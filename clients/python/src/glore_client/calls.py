"""What both clients make of their arguments."""

import ipaddress
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping

import httpx2

from glore_client import exchange
from glore_client.batches import solve_batch
from glore_client.outcomes import Outcome
from glore_client.questions import (
    BatchCall,
    CallOptions,
    Question,
    SolveOptions,
    require_time,
    shared_by_all,
    solve_call,
)
from glore_client.results import Readiness, SolveResult
from glore_client.retries import RetryPolicy
from glore_client.steps import Flow
from glore_client.telling import Told, tell

# As many connections as there are calls; those that rest are closed before uvicorn does it (5 s),
# so that no call meets a connection that is just going.
LIMITS = httpx2.Limits(max_connections=None, keepalive_expiry=4.0)
_KEY = re.compile(r"[!-~]+")
_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")


class Calls:
    """The calls of a client as flows of steps, and what it was made with.

    Raises ValueError for a `base_url` that is not http or https, and for a key that cannot be sent.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        headers: Mapping[str, str] | None,
        retry: RetryPolicy | None,
        clock: Callable[[], float],
    ) -> None:
        self._base_url = _checked(base_url)
        self._headers = _sent(headers, api_key)
        self._trust_env = not _is_loopback(base_url)
        self._retry = retry or RetryPolicy()
        self._clock = clock

    def _solving(
        self, question: str | Question, request_id: str | None, options: CallOptions
    ) -> Flow[SolveResult]:
        call = solve_call(question, options, _id_of_call(request_id))
        return exchange.solve(call, self._retry, self._clock)

    def _telling(
        self, question: str | Question, silence: float, request_id: str | None, options: CallOptions
    ) -> Flow[Told]:
        require_time("silence", silence)
        call = solve_call(question, options, _id_of_call(request_id))
        return tell(call, silence, self._retry, self._clock)

    def _batching(  # noqa: PLR0913 - what both clients were given
        self,
        questions: Iterable[str | Question],
        key: str | None,
        timeout: float | None,
        silence: float,
        request_id: str | None,
        options: SolveOptions,
    ) -> Flow[Outcome]:
        refuse_text(questions)
        require_time("silence", silence)
        if timeout is not None:
            require_time("timeout", timeout)
        call = BatchCall(
            questions=[Question.of(each) for each in questions],
            shared=shared_by_all(options),
            key=None if key is None else _checked_header("the idempotency key", key),
            timeout=math.inf if timeout is None else timeout,
            silence=silence,
            request_id=_id_of_call(request_id),
        )
        return solve_batch(call, self._retry, self._clock)

    def _readying(self, timeout: float) -> Flow[Readiness]:
        require_time("timeout", timeout)
        return exchange.ready(uuid.uuid4().hex, timeout, self._clock)


def refuse_text(questions: object) -> None:
    """Raise TypeError for one text in place of many: its characters are no questions."""
    if isinstance(questions, str):
        message = "questions are a list (or another iterable) of texts, not one text"
        raise TypeError(message)


def _id_of_call(given: str | None) -> str:
    """The caller's own id, or one that nobody else has. Raises ValueError."""
    return _checked_header("the request id", given) if given else uuid.uuid4().hex


def _checked_header(name: str, value: str) -> str:
    if not _HEADER.fullmatch(value):
        message = f"{name} is empty or has characters that a header cannot carry: {value!r}"
        raise ValueError(message)
    return value


def _checked(base_url: str) -> str:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        message = f"not a URL: {base_url!r}"
        raise ValueError(message) from error
    if url.scheme not in {"http", "https"} or not url.host:
        message = f"not an http or https URL: {base_url!r}"
        raise ValueError(message)
    return base_url


def _sent(headers: Mapping[str, str] | None, api_key: str | None) -> httpx2.Headers:
    """What goes out with every call. Raises ValueError, which does not quote the key."""
    sent = httpx2.Headers(headers)
    if api_key is not None:
        if not _KEY.fullmatch(api_key):
            message = "the API key is empty or has characters that a header cannot carry"
            raise ValueError(message)
        sent["Authorization"] = f"Bearer {api_key}"
    return sent


def _is_loopback(base_url: str) -> bool:
    """Whether the gateway runs on this machine, so that no proxy can lead there."""
    host = httpx2.URL(base_url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
