"""The OpenAPI document: errors are described as what they are, `application/problem+json`."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.examples import problem
from service.api.problems import MEDIA_TYPE, Problem
from service.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    NoDraftInTimeError,
    OverloadedError,
    ProblemError,
    StudentUnavailableError,
    UnsupportedMediaTypeError,
)

_REQUEST_ID_HEADER: Final = {
    "description": "The request's own id, or a new one.",
    "schema": {"type": "string"},
}
_RETRY_AFTER: Final = {"description": "Seconds to wait.", "schema": {"type": "integer"}}


def _documented(
    error: type[ProblemError], detail: str, errors: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    return {
        "model": Problem,
        "description": error.title,
        "content": {
            MEDIA_TYPE: {"example": problem(error.slug, error.title, error.status, detail, errors)}
        },
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


SOLVE_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    413: _documented(BodyTooLargeError, "A request's body may have 65536 bytes at most."),
    415: _documented(
        UnsupportedMediaTypeError, "Send the body as JSON, with Content-Type: application/json."
    ),
    422: _documented(
        InvalidRequestError,
        "1 field is not acceptable: sampling.n",
        [{"field": "sampling.n", "message": "Input should be less than or equal to 8"}],
    ),
    503: _also(
        _documented(StudentUnavailableError, "The student gave no draft: unreachable."),
        _documented(OverloadedError, "64 questions are being answered and 64 wait."),
    ),
    504: _documented(NoDraftInTimeError, "There was no draft when the time was up."),
}


def install_openapi(app: FastAPI) -> None:
    """Make `app` describe its errors and headers; the document is built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            for path in schema["paths"].values():
                for operation in path.values():
                    for status, response in operation["responses"].items():
                        _finish(status, response)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _finish(status: str, response: dict[str, Any]) -> None:
    """Move a problem's schema to its media type, and name the response's headers."""
    content = response.get("content", {})
    if MEDIA_TYPE in content:
        content[MEDIA_TYPE]["schema"] = content.pop("application/json")["schema"]
    headers = response.setdefault("headers", {})
    headers["X-Request-ID"] = _REQUEST_ID_HEADER
    if status == str(StudentUnavailableError.status) and MEDIA_TYPE in content:
        headers["Retry-After"] = _RETRY_AFTER
