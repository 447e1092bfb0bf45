"""Errors in OpenAI's shape, with what openai's clients go by.

The status picks the class of the exception (401 AuthenticationError, 429 RateLimitedError, and so
on), `code` says what is wrong and `param` where. The clients try 429 and 5xx again and wait for as
long as Retry-After says; `x-should-retry` keeps them from it where another try would do the same
work for nothing.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, Self

from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from glore.api.openai.parameters import UNSUPPORTED_VALUE, refusal
from glore.api.problems import TOO_LONG, Problem
from glore.errors import (
    BodyTooLargeError,
    FieldError,
    InvalidRequestError,
    NoDraftInTimeError,
    RateLimitedError,
    StudentRejectedError,
    UnauthorizedError,
)

SHOULD_RETRY_HEADER: Final = "x-should-retry"

# What is wrong with a parameter, by pydantic's word for it.
_FAULT_CODES: Final[Mapping[str, str]] = {
    "missing": "missing_required_parameter",
    UNSUPPORTED_VALUE: UNSUPPORTED_VALUE,
    "literal_error": UNSUPPORTED_VALUE,
    TOO_LONG: TOO_LONG,
}
_CODES: Final[Mapping[str, str]] = {  # by slug, where OpenAI has a word of its own
    UnauthorizedError.slug: "invalid_api_key",
    RateLimitedError.slug: "rate_limit_exceeded",
    InvalidRequestError.slug: "invalid_value",
}
# A body that is too large is a chat that is too long; LiteLLM and LangChain go by these words.
_ADDED: Final[Mapping[str, str]] = {
    BodyTooLargeError.slug: " The prompt is too long: it exceeds the context window."
}
_FUTILE: Final = frozenset(
    {HTTPStatus.INTERNAL_SERVER_ERROR, StudentRejectedError.status, NoDraftInTimeError.status}
)
_TAG: Final = re.compile(r"\.<\w+>")


class ErrorDetail(BaseModel):
    """What is wrong, for people and for programs."""

    message: str
    type: str = Field(description="`invalid_request_error`, `rate_limit_error` or `server_error`.")
    param: str | None = Field(default=None, description="The first parameter at fault, dotted.")
    code: str
    retry_after: int | None = Field(
        default=None,
        exclude_if=lambda wait: wait is None,
        description="Seconds to wait before another try, as in Retry-After. Absent where "
        "another try makes no sense.",
    )


class ErrorResponse(BaseModel):
    """An error as OpenAI's clients read it."""

    error: ErrorDetail

    @classmethod
    def of(cls, problem: Problem, faults: Sequence[FieldError] = ()) -> Self:
        """The problem with these faults; their order is kept."""
        slug = problem.type.rpartition("/")[2]
        code = _CODES.get(slug, slug.replace("-", "_"))
        kind, wait = _type_of(problem.status), problem.retry_after
        if not faults:
            text = problem.detail + _ADDED.get(slug, "")
            return cls(error=ErrorDetail(message=text, type=kind, code=code, retry_after=wait))
        details = [_detail(fault, code) for fault in faults]
        param, first_code, _ = details[0]
        message = "; ".join(f"{where or 'body'}: {text}" for where, _, text in details)
        return cls(error=ErrorDetail(message=message, type=kind, param=param, code=first_code))


def respond(problem: Problem, faults: Sequence[FieldError], headers: Mapping[str, str]) -> Response:
    """The problem in OpenAI's shape; a field that is not acceptable is 400 there, not 422."""
    status = problem.status
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    added = {SHOULD_RETRY_HEADER: "false"} if status in _FUTILE else {}
    content = ErrorResponse.of(problem, faults).model_dump()
    return JSONResponse(content, status, {**headers, **added})


def _type_of(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return "invalid_request_error"


def _detail(fault: FieldError, code: str) -> tuple[str | None, str, str]:
    """Parameter, code and message; without the tags of unions that pydantic puts into a name."""
    param = None if fault.field == "body" else _TAG.sub("", fault.field)
    if fault.kind == "extra_forbidden" and param is not None:
        return param, *refusal(param)
    return param, _FAULT_CODES.get(fault.kind, code), fault.message
