"""Errors as problems (RFC 9457), the shape in which the gateway reports one.

Below a path that speaks somebody else's protocol the same problem is put into that protocol's
shape (`install_problems`), wherever in the gateway it comes from.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from glore.api.paths import explain_nothing
from glore.api.record import path_of, record_of
from glore.errors import FieldError, InvalidRequestError, ProblemError

MEDIA_TYPE: Final = "application/problem+json"
TOO_LONG: Final = "context_length_exceeded"  # the kind of a fault
MAX_FAULTS: Final = 20
MAX_NAME: Final = 100
_TITLES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad-request", "The request cannot be read"),
    404: ("not-found", "There is nothing at this path"),
    405: ("method-not-allowed", "This path does not take this method"),
}


class FieldProblem(BaseModel):
    """One field and what is wrong with it."""

    field: str = Field(description="The field, dotted from the top of the body.")
    message: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "/problems/invalid-request",
                "title": "The request is not valid",
                "status": 422,
                "detail": "1 field is not acceptable: sampling.n",
                "request_id": "7c9e6679f42b4de18f0e6f3a5b1f4d2a",
                "errors": [
                    {"field": "sampling.n", "message": "Input should be less than or equal to 8"}
                ],
            }
        }
    )

    type: str = Field(description="A relative URI that names the kind of problem.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened in this case.")
    request_id: str = Field(description="The id of the request, as in `X-Request-ID`.")
    errors: list[FieldProblem] | None = Field(default=None, description="Only with status 422.")
    retry_after: int | None = Field(
        default=None,
        ge=1,
        description="Seconds to wait before another try, as in Retry-After. Absent where "
        "another try makes no sense.",
    )


class ProblemResponse(JSONResponse):
    """A problem on its way out."""

    media_type = MEDIA_TYPE


# A response from a problem, the faults that it tells of, and its headers.
Shape: TypeAlias = Callable[[Problem, Sequence[FieldError], Mapping[str, str]], Response]


def type_of(error: ProblemError) -> str:
    """The URI of the kind of problem."""
    return f"/problems/{error.slug}"


def problem_of(error: ProblemError, request_id: str) -> Problem:
    """The problem of an error in the tree of `glore.errors`."""
    faults = [FieldProblem(field=f.field, message=f.message) for f in error.faults]
    wait = error.headers.get("Retry-After")
    return Problem(
        type=type_of(error),
        title=error.title,
        status=error.status,
        detail=error.detail,
        request_id=request_id,
        errors=faults or None,
        retry_after=None if wait is None else int(wait),
    )


def problem_response(error: ProblemError, scope: Scope) -> Response:
    """The response for an error of the tree in `glore.errors`."""
    problem = problem_of(error, record_of(scope).request_id)
    return _respond(problem, scope, error.headers, error.faults)


def internal_problem(request_id: str) -> Problem:
    """The problem of a bug: it says nothing of what happened."""
    return Problem(
        type="/problems/internal-error",
        title="Something went wrong in the gateway",
        status=500,
        detail="The request could not be answered. The gateway's log has its request_id.",
        request_id=request_id,
    )


def internal_error(scope: Scope) -> Response:
    """The response for a bug."""
    return _respond(internal_problem(record_of(scope).request_id), scope)


def invalid_request(faults: Sequence[FieldError]) -> InvalidRequestError:
    """The error that names the fields at fault."""
    names = ", ".join(dict.fromkeys(fault.field for fault in faults))
    count = "1 field is" if len(faults) == 1 else f"{len(faults)} fields are"
    return InvalidRequestError(f"{count} not acceptable: {names}", tuple(faults))


def install_problems(app: FastAPI, applies: Callable[[str], bool], shape: Shape) -> None:
    """Answer every error of `app` with a problem, in `shape` where `applies` is true of the path.

    Middleware that answers by itself does so too, as long as Starlette's app is around it.
    """
    app.state.error_shape = (applies, shape)
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_problem(request: Request, error: Exception) -> Response:
    return problem_response(cast("ProblemError", error), request.scope)


async def _on_validation(request: Request, error: Exception) -> Response:
    invalid = invalid_request(field_faults(cast("RequestValidationError", error).errors()))
    return problem_response(invalid, request.scope)


async def _on_http(request: Request, error: Exception) -> Response:
    http = cast("HTTPException", error)
    phrase = HTTPStatus(http.status_code).phrase
    slug, title = _TITLES.get(http.status_code, (phrase.lower().replace(" ", "-"), phrase))
    is_missing = http.status_code == HTTPStatus.NOT_FOUND
    problem = Problem(
        type=f"/problems/{slug}",
        title=title,
        status=http.status_code,
        detail=explain_nothing(path_of(request.scope)) if is_missing else str(http.detail),
        request_id=record_of(request.scope).request_id,
    )
    return _respond(problem, request.scope, http.headers or {})


def _respond(
    problem: Problem,
    scope: Scope,
    headers: Mapping[str, str] = MappingProxyType({}),
    faults: Sequence[FieldError] = (),
) -> Response:
    record_of(scope).fields["problem"] = problem.type
    applies, shape = scope["app"].state.error_shape
    respond: Shape = shape if applies(path_of(scope)) else _as_problem
    return respond(problem, faults, headers)


def _as_problem(
    problem: Problem, _faults: Sequence[FieldError], headers: Mapping[str, str]
) -> Response:
    return ProblemResponse(
        problem.model_dump(exclude_none=True), status_code=problem.status, headers=dict(headers)
    )


def field_faults(errors: Sequence[Any]) -> tuple[FieldError, ...]:
    """Pydantic's errors as field faults; input values are left out."""
    faults = []
    for error in errors[:MAX_FAULTS]:
        if error["type"] == "json_invalid":
            position = error["loc"][-1]
            message = f"Not valid JSON at character {position}: {error['ctx']['error']}"
            faults.append(FieldError("body", message))
        else:
            faults.append(FieldError(_dotted(error["loc"]), str(error["msg"]), error["type"]))
    return tuple(faults)


def _dotted(location: Sequence[int | str]) -> str:
    """('body', 'sampling', 'n') as 'sampling.n'; the body itself as 'body'."""
    parts = location[1:] if location[:1] == ("body",) and len(location) > 1 else location
    return ".".join(str(part) for part in parts)[:MAX_NAME]
