"""What both clients share: their settings, and the calls with their arguments checked."""

import copy
import ipaddress
import math
import os
import platform
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Self, Unpack

import httpx2

from glore_client.batches import solve_batch
from glore_client.events import SolveEvent
from glore_client.outcomes import Outcome
from glore_client.questions import (
    BatchCall,
    CallOptions,
    Question,
    SolveOptions,
    require_time,
    shared_options,
    solve_call,
)
from glore_client.results import Feedback, Readiness, SolveResult
from glore_client.retries import Attempts, RetryPolicy
from glore_client.solve import feedback, ready, solve
from glore_client.streams import Opened, stream_events
from glore_client.transport import Transport
from glore_client.version import __version__

# As many connections as calls. Idle ones are closed before uvicorn closes them (after 5 s), so that
# no call uses a connection that is being closed.
LIMITS = httpx2.Limits(max_connections=None, keepalive_expiry=4.0)
DEFAULT_URL: Final = "http://127.0.0.1:8000"
URL_VARIABLE: Final = "GLORE_URL"
KEY_VARIABLE: Final = "GLORE_API_KEY"
_DEFAULT_HEADERS: Final = {
    "User-Agent": f"glore-client/{__version__} python/{platform.python_version()} "
    f"httpx2/{httpx2.__version__}",
    "Accept-Encoding": "identity",  # nothing delays a stream to compress it
}
_LAST_PORT: Final = 65535
_USER = re.compile(r"//[^/]*@")  # with a password, in a URL
_KEY = re.compile(r"[!-~]+")
_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?", re.ASCII)


class BaseClient(ABC):
    """The settings of a client, and its calls as coroutines.

    Raises ValueError for a base URL that is not http or https, and for a key or a header that
    cannot be sent. If it comes from the environment, the text names the variable.
    """

    def __init__(
        self,
        base_url: str | None,
        api_key: str | None,
        headers: Mapping[str, str] | None,
        retry: RetryPolicy | None,
        clock: Callable[[], float],
    ) -> None:
        self._base_url = _base_url(base_url)
        self._headers = _all_headers(headers, api_key)
        self._trust_env = not _is_loopback(self._base_url)
        self._retry = retry or RetryPolicy()
        self._clock = clock
        self._defaults: CallOptions = {}

    def with_options(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        **options: Unpack[CallOptions],
    ) -> Self:
        """A client with other defaults that shares the connections of this one.

        Options of a call or of a question replace them. `timeout` is that of `solve`, `stream` and
        each question of `solve_many`. Closing either client closes both. Raises ValueError for what
        cannot be sent.
        """
        merged = httpx2.Headers(self._headers)
        merged.update(_checked_headers(headers))
        changes = {"_headers": merged, "_defaults": self._with_defaults(options)}
        other = copy.copy(self)
        vars(other).update(changes, _retry=retry or self._retry)
        return other

    @abstractmethod
    def _transport(self) -> Transport: ...

    def _begin(self, limit: float) -> Attempts:
        return Attempts(self._transport(), self._retry, self._clock, limit)

    def _with_defaults(self, options: CallOptions) -> CallOptions:
        """The options of a call, and those of the client for the others. Raises ValueError."""
        merged: CallOptions = {**self._defaults, **options}
        shared_options(merged)
        timeout = merged.get("timeout")
        if timeout is not None:
            require_time("timeout", timeout)
        return merged

    def _solve(
        self, question: str | Question, request_id: str | None, options: CallOptions
    ) -> Coroutine[Any, Any, SolveResult]:
        call = solve_call(question, {**self._defaults, **options}, _request_id(request_id))
        return solve(call, self._begin)

    def _stream(
        self, question: str | Question, silence: float, request_id: str | None, options: CallOptions
    ) -> AsyncGenerator[Opened | SolveEvent, None]:
        require_time("silence", silence)
        call = solve_call(question, {**self._defaults, **options}, _request_id(request_id))
        return stream_events(call, silence, self._begin)

    def _solve_batch(
        self,
        questions: Iterable[str | Question],
        key: str | None,
        timeout: float | None,
        silence: float,
        request_id: str | None,
        options: SolveOptions,
    ) -> AsyncGenerator[Outcome, None]:
        refuse_text(questions)
        require_time("silence", silence)
        if timeout is not None:
            require_time("timeout", timeout)
        call = BatchCall(
            questions=[Question.of(each) for each in questions],
            shared=shared_options(CallOptions(**{**self._defaults, **options})),
            key=None if key is None else _checked_header("the idempotency key", key),
            timeout=math.inf if timeout is None else timeout,
            silence=silence,
            request_id=_request_id(request_id),
        )
        return solve_batch(call, self._begin)

    def _feedback(
        self,
        answer: SolveResult | str,
        correct: bool | None,
        expected_answer: str | None,
        timeout: float,
    ) -> Coroutine[Any, Any, Feedback]:
        if (correct is None) == (expected_answer is None):
            message = "feedback takes either correct or expected_answer"
            raise ValueError(message)
        require_time("timeout", timeout)
        verdict: dict[str, object] = {"id": answer if isinstance(answer, str) else answer.id}
        if correct is not None:
            verdict["correct"] = correct
        else:
            verdict["expected_answer"] = expected_answer
        return feedback(verdict, uuid.uuid4().hex, timeout, self._begin)

    def _ready(self, timeout: float) -> Coroutine[Any, Any, Readiness]:
        require_time("timeout", timeout)
        return ready(uuid.uuid4().hex, timeout, self._begin)


def no_cookies() -> CookieJar:
    """A jar that stores no cookie: none is needed, and a server could send any number."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


def refuse_text(questions: object) -> None:
    """Raise TypeError for a text in place of many: its characters are not questions."""
    if isinstance(questions, str):
        message = "questions are a list (or another iterable) of texts, not one text"
        raise TypeError(message)


def _request_id(given: str | None) -> str:
    """The caller's own id, or a new one. Raises ValueError."""
    return _checked_header("the request id", given) if given else uuid.uuid4().hex


def _checked_header(name: str, value: str) -> str:
    if not _HEADER.fullmatch(value):
        message = f"{name} is empty or has characters that a header cannot carry: {value!r}"
        raise ValueError(message)
    return value


def _checked_headers(headers: Mapping[str, str] | None) -> httpx2.Headers:
    """The headers. Raises ValueError, which does not quote the value, if one cannot be sent."""
    for name, value in (headers or {}).items():
        if not _HEADER_NAME.fullmatch(name) or (value and not _HEADER.fullmatch(value)):
            message = f"the header {name!r} has characters that a header cannot carry"
            raise ValueError(message)
    return httpx2.Headers(headers)


def _base_url(given: str | None) -> str:
    """The base URL that was given, else that of the environment, else the default one."""
    if given is not None:
        return _checked_url(given, "")
    url = os.environ.get(URL_VARIABLE)
    return _checked_url(url, f" (from {URL_VARIABLE})") if url else DEFAULT_URL


def _checked_url(base_url: str, source: str) -> str:
    shown = f"{_USER.sub('//', base_url)!r}{source}"
    try:
        url = httpx2.URL(base_url)
        url.raw_host.decode().encode("idna")  # as a connection does it
    except (httpx2.InvalidURL, UnicodeError) as error:
        message = f"not a URL: {shown}: {error}"
        raise ValueError(message) from None
    if url.scheme not in {"http", "https"} or not url.host:
        message = f"not an http or https URL: {shown}"
        if _HOST_AND_PORT.fullmatch(base_url):
            message += f"; did you mean http://{base_url}?"
        raise ValueError(message)
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        message = f"no port {url.port}: {shown}"
        raise ValueError(message)
    if url.query or url.fragment:
        message = f"a base URL has no query and no fragment: {shown}"
        raise ValueError(message)
    return base_url


def _all_headers(headers: Mapping[str, str] | None, api_key: str | None) -> httpx2.Headers:
    """The headers of every call. Raises ValueError, which does not quote the key."""
    merged = httpx2.Headers(_DEFAULT_HEADERS)
    merged.update(_checked_headers(headers))
    key, name = api_key, "the API key"
    if key is None and "Authorization" not in merged:
        key, name = os.environ.get(KEY_VARIABLE) or None, f"the API key in {KEY_VARIABLE}"
    if key is not None:
        if not _KEY.fullmatch(key):
            message = f"{name} is empty or has characters that a header cannot carry"
            raise ValueError(message)
        merged["Authorization"] = f"Bearer {key}"
    return merged


def _is_loopback(base_url: str) -> bool:
    """Whether the gateway runs on this machine, where no proxy is needed."""
    host = httpx2.URL(base_url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
