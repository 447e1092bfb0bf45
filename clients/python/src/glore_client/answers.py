"""What came of a step: the value in it, or the error that it is."""

import re
from collections.abc import Callable, Generator
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
from glore_client.results import Problem, SolveResult
from glore_client.retries import Tries, retry_after
from glore_client.steps import CONNECT_TIMEOUT, Read, Reply, Send
from glore_client.transport_errors import https_hint, in_words
from glore_client.visible import excerpt

C = TypeVar("C", bytes, str)
T = TypeVar("T")

LONGEST_ANSWER: Final = 8 * 1024 * 1024  # bytes, decoded; a gateway's largest is about 1 MiB
LONGEST_ERROR: Final = 64 * 1024  # bytes, decoded; of a longer error body the rest is not read
_A_MOMENT: Final = 1.0  # seconds for the beginning of an answer that is only quoted
_QUOTED: Final = 500  # characters of a problem that an error quotes
_REQUEST_ID: Final = re.compile(r"[!-~]{1,200}")
_PATHS: Final = ("/solve/batch", "/solve", "/feedback", "/readyz")
# What nginx, Apache and Go say to plain http on a port for https.
_WANTS_HTTPS: Final = re.compile(rb"HTTPS (port|server)|SSL-enabled", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that an error is about, as far as it is known."""

    request_id: str
    method: str | None = None
    url: httpx2.URL | None = None

    @classmethod
    def of(cls, reply: httpx2.Response | httpx2.RequestError, request_id: str) -> "Origin":
        """The request that was replied to; a gateway may have given it another id."""
        if isinstance(reply, httpx2.Response):
            request_id = id_of(reply, request_id)
        try:
            request = reply.request
        except RuntimeError:  # the transport did not say
            return cls(request_id)
        return cls(request_id, request.method, request.url.copy_with(userinfo=b""))

    @property
    def shown(self) -> str | None:
        """The URL as text, without a user name and password."""
        return None if self.url is None else str(self.url)

    def invalid(self, message: str) -> InvalidResponseError:
        """The error that the answer is none of this API."""
        return InvalidResponseError(
            message, request_id=self.request_id, method=self.method, url=self.shown
        )

    def timeout(self, message: str) -> APITimeoutError:
        """The error that time is up."""
        return APITimeoutError(
            message, request_id=self.request_id, method=self.method, url=self.shown
        )

    def broken_off(self, message: str) -> APIConnectionError:
        """The error that there is no answer, or not all of it."""
        return APIConnectionError(
            message, request_id=self.request_id, method=self.method, url=self.shown
        )


@dataclass(frozen=True, slots=True)
class Whole:
    """A response and its body; of an error, as much of the body as can and need be read."""

    response: httpx2.Response
    content: bytes
    origin: Origin
    breaks_off: bool = False


def whole(
    send: Send, tries: Tries, request_id: str, longest: int = LONGEST_ANSWER
) -> Generator[Send | Read, Reply, Whole]:
    """The response to `send` with its body, within `send.timeout`.

    Raises APIConnectionError, and InvalidResponseError for more than `longest` bytes.
    """
    response = _received((yield send), send, request_id)
    return (yield from _read(response, send, tries, request_id, longest))


def opened(
    send: Send, tries: Tries, request_id: str, media_type: str
) -> Generator[Send | Read, Reply, httpx2.Response]:
    """The response to `send`, whose body is to be read bit by bit. Raises GloreError."""
    response = _received((yield send), send, request_id)
    if response.status_code != httpx2.codes.OK:
        raise error_of((yield from _read(response, send, tries, request_id, LONGEST_ERROR)))
    given = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given != media_type:
        begins = yield Read(min(_A_MOMENT, send.patience))
        quoted = _quoted(begins) if isinstance(begins, bytes) else ""
        kind = excerpt(given) or "of no type"
        message = f"status 200, but the answer is {kind}, not {media_type}{quoted}"
        raise Origin.of(response, request_id).invalid(message)
    return response


def heard(
    send: Send, tries: Tries, limit: float, late: str, origin: Origin
) -> Generator[Read, Reply, bytes]:
    """The bytes that come next of an answer that is told bit by bit.

    They may take `send.patience`, and no longer than is left of `limit` seconds from the first
    try, after which it is `late`. Raises APIConnectionError, at the end as well.
    """
    left = limit - tries.passed()
    reply = (yield Read(min(send.patience, left))) if left > 0.0 else httpx2.ReadTimeout("")
    if isinstance(reply, bytes):
        if reply:
            return reply
        message = "the answer was cut off"
        raise origin.broken_off(message)
    if not isinstance(reply, httpx2.TimeoutException):
        raise _broken_off(reply, origin)
    message = late if left <= send.patience else f"not a sign of life within {send.patience:.1f} s"
    raise origin.timeout(message) from reply


def result_of(answer: Whole) -> SolveResult:
    """The result in a response. Raises APIStatusError, InvalidResponseError."""
    if answer.response.status_code != httpx2.codes.OK:
        raise error_of(answer)
    result = validated(SolveResult.model_validate_json, answer.content, answer.origin)
    return consistent(result, answer.origin)


def error_of(answer: Whole) -> GloreError:
    """The error that a response is."""
    response, origin, status = answer.response, answer.origin, answer.response.status_code
    if response.is_success:
        return origin.invalid(
            f"status {status} is not an answer of this API{_quoted(answer.content)}"
        )
    problem = _problem(answer.content)
    wait = retry_after(response.headers, datetime.now(UTC))
    error = BY_STATUS.get(status, APIStatusError)(
        status=status,
        request_id=origin.request_id,
        problem=problem,
        retry_after=wait if wait is not None or problem is None else problem.retry_after,
        message=_message(answer, problem),
        method=origin.method,
        url=origin.shown,
    )
    if isinstance(error, AuthenticationError):
        error.key_sent = _had_key(response)
    return error


def problem_error(problem: Problem, origin: Origin) -> GloreError:
    """The error that a problem is, which came without a response of its own."""
    request_id = _valid_id(problem.request_id) or origin.request_id
    if problem.status is None:
        return origin.invalid("the answer is a problem without a status")
    return BY_STATUS.get(problem.status, APIStatusError)(
        status=problem.status,
        request_id=request_id,
        problem=problem,
        retry_after=problem.retry_after,
        method=origin.method,
        url=origin.shown,
    )


def validated(read: Callable[[C], T], content: C, origin: Origin) -> T:
    """What `read` makes of the content. Raises InvalidResponseError for its ValidationError."""
    try:
        return read(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = excerpt(".".join(str(part) for part in first["loc"])) or "body"
        fault = (
            "status 200, but the answer is not a result of this API: "
            f"{place}: {excerpt(first['msg'])}"
        )
        if first["type"] == "json_invalid":
            fault += f"; it begins with: {_beginning(content)}" if content else "; it is empty"
    raise origin.invalid(fault)


def consistent(result: SolveResult, origin: Origin) -> SolveResult:
    """The result itself. Raises InvalidResponseError for a winner that it does not hold."""
    if not 0 <= result.selected.candidate < len(result.candidates):
        message = "the answer selects a candidate that it does not hold"
        raise origin.invalid(message)
    return result


def id_of(response: httpx2.Response, request_id: str) -> str:
    """The id under which the gateway knows the request."""
    return _valid_id(response.headers.get("X-Request-ID")) or request_id


def _valid_id(given: str | None) -> str | None:
    """What a gateway gave as a request's id, if it looks like one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else None


def _received(reply: Reply, send: Send, request_id: str) -> httpx2.Response:
    if isinstance(reply, httpx2.Response):
        return reply
    raise _unanswered(reply, send, _origin(reply, request_id), began=False)


def _read(
    response: httpx2.Response, send: Send, tries: Tries, request_id: str, longest: int
) -> Generator[Read, Reply, Whole]:
    origin = Origin.of(response, request_id)
    is_error = response.status_code != httpx2.codes.OK
    longest = min(longest, LONGEST_ERROR) if is_error else longest
    content = bytearray()
    while (left := send.timeout - tries.since()) > 0.0:
        reply = yield Read(left)
        if is_error and _breaks_off(reply):  # the status says enough
            return Whole(response, bytes(content), origin, breaks_off=True)
        if not isinstance(reply, bytes):
            raise _unanswered(reply, send, origin, began=True)
        content += reply
        if len(content) > longest and not is_error:
            message = f"the answer is longer than {longest} bytes"
            raise origin.invalid(message)
        if not reply or len(content) > longest:
            return Whole(response, bytes(content[:longest]), origin)
    message = f"no answer within {send.timeout:.1f} s"
    raise origin.timeout(message)


def _breaks_off(reply: Reply) -> bool:
    """Whether the body cannot be read on, for another reason than time."""
    return isinstance(reply, httpx2.RequestError) and not isinstance(reply, httpx2.TimeoutException)


def _origin(reply: Reply, request_id: str) -> Origin:
    return (
        Origin.of(reply, request_id)
        if isinstance(reply, httpx2.RequestError)
        else Origin(request_id)
    )


def _unanswered(reply: Reply, send: Send, origin: Origin, *, began: bool) -> GloreError:
    """The error that a call is which has no whole answer; `began`: it has the head of one."""
    if not isinstance(reply, httpx2.TimeoutException):
        return _broken_off(reply, origin, began=began)
    what, limit = "answer", send.timeout
    if isinstance(reply, httpx2.ConnectTimeout):
        what, limit = "connection", min(limit, CONNECT_TIMEOUT)
    elif isinstance(reply, httpx2.PoolTimeout):
        what = "free connection"
    error = origin.timeout(f"no {what} within {limit:.1f} s")
    error.__cause__ = reply
    return error


def _broken_off(reply: Reply, origin: Origin, *, began: bool = True) -> GloreError:
    if isinstance(reply, httpx2.DecodingError):
        return origin.invalid(f"the answer cannot be decoded: {excerpt(str(reply))}")
    if not isinstance(reply, httpx2.RequestError):
        return origin.broken_off(f"the call broke off: {type(reply).__name__}")
    hint = "" if began else https_hint(reply, origin.url)
    error = origin.broken_off(in_words(reply, origin.url) + hint)
    error.__cause__ = reply
    return error


def _problem(content: bytes) -> Problem | None:
    """The problem in an error body; None if it is something else, other JSON included."""
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        return None
    return problem if problem.model_fields_set else None


def _message(answer: Whole, problem: Problem | None) -> str:
    """What an error response says, and what can be told of its cause."""
    response, status = answer.response, answer.response.status_code
    says_something = problem is not None and (problem.errors or problem.detail or problem.title)
    if says_something:
        text = excerpt(sentence(status, problem), _QUOTED)
    elif response.has_redirect_location:
        to = excerpt(response.headers["Location"])
        text = f"status {status}: a redirect to {to}, which is not followed; set the base URL to it"
    elif answer.breaks_off and not answer.content:
        text = f"status {status}, with a body that cannot be read"
    else:
        text = f"status {status}{_quoted(answer.content)}"
    hint = _hint(answer)
    return f"{text.rstrip('.')}. {hint}" if hint else text


def _hint(answer: Whole) -> str | None:
    """What the caller may have got wrong."""
    status, url = answer.response.status_code, answer.origin.url
    if status == httpx2.codes.UNAUTHORIZED:
        if _had_key(answer.response):
            return "The API key that was sent is not accepted."
        return "No API key was sent: pass api_key, or set GLORE_API_KEY."
    if url is not None and status == httpx2.codes.NOT_FOUND:
        base = next((url.path.removesuffix(each) for each in _PATHS if url.path.endswith(each)), "")
        root = url.copy_with(path="/", query=None)
        if base:
            return f"The base URL has the path {base}; a gateway's is as a rule {root} alone."
        return f"Is there a GLoRe gateway at {root}?" if _problem(answer.content) is None else None
    wants_https = status == httpx2.codes.BAD_REQUEST and _WANTS_HTTPS.search(answer.content)
    if url is not None and url.scheme == "http" and wants_https:
        return "The server speaks https there: the base URL has to begin with https://."
    return None


def _had_key(response: httpx2.Response) -> bool:
    return "Authorization" in response.request.headers


def _quoted(body: bytes) -> str:
    """A body as it is told behind a status."""
    return f": {_beginning(body)}" if body.strip() else ", with an empty body"


def _beginning(content: bytes | str) -> str:
    if isinstance(content, bytes):
        content = content[: 4 * _QUOTED].decode(errors="replace")
    return excerpt(content)
