"""What the handlers need, put together by `glore.app` and read from the running app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from fastapi import Request

from glore.api.access import Authenticator
from glore.api.admission import Admission, BatchLimiter
from glore.api.draining import Drain
from glore.batches.run import BatchLimits
from glore.batches.store import Store
from glore.engines.readiness import ReadinessMonitor
from glore.refinement.runner import Engines
from glore.refinement.types import Strategy
from glore.telemetry.feedback import AnswerMemory
from glore.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from glore.api.shadowing import Shadows
    from glore.telemetry.spans import Tracing


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may use at most, the thresholds of a first error and of `gated`, and more.

    `strategy` is that of requests that name none.
    """

    strategy: Strategy
    max_deadline: float  # seconds
    max_calls: int
    max_generated_tokens: int
    rerank_reserve: float  # seconds
    max_rounds: int
    threshold: float
    gate: float
    verifies: bool  # whether there are verifiers
    max_question: int  # characters
    max_body: int  # bytes of a single question, and characters of one of a batch
    max_batch: int  # questions


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running gateway."""

    engines: Engines
    readiness: ReadinessMonitor
    metrics: Metrics
    tracing: "Tracing | None"
    answers: AnswerMemory
    shadows: "Shadows"
    limits: Limits
    gate: Authenticator
    admission: Admission
    batch_limiter: BatchLimiter
    drain: Drain
    clock: Callable[[], float]  # monotonic seconds
    store: Store | None  # of batches
    pace: BatchLimits  # of a batch
    heartbeat: float  # seconds of silence in a stream
    student: str  # the engine without which there is no answer
    serves: str | None  # a hash of what answers, if that is known
    version: str  # of the gateway


async def context_of(request: Request) -> Context:
    """The context that the app was started with; a FastAPI dependency."""
    return cast("Context", request.app.state.context)
