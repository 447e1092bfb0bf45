"""What the OpenAPI document says of the facade: its errors, and this server's limits."""

from typing import Any, Final

from glore.api.context import Limits
from glore.api.openai.chunks import describe_chunks
from glore.api.openai.errors import ErrorResponse
from glore.api.openai.parameters import refusal
from glore.api.problems import problem_of
from glore.errors import (
    BodyTooLargeError,
    BodyTooLateError,
    FieldError,
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
_SURPLUS: Final = ("HTTPValidationError", "ValidationError")  # FastAPI's own, never answered


def _documented(*errors: ProblemError) -> dict[int | str, Any]:
    """The errors by status, with an example of each."""
    documented: dict[int | str, Any] = {}
    for error in errors:
        status = 400 if isinstance(error, InvalidRequestError) else error.status
        described = documented.setdefault(
            status,
            {
                "model": ErrorResponse,
                "description": error.title,
                "content": {"application/json": {"examples": {}}},
            },
        )
        example = ErrorResponse.of(problem_of(error, _REQUEST_ID), error.faults).model_dump()
        described["content"]["application/json"]["examples"][error.slug] = {"value": example}
    return documented


_OF_ALL: Final = (
    UnauthorizedError("Send a key that this gateway knows, as Authorization: Bearer KEY."),
    RateLimitedError("60 requests a minute are taken from one client, 60 at once.", 1),
    BodyTooLargeError("A request's body may have 65536 bytes at most."),
    BodyTooLateError("The body was not there within 30 s."),
)
_UNKNOWN: Final = ModelNotFoundError(
    "", (FieldError("model", "There is no such model; the models are glore."),)
)
LIST_ERRORS: Final = _documented(*_OF_ALL)
RETRIEVE_ERRORS: Final = _documented(*_OF_ALL, _UNKNOWN)
CHAT_ERRORS: Final = _documented(
    *_OF_ALL,
    _UNKNOWN,
    InvalidRequestError("", (FieldError("n", refusal("n")[1], "extra_forbidden"),)),
    UnsupportedMediaTypeError("Send the body as JSON, with Content-Type: application/json."),
    StudentRejectedError(
        "The student's engine refused the request. The prompt is too long for its model."
    ),
    StudentUnavailableError("The student gave no draft: unreachable."),
    OverloadedError("64 questions are being answered and 64 wait.", 5),
    ShuttingDownError("The gateway stopped before the answer was there."),
    NoDraftInTimeError("There was no draft when the time was up."),
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
    text, _ = schemas["UserMessage"]["properties"]["content"]["oneOf"]
    text["maxLength"] = limits.max_question
