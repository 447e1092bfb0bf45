"""All errors of the client.

```
GloreError
├── APIConnectionError          no response
│   └── APITimeoutError         none within the timeout
├── APIStatusError              a response that is an error
│   ├── AuthenticationError     401, the key is missing or wrong
│   ├── NotFound                404
│   ├── MethodNotAllowed        405
│   ├── Conflict                409, the idempotency key belongs to another batch
│   ├── ContentTooLarge         413
│   ├── UnprocessableEntity     422, `errors` names the fields
│   ├── RateLimited             429
│   ├── InternalServerError     500
│   ├── BadGateway              502
│   ├── ServiceUnavailable      503
│   └── GatewayTimeout          504
├── InvalidResponseError        a response that is not of this API
└── InvalidQuestionError        one of many questions that cannot be sent
```

Any other status is a plain `APIStatusError`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from glore_client.results import FieldError, Problem
from glore_client.visible import excerpt

_MAX_MESSAGE = 1000  # characters of a message, which may quote the gateway


class GloreError(Exception):
    """The request gave no result. `request_id` finds it in the gateway's log.

    The text is the `message` and, where a request was sent, its method and URL.
    """

    def __init__(
        self, message: str, *, request_id: str, method: str | None = None, url: str | None = None
    ) -> None:
        self.message = excerpt(message, _MAX_MESSAGE)
        self.request_id = request_id
        self.method = method
        self.url = url
        super().__init__(f"{self.message} ({method} {url})" if url else self.message)


class APIConnectionError(GloreError):
    """The gateway cannot be reached, or closed the connection. The cause is `__cause__`."""


class APITimeoutError(APIConnectionError):
    """No response within the timeout."""


class InvalidResponseError(GloreError):
    """The response is not of this API: another service, or another major version."""


class InvalidQuestionError(GloreError):
    """One of many questions is not a text, or cannot be encoded; it was not sent.

    A single question of that kind is a ValueError. `request_id` is empty.
    """


class APIStatusError(GloreError):
    """The gateway answered with an error.

    `problem` is the parsed problem+json body (RFC 9457), None when the body is something
    else, such as a proxy's page. `retry_after` is in seconds, from the header or the problem; None
    when neither states it.
    """

    def __init__(
        self,
        *,
        status: int,
        request_id: str,
        problem: Problem | None,
        retry_after: float | None = None,
        message: str | None = None,
        method: str | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(
            message or sentence(status, problem), request_id=request_id, method=method, url=url
        )
        self.status = status
        self.problem = problem
        self.retry_after = retry_after


class AuthenticationError(APIStatusError):
    """401: the gateway requires an API key; none was sent, or a wrong one (`key_sent`)."""

    key_sent = False


class NotFound(APIStatusError):
    """404: no such path; most likely the base URL is not that of a gateway."""


class MethodNotAllowed(APIStatusError):
    """405."""


class Conflict(APIStatusError):
    """409: the idempotency key was used for a batch of other questions."""


class ContentTooLarge(APIStatusError):
    """413: the request is larger than the gateway reads."""


class UnprocessableEntity(APIStatusError):
    """422: the request is not valid."""

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """The invalid fields and what is wrong with each."""
        return self.problem.errors if self.problem else ()


class RateLimited(APIStatusError):
    """429: too many requests; `retry_after` says when to repeat the call."""


class InternalServerError(APIStatusError):
    """500: a fault of the gateway."""


class BadGateway(APIStatusError):
    """502: a proxy got no response, or the student's engine refused the request."""


class ServiceUnavailable(APIStatusError):
    """503: no draft, a full queue, or no store for a batch."""


class GatewayTimeout(APIStatusError):
    """504: there was no draft within the deadline."""


BY_STATUS: Mapping[int, type[APIStatusError]] = MappingProxyType(
    {
        401: AuthenticationError,
        404: NotFound,
        405: MethodNotAllowed,
        409: Conflict,
        413: ContentTooLarge,
        422: UnprocessableEntity,
        429: RateLimited,
        500: InternalServerError,
        502: BadGateway,
        503: ServiceUnavailable,
        504: GatewayTimeout,
    }
)


def sentence(status: int, problem: Problem | None) -> str:
    """A status and its problem in a sentence."""
    if problem is None:
        return f"status {status}"
    if problem.errors:
        return f"{status}: " + "; ".join(f"{e.field}: {e.message}" for e in problem.errors)
    return f"{status}: {problem.detail or problem.title}"
