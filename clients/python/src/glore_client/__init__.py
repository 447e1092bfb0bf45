"""Client for a GLoRe gateway: a question in, a refined answer out.

Start with `Client` (or `AsyncClient`) and its `solve`; what it returns is in
`glore_client.results`, what it raises is drawn in `glore_client.errors`.
"""

from glore_client.client import AsyncClient, Client
from glore_client.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadGateway,
    ContentTooLarge,
    GatewayTimeout,
    GloreError,
    InternalServerError,
    InvalidResponseError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    UnprocessableEntity,
)
from glore_client.exchange import RetryPolicy
from glore_client.results import (
    Candidate,
    Degraded,
    Draft,
    FieldError,
    Problem,
    Readiness,
    Sampling,
    Selected,
    SolveResult,
    StageUsage,
    Step,
    Strategy,
    Usage,
)

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncClient",
    "AuthenticationError",
    "BadGateway",
    "Candidate",
    "Client",
    "ContentTooLarge",
    "Degraded",
    "Draft",
    "FieldError",
    "GatewayTimeout",
    "GloreError",
    "InternalServerError",
    "InvalidResponseError",
    "MethodNotAllowed",
    "NotFound",
    "Problem",
    "RateLimited",
    "Readiness",
    "RetryPolicy",
    "Sampling",
    "Selected",
    "ServiceUnavailable",
    "SolveResult",
    "StageUsage",
    "Step",
    "Strategy",
    "UnprocessableEntity",
    "Usage",
]
