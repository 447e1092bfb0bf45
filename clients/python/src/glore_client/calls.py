"""What both clients make of their arguments."""

import copy
import ipaddress
import math
import os
import platform
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Self, Unpack

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
from glore_client.results import Feedback, Readiness, SolveResult
from glore_client.retries import RetryPolicy
from glore_client.steps import Flow
from glore_client.telling import Told, tell
from glore_client.version import __version__

# As many connections as there are calls; those that rest are closed before uvicorn does it (5 s),
# so that no call meets a connection that is just going.
LIMITS = httpx2.Limits(max_connections=None, keepalive_expiry=4.0)
DEFAULT_URL: Final = "http://127.0.0.1:8000"
URL_VARIABLE: Final = "GLORE_URL"
KEY_VARIABLE: Final = "GLORE_API_KEY"
_SOFTWARE: Final = {
    "User-Agent": f"glore-client/{__version__} python/{platform.python_version()} "
    f"httpx2/{httpx2.__version__}",
    "Accept-Encoding": "identity",  # a few kilobytes, and streams that nobody holds back to pack
}
_LAST_PORT: Final = 65535
_USER = re.compile(r"//[^/]*@")  # with a password, in a URL
_KEY = re.compile(r"[!-~]+")
_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?", re.ASCII)


class Calls:
    """The calls of a client as flows of steps, and what it was made with.

    Raises ValueError for a base URL that is not http or https, for a key or a header that cannot
    be sent; where it comes from the environment, the text names the variable.
    """

    def __init__(
        self,
        base_url: str | None,
        api_key: str | None,
        headers: Mapping[str, str] | None,
        retry: RetryPolicy | None,
        clock: Callable[[], float],
    ) -> None:
        self._base_url = _url(base_url)
        self._headers = _sent(headers, api_key)
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

        An option of a call or of a question goes before them. `timeout` is that of `solve`,
        `stream` and each question of `solve_many`. Closing either client closes both. Raises
        ValueError for what cannot be sent.
        """
        together = httpx2.Headers(self._headers)
        together.update(_checked_headers(headers))
        changes = {"_headers": together, "_defaults": self._with_defaults(options)}
        other = copy.copy(self)
        vars(other).update(changes, _retry=retry or self._retry)
        return other

    def _with_defaults(self, options: CallOptions) -> CallOptions:
        """The options of a call, and for the others those of the client. Raises ValueError."""
        together: CallOptions = {**self._defaults, **options}
        shared_by_all(together)
        timeout = together.get("timeout")
        if timeout is not None:
            require_time("timeout", timeout)
        return together

    def _solving(
        self, question: str | Question, request_id: str | None, options: CallOptions
    ) -> Flow[SolveResult]:
        call = solve_call(question, {**self._defaults, **options}, _id_of_call(request_id))
        return exchange.solve(call, self._retry, self._clock)

    def _telling(
        self, question: str | Question, silence: float, request_id: str | None, options: CallOptions
    ) -> Flow[Told]:
        require_time("silence", silence)
        call = solve_call(question, {**self._defaults, **options}, _id_of_call(request_id))
        return tell(call, silence, self._retry, self._clock)

    def _batching(
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
            shared=shared_by_all(CallOptions(**{**self._defaults, **options})),
            key=None if key is None else _checked_header("the idempotency key", key),
            timeout=math.inf if timeout is None else timeout,
            silence=silence,
            request_id=_id_of_call(request_id),
        )
        return solve_batch(call, self._retry, self._clock)

    def _judging(
        self,
        answer: SolveResult | str,
        correct: bool | None,
        expected_answer: str | None,
        timeout: float,
    ) -> Flow[Feedback]:
        if (correct is None) == (expected_answer is None):
            message = "feedback takes either correct or expected_answer"
            raise ValueError(message)
        require_time("timeout", timeout)
        verdict: dict[str, object] = {"id": answer if isinstance(answer, str) else answer.id}
        if correct is not None:
            verdict["correct"] = correct
        else:
            verdict["expected_answer"] = expected_answer
        return exchange.feedback(verdict, uuid.uuid4().hex, timeout, self._retry, self._clock)

    def _readying(self, timeout: float) -> Flow[Readiness]:
        require_time("timeout", timeout)
        return exchange.ready(uuid.uuid4().hex, timeout, self._clock)


def no_cookies() -> CookieJar:
    """What keeps no cookie: nothing here needs one, and a server could send any number."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


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


def _checked_headers(headers: Mapping[str, str] | None) -> httpx2.Headers:
    """The headers. Raises ValueError for one that cannot be sent; it does not quote its value."""
    for name, value in (headers or {}).items():
        if not _HEADER_NAME.fullmatch(name) or (value and not _HEADER.fullmatch(value)):
            message = f"the header {name!r} has characters that a header cannot carry"
            raise ValueError(message)
    return httpx2.Headers(headers)


def _url(base_url: str | None) -> str:
    """The base URL that was given, else that of the environment, else the default one."""
    given, where = base_url, ""
    if given is None:
        given, where = os.environ.get(URL_VARIABLE) or None, f" (from {URL_VARIABLE})"
    return DEFAULT_URL if given is None else _checked(given, where)


def _checked(base_url: str, where: str) -> str:
    shown = f"{_USER.sub('//', base_url)!r}{where}"
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


def _sent(headers: Mapping[str, str] | None, api_key: str | None) -> httpx2.Headers:
    """What goes out with every call. Raises ValueError, which does not quote the key."""
    sent = httpx2.Headers(_SOFTWARE)
    sent.update(_checked_headers(headers))
    key, where = api_key, "the API key"
    if key is None and "Authorization" not in sent:
        key, where = os.environ.get(KEY_VARIABLE) or None, f"the API key in {KEY_VARIABLE}"
    if key is not None:
        if not _KEY.fullmatch(key):
            message = f"{where} is empty or has characters that a header cannot carry"
            raise ValueError(message)
        sent["Authorization"] = f"Bearer {key}"
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
