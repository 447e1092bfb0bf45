"""Prometheus metrics of one gateway, in a registry of its own.

Every label has few values, all from enumerations or route templates; nothing a client sends
becomes a label (`glore.telemetry.labels`). `route` is a path template, "unmatched" when there is
none; `strategy` is "none" where there is none to know. What can happen is there from the start, at
zero. docs/metrics.md describes every metric.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

from glore.refinement.runner import Solved
from glore.refinement.types import State
from glore.telemetry.buckets import SECONDS, SHORT_SECONDS
from glore.telemetry.feedback import FeedbackMetrics
from glore.telemetry.labels import (
    FAULTS,
    NO_STRATEGY,
    OK,
    OTHER,
    ROLES,
    STRATEGIES,
    WAIT_OUTCOMES,
    known,
    problems,
    request_outcome,
)
from glore.telemetry.overhead import time_away
from glore.telemetry.refinements import RefinementMetrics
from glore.telemetry.shadows import ShadowMetrics

_QUESTION_ROUTES: Final = ("/solve", "/v1/chat/completions")
_ANSWERED: Final = ("200", "499", "500", "502", "503", "504")  # once a strategy is known
_REFUSED: Final = ("401", "408", "413", "415", "422", "429", "503")  # before that
_BATCH_OUTCOMES: Final = ("ok", "error", "replayed")
_STORE_OPERATIONS: Final = (
    "begin", "finished", "read", "claim", "renew", "finish", "release", "purge",
)  # fmt: skip


class Metrics:
    """All metrics, by what they count. `verifiers` are the names of those of the settings."""

    def __init__(self, verifiers: Sequence[str] = ()) -> None:
        registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.registry = registry
        self.requests = Counter(
            "glore_requests",
            "Requests answered.",
            ["route", "strategy", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "glore_request_duration_seconds",
            "Seconds from the request's first byte to the end of its response.",
            ["route", "strategy", "outcome"],
            buckets=SECONDS,
            registry=registry,
        )
        self.problems = Counter(
            "glore_problems",
            "Requests answered with a problem, by the end of its type: refusals and failures.",
            ["problem"],
            registry=registry,
        )
        self.overhead_seconds = Histogram(
            "glore_gateway_overhead_seconds",
            "Seconds of a question in which no engine worked for it and it did not wait its turn.",
            ["route", "outcome"],
            buckets=SHORT_SECONDS,
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "glore_time_to_first_token_seconds",
            "Seconds from a streamed question's first byte to the first text of its draft.",
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "glore_solves_in_flight", "Questions being answered now.", registry=registry
        )
        self.waiting = Gauge(
            "glore_solves_waiting", "Questions waiting for their turn.", registry=registry
        )
        self.running = Gauge(
            "glore_solves_running", "Questions that have their turn.", registry=registry
        )
        self.batches = Gauge(
            "glore_batches_in_flight", "Batches being answered now.", registry=registry
        )
        self.tasks = Gauge(
            "glore_asyncio_tasks",
            "Tasks of the event loop. Without requests in flight their number stays the same.",
            registry=registry,
        )
        self.wait_seconds = Histogram(
            "glore_queue_wait_seconds",
            "Seconds that a question waited for its turn, and how the wait ended.",
            ["outcome"],
            buckets=SHORT_SECONDS,
            registry=registry,
        )
        self.engine_calls = Counter(
            "glore_engine_calls", "Calls to engines, failed ones too.", ["role"], registry=registry
        )
        self.engine_errors = Counter(
            "glore_engine_errors",
            "Calls to engines that gave nothing usable.",
            ["role", "reason"],
            registry=registry,
        )
        self.engine_cancellations = Counter(
            "glore_engine_cancellations",
            "Calls to engines that were cancelled: their answer was no longer needed.",
            ["role"],
            registry=registry,
        )
        self.engine_seconds = Histogram(
            "glore_engine_call_duration_seconds",
            "Seconds of one call to an engine.",
            ["role", "outcome"],
            buckets=SECONDS,
            registry=registry,
        )
        self.engine_first_token_seconds = Histogram(
            "glore_engine_time_to_first_token_seconds",
            "Seconds from a streamed call's beginning to its first text.",
            ["role"],
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_questions = Counter(
            "glore_batch_questions",
            "Questions of batches by outcome: ok, error, replayed.",
            ["outcome"],
            registry=registry,
        )
        self.store_errors = Counter(
            "glore_batch_store_errors",
            "Operations of the store of batches that failed.",
            ["operation"],
            registry=registry,
        )
        self.feedback = FeedbackMetrics(registry)
        self.shadows = ShadowMetrics(registry)
        self.refinements = RefinementMetrics(registry, tuple(verifiers))
        self._problems = frozenset(problems())
        self._begin()

    def _begin(self) -> None:
        """Have the series there from the start, so that `increase()` sees the first event.

        Of the durations only those of what went well: each has many series.
        """
        known(self.requests, _QUESTION_ROUTES, STRATEGIES, _ANSWERED)
        known(self.requests, (*_QUESTION_ROUTES, "/solve/batch"), (NO_STRATEGY,), _REFUSED)
        known(self.request_seconds, _QUESTION_ROUTES, STRATEGIES, (OK,))
        known(self.overhead_seconds, _QUESTION_ROUTES, (OK,))
        known(self.problems, sorted(self._problems))
        known(self.wait_seconds, WAIT_OUTCOMES)
        known(self.engine_calls, ROLES)
        known(self.engine_cancellations, ROLES)
        known(self.engine_errors, ROLES, FAULTS)
        known(self.engine_seconds, ROLES, (OK,))
        known(self.engine_first_token_seconds, ("student", "global_refiner", "local_refiner"))
        known(self.batch_questions, _BATCH_OUTCOMES)
        known(self.store_errors, _STORE_OPERATIONS)

    def describe(self, build: Mapping[str, str], limits: Mapping[str, tuple[str, float]]) -> None:
        """Tell what runs here, and its limits: description and value by name without `glore_`."""
        info = Info("glore_build", "What runs here.", registry=self.registry)
        info.info({"python": platform.python_version(), **build})
        for name, (description, value) in limits.items():
            Gauge(f"glore_{name}", description, registry=self.registry).set(value)

    def request_answered(
        self,
        route: str,
        strategy: str,
        status: int,
        seconds: float,
        *,
        own_seconds: float | None = None,
        problem: str | None = None,
    ) -> None:
        """Count one request and its duration.

        `own_seconds` is the part in which no engine worked and nothing was waited for; None where
        no question was asked. `problem` is the slug of the problem that it was answered with.
        """
        outcome = request_outcome(status)
        self.requests.labels(route, strategy, str(status)).inc()
        self.request_seconds.labels(route, strategy, outcome).observe(seconds)
        if own_seconds is not None:
            self.overhead_seconds.labels(route, outcome).observe(max(0.0, own_seconds))
        if problem is not None:
            self.problems.labels(problem if problem in self._problems else OTHER).inc()

    def waited(self, outcome: str, seconds: float) -> None:
        """Note how long a question waited for its turn, and how that ended: WAIT_OUTCOMES."""
        self.wait_seconds.labels(outcome).observe(seconds)
        away = time_away()
        if away is not None:
            away.waited(seconds)

    @contextmanager
    def solving(self) -> Iterator[None]:
        """Count a question as in flight."""
        with self.in_flight.track_inprogress():
            yield

    def solved(self, outcome: Solved) -> None:
        """Count what one answered question went through."""
        self.refinements.solved(outcome)

    def used(self, state: State) -> None:
        """Count what one question cost and what was missing, answered or not."""
        self.refinements.used(state)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Everything in the text format that the Accept header asks for, and its media type."""
        encoder, media_type = choose_encoder(accept)
        return encoder(self.registry), media_type
