"""An engine as HTTP: requests, what can go wrong, and how answers are parsed.

An answer is in memory four times at most (received, joined, parsed, text), and costs no more work
than its `size` in bytes and MAX_VALUES values of JSON.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from glore.engines.ports import EngineError, FaultReason, Lease, Role

MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024
MAX_VALUES: Final = 10_000  # of an answer's JSON, counted by the brackets, commas and colons
_BYTES_PER_VALUE: Final = 32  # of one that is no string, on average
_BASE_BYTES: Final = 64 * 1024
_BYTES_PER_TOKEN: Final = 2 * 1024  # an event, or 128 characters escaped in six bytes each
_TOO_MANY_VALUES: Final = "JSON of too many or too long values"

_Shape = TypeVar("_Shape", bound=BaseModel)


class EngineHTTPError(Exception):
    """An exchange with an engine gave no usable answer."""

    def __init__(
        self,
        *,
        reason: FaultReason,
        problem: str = "",
        status: int | None = None,
        excerpt: str = "",
        explanation: str = "",
        begun: bool = False,
        reused: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason: FaultReason = reason
        self.problem = problem  # what is wrong, without any text of the engine's
        self.status = status  # the HTTP status, when one other than 200 came back
        self.excerpt = excerpt  # the beginning of the engine's body, for the log alone
        self.explanation = explanation  # as that of an EngineError
        self.begun = begun  # whether the engine had begun to answer, with status 200
        self.reused = reused  # whether a connection that was used before closed without an answer

    def as_error(self, role: Role) -> EngineError:
        """The same fault at the port of `role`."""
        details = {"status": self.status, "problem": self.problem, "body": self.excerpt}
        return EngineError(
            role,
            self.reason,
            self.explanation,
            {name: value for name, value in details.items() if value},
        )


class EngineHTTP(Protocol):
    """An engine as HTTP: what `VllmEngine` does and what guards it."""

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        """The body of the answer, of at most `size` bytes. Raises EngineHTTPError."""
        ...

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], bool | None],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """Give `on_data` the data of each server-sent event, until it returns True.

        Raises EngineHTTPError, and what `on_data` raises.
        """
        ...

    async def get(self, path: str, *, timeout: float) -> bytes:
        """The body of the answer. Raises EngineHTTPError."""
        ...


def size_of(tokens: int) -> int:
    """How many bytes an answer with so many generated tokens may have."""
    return min(_BASE_BYTES + _BYTES_PER_TOKEN * tokens, MAX_RESPONSE_BYTES)


def parse(shape: type[_Shape], body: bytes, more_values: int = 0) -> _Shape:
    """`body` as JSON of this shape. Raises EngineHTTPError.

    `more_values` are allowed beyond MAX_VALUES, for calls whose answers grow with what they send.
    """
    check_values(body, MAX_VALUES + more_values)
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise EngineHTTPError(reason="bad_response", problem=first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """The first wrong field and the kind of its fault, without the text of the body."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ".".join((*map(str, first["loc"]), first["type"]))


def check_values(content: bytes, most: int = MAX_VALUES) -> None:
    """Raise EngineHTTPError for JSON that takes much longer to parse than text of its length.

    That is JSON with more than `most` values, or with long ones that are no strings.
    """
    if len(content) <= most:
        return
    strings = content.replace(rb"\\", b"").replace(rb"\"", b"")  # without escaped quotes
    if strings.count(b'"') > 4 * most:
        raise EngineHTTPError(reason="bad_response", problem=_TOO_MANY_VALUES)
    outside = b"".join(strings.split(b'"')[::2])
    marks = sum(map(outside.count, (b"[", b"{", b",", b":")))
    if marks > most or len(outside) > _BYTES_PER_VALUE * most:
        raise EngineHTTPError(reason="bad_response", problem=_TOO_MANY_VALUES)
