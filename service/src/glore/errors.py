"""The errors of the gateway, one tree.

    Exception
    ├── EngineError            (engines.ports)      an engine gave no usable answer; costs its
    │                                               candidate, never leaves the algorithm
    ├── NoDraftError           (refinement.runner)  no draft, so no answer; becomes one of the
    │                                               three marked * below
    └── GatewayError                                everything raised at the gateway's own edge
        ├── ConfigurationError                      settings that make no sense; ends the start
        └── ProblemError                            ends a request; status and slug below
            ├── UnauthorizedError            401    unauthorized
            ├── RateLimitedError             429    rate-limited
            ├── ModelNotFoundError           404    model-not-found
            ├── InvalidRequestError          422    invalid-request
            ├── UnsupportedMediaTypeError    415    unsupported-media-type
            ├── UnsupportedEncodingError     415    unsupported-encoding
            ├── BodyTooLateError             408    body-too-late
            ├── BodyTooLargeError            413    body-too-large
            ├── ClientGoneError              499    client-gone (for logs; nobody reads it)
            ├── IdempotencyMismatchError     409    idempotency-mismatch
            ├── OverloadedError              503    overloaded
            ├── ShuttingDownError            503    shutting-down
            ├── StoreUnavailableError        503    store-unavailable
            ├── StudentRejectedError *       502    student-rejected
            ├── StudentUnavailableError *    503    student-unavailable
            └── NoDraftInTimeError *         504    no-draft-in-time

Whatever else escapes is a bug and is answered with 500 `internal-error`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


class GatewayError(Exception):
    """What the gateway raises by itself."""


class ConfigurationError(GatewayError):
    """The settings make no sense. The text names the variables and holds no secret."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A field of the request, dotted as in `sampling.n`, and what is wrong with it."""

    field: str
    message: str
    kind: str = "value_error"  # in pydantic's words, as `missing`; for whoever maps it further


class ProblemError(GatewayError):
    """Ends a request with a problem (RFC 9457). `detail` is shown to the client."""

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str, faults: tuple[FieldFault, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults


class UnauthorizedError(ProblemError):
    """The gateway asks for a key, and none of its keys came with the request."""

    status = 401
    slug = "unauthorized"
    title = "An API key is needed"
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class RateLimitedError(ProblemError):
    """The client asks more often than it may."""

    status = 429
    slug = "rate-limited"
    title = "Too many requests"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class InvalidRequestError(ProblemError):
    """The request is understood but a field in it is not acceptable."""

    status = 422
    slug = "invalid-request"
    title = "The request is not valid"


class ModelNotFoundError(ProblemError):
    """No model of the gateway's has this name."""

    status = 404
    slug = "model-not-found"
    title = "There is no such model"


class UnsupportedMediaTypeError(ProblemError):
    """The body is announced as something else than JSON."""

    status = 415
    slug = "unsupported-media-type"
    title = "The body must be JSON"


class UnsupportedEncodingError(ProblemError):
    """The body is compressed."""

    status = 415
    slug = "unsupported-encoding"
    title = "The body must not be compressed"
    headers = MappingProxyType({"Accept-Encoding": "identity"})


class BodyTooLateError(ProblemError):
    """The body was not there in the time that the gateway waits for one."""

    status = 408
    slug = "body-too-late"
    title = "The body did not come in time"
    headers = MappingProxyType({"Connection": "close"})  # the rest of it may still come


class BodyTooLargeError(ProblemError):
    """The body is larger than the gateway reads."""

    status = 413
    slug = "body-too-large"
    title = "The body is too large"


class ClientGoneError(ProblemError):
    """The client closed its connection before the answer was there."""

    status = 499
    slug = "client-gone"
    title = "The client closed the connection"


class OverloadedError(ProblemError):
    """As many questions or batches are being answered, and wait, as the gateway takes on."""

    status = 503
    slug = "overloaded"
    title = "The gateway is busy"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class ShuttingDownError(ProblemError):
    """The gateway stops before the answer is there. Another one may have it."""

    status = 503
    slug = "shutting-down"
    title = "The gateway is stopping"
    headers = MappingProxyType({"Retry-After": "1"})


class IdempotencyMismatchError(ProblemError):
    """The idempotency key was used for a batch with other questions."""

    status = 409
    slug = "idempotency-mismatch"
    title = "The idempotency key belongs to another batch"


class StoreUnavailableError(ProblemError):
    """The results of a batch cannot be kept now, or never on this gateway."""

    status = 503
    slug = "store-unavailable"
    title = "The store of batches is not available"
    headers = MappingProxyType({"Retry-After": "5"})


class StudentRejectedError(ProblemError):
    """The student's engine does not take the request: another try would end in the same way."""

    status = 502
    slug = "student-rejected"
    title = "No draft: the student's engine refused the request"


class StudentUnavailableError(ProblemError):
    """The student gave no draft, so there is no answer. Worth another try."""

    status = 503
    slug = "student-unavailable"
    title = "No draft: the student is unavailable"
    headers = MappingProxyType({"Retry-After": "1"})


class NoDraftInTimeError(ProblemError):
    """The time was up before there was a draft."""

    status = 504
    slug = "no-draft-in-time"
    title = "No draft in time"
