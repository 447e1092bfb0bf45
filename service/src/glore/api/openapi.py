"""The OpenAPI document: errors are described as what they are, `application/problem+json`.

The limits in it are those of this server, not the most that any server could have.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from glore.api.access import OPEN_PATHS
from glore.api.batch_schemas import BatchRequest
from glore.api.callers import BUDGET_PARAMETERS
from glore.api.context import Limits
from glore.api.events import describe_events
from glore.api.examples import RESPONSE, problem
from glore.api.openai.document import describe
from glore.api.problems import MEDIA_TYPE, Problem
from glore.errors import (
    AmbiguousIdError,
    AnswerNotFoundError,
    BodyTooLargeError,
    BodyTooLateError,
    FeedbackConflictError,
    IdempotencyMismatchError,
    InvalidRequestError,
    NoDraftInTimeError,
    OverloadedError,
    ProblemError,
    RateLimitedError,
    StoreUnavailableError,
    StudentRejectedError,
    StudentUnavailableError,
    UnauthorizedError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
)

_REQUEST_ID_HEADER: Final = {
    "description": "The request's own id, or a new one.",
    "required": True,
    "schema": {"type": "string"},
}
_RETRY_AFTER: Final = {
    "description": "Seconds to wait.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE: Final = {
    "description": "How to send a key.",
    "required": True,
    "schema": {"type": "string", "enum": ["Bearer"]},
}
# By status, besides X-Request-ID; only where the response is an error.
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "401": {"WWW-Authenticate": _CHALLENGE},
    "429": {"Retry-After": _RETRY_AFTER},
    "503": {"Retry-After": _RETRY_AFTER},
}
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_OPENAI_ERROR: Final = {"$ref": "#/components/schemas/ErrorResponse"}
_SCHEME: Final = "api_key"
_SECURITY_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `glore key NAME`; needed only where the server has keys.",
}


def _documented(
    error: type[ProblemError],
    detail: str,
    errors: list[dict[str, str]] | None = None,
    retry_after: int | None = None,
) -> dict[str, Any]:
    example = problem(error.slug, error.title, error.status, detail, errors, retry_after)
    return {
        "model": Problem,
        "description": error.title,
        "content": {MEDIA_TYPE: {"example": example}},
    }


def _also(first: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two errors of one status, with an example of each."""
    both = [each["content"][MEDIA_TYPE]["example"] for each in (first, other)]
    examples = {problem["type"].rpartition("/")[2]: {"value": problem} for problem in both}
    return {
        **first,
        "description": f"{first['description']}; or: {other['description']}",
        "content": {MEDIA_TYPE: {"examples": examples}},
    }


_ENCODED: Final = _documented(
    UnsupportedEncodingError, "Send the body as it is: Content-Encoding 'gzip' is not read."
)
_LATE: Final = _documented(BodyTooLateError, "The body was not there within 30 s.")
# Of every path that is not open. Each is documented whether or not this server has keys or a
# rate, so that a client made from the document knows both.
_ACCESS_ERRORS: Final[dict[str, dict[str, Any]]] = {
    "401": _documented(
        UnauthorizedError, "Send a key that this gateway knows, as Authorization: Bearer KEY."
    ),
    "429": _documented(
        RateLimitedError,
        "60 requests a minute are taken from one client, 60 at once.",
        retry_after=1,
    ),
}
SOLVE_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {
        "model": Problem,
        "description": "The request cannot be read",
        "content": {
            MEDIA_TYPE: {
                "example": problem(
                    "bad-request",
                    "The request cannot be read",
                    400,
                    "There was an error parsing the body",
                )
            }
        },
    },
    408: _LATE,
    413: _documented(BodyTooLargeError, "A request's body may have 65536 bytes at most."),
    415: _also(
        _documented(
            UnsupportedMediaTypeError, "Send the body as JSON, with Content-Type: application/json."
        ),
        _ENCODED,
    ),
    422: _documented(
        InvalidRequestError,
        "1 field is not acceptable: sampling.n",
        [{"field": "sampling.n", "message": "Input should be less than or equal to 8"}],
    ),
    502: _documented(
        StudentRejectedError,
        "The student's engine refused the request. The prompt is too long for its model.",
    ),
    503: _also(
        _documented(
            StudentUnavailableError, "The student gave no draft: unreachable.", retry_after=1
        ),
        _documented(OverloadedError, "64 questions are being answered and 64 wait.", retry_after=5),
    ),
    504: _documented(NoDraftInTimeError, "There was no draft when the time was up."),
}


BATCH_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    408: _LATE,
    413: _documented(BodyTooLargeError, "A request's body may have 4194304 bytes at most."),
    415: _also(
        _documented(
            UnsupportedMediaTypeError, "Send the body as application/json or application/x-ndjson."
        ),
        _ENCODED,
    ),
    409: _documented(
        IdempotencyMismatchError, "This Idempotency-Key was used for other questions."
    ),
    422: _documented(
        InvalidRequestError,
        "1 field is not acceptable: questions.3.question",
        [{"field": "questions.3.question", "message": "Field required"}],
    ),
    503: _also(
        _documented(StoreUnavailableError, "The results cannot be kept now.", retry_after=5),
        _documented(OverloadedError, "16 batches are being answered.", retry_after=5),
    ),
}


FEEDBACK_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    **{status: SOLVE_ERRORS[status] for status in (400, 408, 413, 415)},
    404: _documented(
        AnswerNotFoundError, "This gateway remembers no answer of yours with this id."
    ),
    409: _also(
        _documented(FeedbackConflictError, "This answer was judged before, and otherwise."),
        _documented(AmbiguousIdError, "This request has 3 answers: send the id of one of them."),
    ),
    422: _documented(
        InvalidRequestError,
        "1 field is not acceptable: body",
        [{"field": "body", "message": "Value error, either `correct` or `expected_answer`"}],
    ),
    503: _documented(OverloadedError, "The memory for bodies is used up.", retry_after=5),
}


def install_openapi(app: FastAPI, limits: Limits, *, asks_for_a_key: bool) -> None:
    """Make `app` describe its errors, headers, limits and keys; the document is built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            answer = schema["paths"]["/solve"]["post"]["responses"]["200"]["content"]
            answer["application/json"]["example"] = RESPONSE  # FastAPI leaves its nulls out
            _add_batch(schema["components"]["schemas"], limits)
            describe_events(schema["components"]["schemas"])
            for name in ("SolveRequest", "BatchQuestion", "BatchRequest", "GloreOptions"):
                _limit(schema["components"]["schemas"][name]["properties"], limits)
            describe(schema, limits)
            schema["components"]["securitySchemes"] = {_SCHEME: _SECURITY_SCHEME}
            for path, operations in schema["paths"].items():
                if "post" in operations and path != "/feedback":
                    parameters = operations["post"].setdefault("parameters", [])
                    parameters[:0] = BUDGET_PARAMETERS
                for operation in operations.values():
                    if path not in OPEN_PATHS:
                        _guard(operation, asks_for_a_key=asks_for_a_key)
                    for status, response in operation["responses"].items():
                        _finish(status, response)
                if "get" in operations:
                    operations["head"] = _head_of(operations["get"])
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _limit(fields: dict[str, dict[str, Any]], limits: Limits) -> None:
    """Put this server's limits into the description of a question."""
    most = round(limits.max_deadline * 1000)
    if "question" in fields:
        fields["question"]["maxLength"] = limits.max_question
    fields["deadline_ms"]["maximum"] = most
    for name, bound in (
        ("max_generated_tokens", limits.max_generated_tokens),
        ("max_engine_calls", limits.max_calls),
    ):
        fields[name]["anyOf"][0]["maximum"] = bound
    fields["rounds"]["maximum"] = limits.max_rounds
    if "strategy" in fields:
        fields["strategy"]["default"] = limits.strategy.value
    fields["deadline_ms"]["default"] = min(fields["deadline_ms"]["default"], most)


def _add_batch(schemas: dict[str, dict[str, Any]], limits: Limits) -> None:
    """Describe the body of a batch, which FastAPI does not read and so does not know."""
    request = BatchRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(request.pop("$defs"))
    request["properties"]["questions"]["maxItems"] = limits.max_batch
    schemas["BatchRequest"] = request


def _guard(operation: dict[str, Any], *, asks_for_a_key: bool) -> None:
    """Describe what a path that is not open may answer, and that it takes a key."""
    key: dict[str, list[str]] = {_SCHEME: []}
    operation["security"] = [key] if asks_for_a_key else [{}, key]
    for status, documented in _ACCESS_ERRORS.items():
        response = {each: value for each, value in documented.items() if each != "model"}
        content = {MEDIA_TYPE: {**documented["content"][MEDIA_TYPE], "schema": _PROBLEM}}
        operation["responses"].setdefault(status, {**response, "content": content})


def _head_of(operation: dict[str, Any]) -> dict[str, Any]:
    """The same operation for HEAD: no response has content."""
    responses = {
        status: {name: value for name, value in response.items() if name != "content"}
        for status, response in operation["responses"].items()
    }
    name = f"{operation['operationId'].removesuffix('get')}head"
    return {**operation, "operationId": name, "responses": responses}


def _finish(status: str, response: dict[str, Any]) -> None:
    """Move a problem's schema to its media type, and name the response's headers."""
    content = response.get("content", {})
    others = [media_type for media_type in content if media_type != MEDIA_TYPE]
    if MEDIA_TYPE in content and others:
        content[MEDIA_TYPE]["schema"] = content.pop(others[0])["schema"]
    for described in content.values():
        if "itemSchema" in described:
            described.pop("schema", None)  # FastAPI's own: one string
    headers = response.setdefault("headers", {})
    headers["X-Request-ID"] = _REQUEST_ID_HEADER
    schema = content.get("application/json", {}).get("schema")
    if MEDIA_TYPE in content or schema == _OPENAI_ERROR:
        headers.update(_HEADERS.get(status, {}))
