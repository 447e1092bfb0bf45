"""Client for a GLoRe gateway: a question in, a refined answer out.

Start with `Client` (or `AsyncClient`) and its `solve`. Its result is in `glore_client.results`, and
its errors are in `glore_client.errors`. `stream` gives events while a question is answered
(`glore_client.events`). `solve_many` and `solve_batch` are for many questions.
"""

from glore_client.client import AsyncClient, Client
from glore_client.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadGateway,
    Conflict,
    ContentTooLarge,
    GatewayTimeout,
    GloreError,
    InternalServerError,
    InvalidQuestionError,
    InvalidResponseError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    UnprocessableEntity,
)
from glore_client.events import (
    DoneEvent,
    DraftDelta,
    DraftWritten,
    FirstError,
    RefinedDelta,
    RefinedWritten,
    SelectedEvent,
    SolveEvent,
    StepScores,
)
from glore_client.outcomes import Answered, Failed, Outcome
from glore_client.progress import Progress
from glore_client.questions import CallOptions, Question, SolveOptions
from glore_client.results import (
    Candidate,
    Degraded,
    Draft,
    Feedback,
    FieldError,
    Finding,
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
from glore_client.retries import RetryPolicy
from glore_client.streams import AsyncStream, Stream
from glore_client.version import __version__

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Answered",
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "BadGateway",
    "CallOptions",
    "Candidate",
    "Client",
    "Conflict",
    "ContentTooLarge",
    "Degraded",
    "DoneEvent",
    "Draft",
    "DraftDelta",
    "DraftWritten",
    "Failed",
    "Feedback",
    "FieldError",
    "Finding",
    "FirstError",
    "GatewayTimeout",
    "GloreError",
    "InternalServerError",
    "InvalidQuestionError",
    "InvalidResponseError",
    "MethodNotAllowed",
    "NotFound",
    "Outcome",
    "Problem",
    "Progress",
    "Question",
    "RateLimited",
    "Readiness",
    "RefinedDelta",
    "RefinedWritten",
    "RetryPolicy",
    "Sampling",
    "Selected",
    "SelectedEvent",
    "ServiceUnavailable",
    "SolveEvent",
    "SolveOptions",
    "SolveResult",
    "StageUsage",
    "Step",
    "StepScores",
    "Strategy",
    "Stream",
    "UnprocessableEntity",
    "Usage",
    "__version__",
]
