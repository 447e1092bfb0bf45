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
            ├── AnswerNotFoundError          404    answer-not-found
            ├── InvalidRequestError          422    invalid-request
            ├── UnsupportedMediaTypeError    415    unsupported-media-type
            ├── UnsupportedEncodingError     415    unsupported-encoding
            ├── BodyTooLateError             408    body-too-late
            ├── BodyTooLargeError            413    body-too-large
            ├── ClientGoneError              499    client-gone (for logs; nobody reads it)
            ├── IdempotencyMismatchError     409    idempotency-mismatch
            ├── FeedbackConflictError        409    feedback-conflict
            ├── AmbiguousIdError             409    ambiguous-id
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
class FieldError:
    """A field of the request, dotted as in `sampling.n`, and what is wrong with it."""

    field: str
    message: str
    kind: str = "value_error"  # in pydantic's words, as `missing`; for what maps it further


class ProblemError(GatewayError):
    """Ends a request with a problem (RFC 9457). `detail` is shown to the client."""

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str, faults: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults


class UnauthorizedError(ProblemError):
    """The request has no API key that the gateway knows."""

    status = 401
    slug = "unauthorized"
    title = "An API key is needed"
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class RateLimitedError(ProblemError):
    """The client sends more requests than its rate or its share allows."""

    status = 429
    slug = "rate-limited"
    title = "Too many requests"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class InvalidRequestError(ProblemError):
    """A field of the request is wrong; `errors` names it."""

    status = 422
    slug = "invalid-request"
    title = "The request is not valid"


class ModelNotFoundError(ProblemError):
    """The gateway has no model of this name."""

    status = 404
    slug = "model-not-found"
    title = "There is no such model"


class AnswerNotFoundError(ProblemError):
    """No answer with this id is remembered, or it is another caller's."""

    status = 404
    slug = "answer-not-found"
    title = "There is no such answer"


class FeedbackConflictError(ProblemError):
    """The answer was judged before, and otherwise."""

    status = 409
    slug = "feedback-conflict"
    title = "The answer was judged otherwise before"


class AmbiguousIdError(ProblemError):
    """The id is that of a request with several answers."""

    status = 409
    slug = "ambiguous-id"
    title = "The id names several answers"


class UnsupportedMediaTypeError(ProblemError):
    """The Content-Type is not JSON; a batch may be NDJSON too."""

    status = 415
    slug = "unsupported-media-type"
    title = "The body must be JSON"


class UnsupportedEncodingError(ProblemError):
    """The body has a Content-Encoding."""

    status = 415
    slug = "unsupported-encoding"
    title = "The body must not be compressed"
    headers = MappingProxyType({"Accept-Encoding": "identity"})


class BodyTooLateError(ProblemError):
    """The whole body did not arrive within `GLORE_BODY_TIMEOUT`."""

    status = 408
    slug = "body-too-late"
    title = "The body did not come in time"
    headers = MappingProxyType({"Connection": "close"})  # the rest of it may still come


class BodyTooLargeError(ProblemError):
    """The body is larger than `GLORE_MAX_BODY`, that of a batch than `GLORE_MAX_BATCH_BODY`."""

    status = 413
    slug = "body-too-large"
    title = "The body is too large"


class ClientGoneError(ProblemError):
    """The client closed its connection before the answer. Only the log shows this."""

    status = 499
    slug = "client-gone"
    title = "The client closed the connection"


class OverloadedError(ProblemError):
    """The queue of questions is full, or too many batches are open."""

    status = 503
    slug = "overloaded"
    title = "The gateway is busy"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class ShuttingDownError(ProblemError):
    """The gateway stops before the answer is finished. Ask another gateway."""

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
    """The results of a batch cannot be stored now, or this gateway has no store."""

    status = 503
    slug = "store-unavailable"
    title = "The store of batches is not available"
    headers = MappingProxyType({"Retry-After": "5"})


class StudentRejectedError(ProblemError):
    """The student's engine refuses the request. Another try would end in the same way."""

    status = 502
    slug = "student-rejected"
    title = "No draft: the student's engine refused the request"


class StudentUnavailableError(ProblemError):
    """The student's engine failed, so there is no draft and no answer. Try again."""

    status = 503
    slug = "student-unavailable"
    title = "No draft: the student is unavailable"
    headers = MappingProxyType({"Retry-After": "1"})


class NoDraftInTimeError(ProblemError):
    """The deadline passed before there was a draft."""

    status = 504
    slug = "no-draft-in-time"
    title = "No draft in time"
