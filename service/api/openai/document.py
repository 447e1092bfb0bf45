"""What the OpenAPI document says of the facade: its errors, and this server's limits."""

from typing import Any, Final

from service.api.context import Limits
from service.api.openai.chunks import describe_chunks
from service.api.openai.errors import ErrorResponse
from service.api.openai.neutral import UNSUPPORTED_PARAMETER, UNSUPPORTED_VALUE
from service.api.openai.query import NO_QUERY
from service.api.problems import problem_of
from service.errors import (
    BodyTooLargeError,
    BodyTooLateError,
    FieldFault,
    InvalidRequestError,
    ModelNotFoundError,
    NoDraftInTimeError,
    OverloadedError,
    ProblemError,
    RateLimitedError,
    ShuttingDownError,
    StudentRejectedError,
    StudentUnavailableError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)

PREFIX: Final = "/v1/"
_REQUEST_ID: Final = "7c9e6679f42b4de18f0e6f3a5b1f4d2a"
_BAD_REQUEST: Final = 400
_SURPLUS: Final = ("HTTPValidationError", "ValidationError")  # FastAPI's own, never answered


def _documented(*errors: ProblemError, status: int | None = None) -> dict[int | str, Any]:
    """The errors of one status, with an example of each."""
    examples = {
        error.slug: {
            "value": ErrorResponse.of(problem_of(error, _REQUEST_ID), error.faults).model_dump()
        }
        for error in errors
    }
    described = {
        "model": ErrorResponse,
        "description": "; or: ".join(error.title for error in errors),
        "content": {"application/json": {"examples": examples}},
    }
    return {status or errors[0].status: described}


_ACCESS: Final = _documented(
    UnauthorizedError("Send a key that this gateway knows, as Authorization: Bearer KEY.")
) | _documented(RateLimitedError("60 requests a minute are taken from one client, 60 at once.", 1))
_BODY: Final = _documented(
    BodyTooLargeError("A request's body may have 65536 bytes at most.")
) | _documented(BodyTooLateError("The body was not there within 30 s."))
_UNKNOWN: Final = _documented(
    ModelNotFoundError("", (FieldFault("model", "There is no such model; the models are glore."),))
)
_QUERY: Final = _documented(
    InvalidRequestError("", (FieldFault("query.x", NO_QUERY, kind=UNSUPPORTED_PARAMETER),)),
    status=_BAD_REQUEST,
)
LIST_ERRORS: Final = _ACCESS | _BODY | _QUERY
RETRIEVE_ERRORS: Final = LIST_ERRORS | _UNKNOWN
CHAT_ERRORS: Final = (
    RETRIEVE_ERRORS
    | _documented(
        InvalidRequestError("", (FieldFault("n", "only 1 is supported", kind=UNSUPPORTED_VALUE),)),
        status=_BAD_REQUEST,
    )
    | _documented(
        UnsupportedMediaTypeError("Send the body as JSON, with Content-Type: application/json.")
    )
    | _documented(
        StudentRejectedError(
            "The student's engine refused the request; the question may be too long for it."
        )
    )
    | _documented(
        StudentUnavailableError("The student gave no draft: unreachable."),
        OverloadedError("64 questions are being answered and 64 wait.", 5),
        ShuttingDownError("The gateway stopped before the answer was there."),
    )
    | _documented(NoDraftInTimeError("There was no draft when the time was up."))
)


def describe(document: dict[str, Any], limits: Limits) -> None:
    """Take out the errors that the facade does not answer with; add chunks and the limits."""
    for path, operations in document["paths"].items():
        if path.startswith(PREFIX):
            for operation in operations.values():
                operation["responses"].pop("422", None)
    schemas = document["components"]["schemas"]
    describe_chunks(schemas)
    for name in _SURPLUS:
        schemas.pop(name, None)
    text, _ = schemas["UserMessage"]["properties"]["content"]["anyOf"]
    text["maxLength"] = limits.max_question
