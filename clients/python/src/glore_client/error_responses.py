"""The errors of a request, as the response or the transport shows them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import httpx2
from pydantic import ValidationError

from glore_client.errors import (
    BY_STATUS,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    GloreError,
    InvalidResponseError,
    sentence,
)
from glore_client.results import Problem
from glore_client.retries import retry_after
from glore_client.transport import CONNECT_TIMEOUT
from glore_client.transport_errors import https_hint, in_words
from glore_client.visible import excerpt

C = TypeVar("C", bytes, str)
E = TypeVar("E", bound=GloreError)
T = TypeVar("T")

_MAX_QUOTE: Final = 500  # characters of a problem that an error quotes
_REQUEST_ID: Final = re.compile(r"[!-~]{1,200}")
_PATHS: Final = ("/solve/batch", "/solve", "/feedback", "/readyz")
# How nginx, Apache and Go answer plain http on a port for https.
_WANTS_HTTPS: Final = re.compile(rb"HTTPS (port|server)|SSL-enabled", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WholeResponse:
    """A response and its body; of an error, as much of the body as can and need be read."""

    head: httpx2.Response
    content: bytes
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that an error is about, as far as it is known."""

    request_id: str
    method: str | None = None
    url: httpx2.URL | None = None

    @classmethod
    def of(cls, outcome: httpx2.Response | httpx2.RequestError, request_id: str) -> "Origin":
        """The request of a response or error; a gateway may have given it another id."""
        if isinstance(outcome, httpx2.Response):
            request_id = _valid_id(outcome.headers.get("X-Request-ID")) or request_id
        try:
            request = outcome.request
        except RuntimeError:  # the transport did not set it
            return cls(request_id)
        return cls(request_id, request.method, request.url.copy_with(userinfo=b""))

    @property
    def safe_url(self) -> str | None:
        """The URL as text, without a user name and password."""
        return None if self.url is None else str(self.url)

    def error(self, kind: type[E], message: str) -> E:
        """An error about this request."""
        return kind(message, request_id=self.request_id, method=self.method, url=self.safe_url)

    def invalid(self, message: str) -> InvalidResponseError:
        """The error that the response is not of this API."""
        return self.error(InvalidResponseError, message)


def no_response(
    error: httpx2.RequestError, timeout: float, origin: Origin, *, began: bool
) -> GloreError:
    """The error that there is no complete response within `timeout` seconds.

    `began`: its head is here.
    """
    if not isinstance(error, httpx2.TimeoutException):
        return broken_off(error, origin, began=began)
    what = "answer"
    if isinstance(error, httpx2.ConnectTimeout):
        what, timeout = "connection", min(timeout, CONNECT_TIMEOUT)
    elif isinstance(error, httpx2.PoolTimeout):
        what = "free connection"
    return origin.error(APITimeoutError, f"no {what} within {timeout:.1f} s")


def broken_off(error: httpx2.RequestError, origin: Origin, *, began: bool = True) -> GloreError:
    """The error that the connection failed, or the body cannot be decoded."""
    if isinstance(error, httpx2.DecodingError):
        return origin.invalid(f"the answer cannot be decoded: {excerpt(str(error))}")
    hint = "" if began else https_hint(error, origin.url)
    return origin.error(APIConnectionError, in_words(error, origin.url) + hint)


def status_error(response: WholeResponse, origin: Origin) -> GloreError:
    """The error that a response is."""
    head, status = response.head, response.head.status_code
    if head.is_success:
        return origin.invalid(
            f"status {status} is not an answer of this API{quoted(response.content)}"
        )
    problem = _problem(response.content)
    wait = retry_after(head.headers, datetime.now(UTC))
    if wait is None and problem is not None:
        wait = problem.retry_after
    error = _of_status(status, problem, wait, origin, _message(response, problem, origin))
    if isinstance(error, AuthenticationError):
        error.key_sent = _had_key(head)
    return error


def problem_error(problem: Problem, origin: Origin) -> GloreError:
    """The error that a problem is which came without a response of its own."""
    if problem.status is None:
        return origin.invalid("the answer is a problem without a status")
    request_id = _valid_id(problem.request_id) or origin.request_id
    origin = Origin(request_id, origin.method, origin.url)
    return _of_status(problem.status, problem, problem.retry_after, origin)


def validated(read: Callable[[C], T], content: C, origin: Origin) -> T:
    """The value that `read` gives. Raises InvalidResponseError in place of its ValidationError."""
    try:
        return read(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = excerpt(".".join(str(part) for part in first["loc"])) or "body"
        fault = (
            "status 200, but the answer is not a result of this API: "
            f"{where}: {excerpt(first['msg'])}"
        )
        if first["type"] == "json_invalid":
            fault += f"; it begins with: {_beginning(content)}" if content else "; it is empty"
    raise origin.invalid(fault)


def quoted(body: bytes) -> str:
    """The beginning of a body, as it follows a status in a message."""
    return f": {_beginning(body)}" if body.strip() else ", with an empty body"


def _of_status(
    status: int,
    problem: Problem | None,
    wait: float | None,
    origin: Origin,
    message: str | None = None,
) -> APIStatusError:
    return BY_STATUS.get(status, APIStatusError)(
        status=status,
        request_id=origin.request_id,
        problem=problem,
        retry_after=wait,
        message=message,
        method=origin.method,
        url=origin.safe_url,
    )


def _valid_id(given: str | None) -> str | None:
    """The id that a gateway gave to a request, if it looks like one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else None


def _problem(content: bytes) -> Problem | None:
    """The problem in an error body; None if it is something else, other JSON included."""
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        return None
    return problem if problem.model_fields_set else None


def _message(response: WholeResponse, problem: Problem | None, origin: Origin) -> str:
    """The text of an error response, and a hint at its cause."""
    head, status = response.head, response.head.status_code
    if problem is not None and (problem.errors or problem.detail or problem.title):
        text = excerpt(sentence(status, problem), _MAX_QUOTE)
    elif head.has_redirect_location:
        to = excerpt(head.headers["Location"])
        text = f"status {status}: a redirect to {to}, which is not followed; set the base URL to it"
    elif not response.is_complete and not response.content:
        text = f"status {status}, with a body that cannot be read"
    else:
        text = f"status {status}{quoted(response.content)}"
    hint = _hint(response, origin.url)
    return f"{text.rstrip('.')}. {hint}" if hint else text


def _hint(response: WholeResponse, url: httpx2.URL | None) -> str | None:
    """What the caller may have got wrong."""
    status = response.head.status_code
    if status == httpx2.codes.UNAUTHORIZED:
        if _had_key(response.head):
            return "The API key that was sent is not accepted."
        return "No API key was sent: pass api_key, or set GLORE_API_KEY."
    if url is not None and status == httpx2.codes.NOT_FOUND:
        base = next((url.path.removesuffix(each) for each in _PATHS if url.path.endswith(each)), "")
        root = url.copy_with(path="/", query=None)
        if base:
            return f"The base URL has the path {base}; a gateway's is as a rule {root} alone."
        no_problem = _problem(response.content) is None
        return f"Is there a GLoRe gateway at {root}?" if no_problem else None
    wants_https = status == httpx2.codes.BAD_REQUEST and _WANTS_HTTPS.search(response.content)
    if url is not None and url.scheme == "http" and wants_https:
        return "The server speaks https there: the base URL has to begin with https://."
    return None


def _had_key(head: httpx2.Response) -> bool:
    return "Authorization" in head.request.headers


def _beginning(content: bytes | str) -> str:
    if isinstance(content, bytes):
        content = content[: 4 * _MAX_QUOTE].decode(errors="replace")
    return excerpt(content)
