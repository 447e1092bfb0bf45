"""What came of a step: the value in it, or the error that it is."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

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
from glore_client.results import Problem, SolveResult
from glore_client.retries import Tries, retry_after
from glore_client.steps import CONNECT_TIMEOUT, Read, Reply, Send

C = TypeVar("C", bytes, str)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Whole:
    """A response and all of its body."""

    response: httpx2.Response
    content: bytes


def whole(send: Send, tries: Tries, request_id: str) -> Generator[Send | Read, Reply, Whole]:
    """The response to `send` with its body, within `send.timeout`. Raises APIConnectionError."""
    response = _received((yield send), send, request_id)
    return (yield from _read(response, send, tries, request_id))


def opened(
    send: Send, tries: Tries, request_id: str, media_type: str
) -> Generator[Send | Read, Reply, httpx2.Response]:
    """The response to `send`, whose body is to be read bit by bit. Raises GloreError."""
    response = _received((yield send), send, request_id)
    if response.status_code != httpx2.codes.OK:
        raise error_of((yield from _read(response, send, tries, request_id)), request_id)
    given = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given != media_type:
        message = f"the answer is {given or 'of no type'}, not {media_type}"
        raise InvalidResponseError(message, request_id=id_of(response, request_id))
    return response


def heard(
    send: Send, tries: Tries, limit: float, late: str, request_id: str
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
        raise APIConnectionError(message, request_id=request_id)
    if not isinstance(reply, httpx2.TimeoutException):
        raise _broken_off(reply, request_id)
    message = late if left <= send.patience else f"not a sign of life within {send.patience:.1f} s"
    raise APITimeoutError(message, request_id=request_id) from reply


def result_of(answer: Whole, request_id: str) -> SolveResult:
    """The result in a response. Raises APIStatusError, InvalidResponseError."""
    if answer.response.status_code != httpx2.codes.OK:
        raise error_of(answer, request_id)
    result = validated(SolveResult.model_validate_json, answer.content, request_id)
    return consistent(result, request_id)


def error_of(answer: Whole, request_id: str) -> GloreError:
    """The error that a response is."""
    response, status = answer.response, answer.response.status_code
    if response.is_success:
        message = f"status {status} is not an answer of this API"
        return InvalidResponseError(message, request_id=request_id)
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        problem = None
    wait = retry_after(response.headers, datetime.now(UTC))
    return BY_STATUS.get(status, APIStatusError)(
        status=status,
        request_id=id_of(response, request_id),
        problem=problem,
        retry_after=wait if wait is not None or problem is None else problem.retry_after,
    )


def problem_error(problem: Problem, request_id: str) -> GloreError:
    """The error that a problem is, which came without a response of its own."""
    request_id = problem.request_id or request_id
    if problem.status is None:
        message = "the answer is a problem without a status"
        return InvalidResponseError(message, request_id=request_id)
    kind = BY_STATUS.get(problem.status, APIStatusError)
    return kind(
        status=problem.status,
        request_id=request_id,
        problem=problem,
        retry_after=problem.retry_after,
    )


def validated(read: Callable[[C], T], content: C, request_id: str) -> T:
    """What `read` makes of the content. Raises InvalidResponseError for its ValidationError."""
    try:
        return read(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        message = f"the answer is not a result of this API: {place}: {first['msg']}"
        raise InvalidResponseError(message, request_id=request_id) from error


def consistent(result: SolveResult, request_id: str) -> SolveResult:
    """The result itself. Raises InvalidResponseError for a winner that it does not hold."""
    if not 0 <= result.selected.candidate < len(result.candidates):
        message = "the answer selects a candidate that it does not hold"
        raise InvalidResponseError(message, request_id=request_id)
    return result


def id_of(response: httpx2.Response, request_id: str) -> str:
    """The id under which the gateway knows the request."""
    return str(response.headers.get("X-Request-ID", request_id))


def _received(reply: Reply, send: Send, request_id: str) -> httpx2.Response:
    if isinstance(reply, httpx2.Response):
        return reply
    raise _unanswered(reply, send, request_id)


def _read(
    response: httpx2.Response, send: Send, tries: Tries, request_id: str
) -> Generator[Read, Reply, Whole]:
    request_id = id_of(response, request_id)
    parts: list[bytes] = []
    while (left := send.timeout - tries.since()) > 0.0:
        reply = yield Read(left)
        if not isinstance(reply, bytes):
            raise _unanswered(reply, send, request_id)
        if not reply:
            return Whole(response, b"".join(parts))
        parts.append(reply)
    message = f"no answer within {send.timeout:.1f} s"
    raise APITimeoutError(message, request_id=request_id)


def _unanswered(reply: Reply, send: Send, request_id: str) -> APIConnectionError:
    if not isinstance(reply, httpx2.TimeoutException):
        return _broken_off(reply, request_id)
    what, limit = "answer", send.timeout
    if isinstance(reply, httpx2.ConnectTimeout):
        what, limit = "connection", min(limit, CONNECT_TIMEOUT)
    elif isinstance(reply, httpx2.PoolTimeout):
        what = "free connection"
    error = APITimeoutError(f"no {what} within {limit:.1f} s", request_id=request_id)
    error.__cause__ = reply
    return error


def _broken_off(reply: Reply, request_id: str) -> APIConnectionError:
    what = "cannot connect" if isinstance(reply, httpx2.ConnectError) else "the call broke off"
    error = APIConnectionError(
        f"{what}: {str(reply) or type(reply).__name__}", request_id=request_id
    )
    error.__cause__ = reply if isinstance(reply, httpx2.RequestError) else None
    return error
