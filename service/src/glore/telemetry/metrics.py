"""Prometheus metrics of one gateway, in a registry of its own.

Every label has few values, all from enumerations or route templates; nothing a client sends
becomes a label. `route` is a path template, "unmatched" when there is none; `strategy` is
"none" where there is none to know.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

from glore.refinement.runner import Outcome
from glore.refinement.types import CandidateKind, State

# Seconds. A draft alone takes 0.1 s on a GPU and several seconds on two CPU cores.
_SECONDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)


class Metrics:
    """All metrics, by what they count."""

    def __init__(self) -> None:
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
            ["route", "strategy"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "glore_solves_in_flight", "Questions being answered now.", registry=registry
        )
        self.waiting = Gauge(
            "glore_solves_waiting", "Questions waiting for their turn.", registry=registry
        )
        self.stage_seconds = Histogram(
            "glore_stage_duration_seconds",
            "Seconds of one run of a stage, whether it gave something or not.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.prompt_tokens = Counter(
            "glore_prompt_tokens", "Tokens read by the engines.", ["stage"], registry=registry
        )
        self.generated_tokens = Counter(
            "glore_generated_tokens",
            "Tokens written by the engines.",
            ["stage"],
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
            "Calls to engines given up because their answer was no longer wanted.",
            ["role"],
            registry=registry,
        )
        self.engine_seconds = Histogram(
            "glore_engine_call_duration_seconds",
            "Seconds of one call to an engine.",
            ["role"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.selected = Counter(
            "glore_candidates_selected",
            "Answers by the kind of candidate that won.",
            ["kind", "strategy"],
            registry=registry,
        )
        self.first_errors = Counter(
            "glore_first_errors_found",
            "Drafts in which a verifier refuted a step, or one scored below the threshold.",
            ["strategy"],
            registry=registry,
        )
        self.selections = Counter(
            "glore_selections",
            "Answers by what decided between the candidates.",
            ["reason", "strategy"],
            registry=registry,
        )
        self.refuted = Counter(
            "glore_candidates_refuted",
            "Candidates in which a verifier refuted a step.",
            ["kind", "verifier"],
            registry=registry,
        )
        self.rounds = Counter(
            "glore_refinement_rounds",
            "Rounds of refinement; each question has at least one.",
            ["strategy"],
            registry=registry,
        )
        self.answers_changed = Counter(
            "glore_answers_changed",
            "Requests whose answer differs from their draft's because a refinement won.",
            ["strategy"],
            registry=registry,
        )
        self.degraded = Counter(
            "glore_stages_degraded",
            "Stages that gave nothing, and why.",
            ["stage", "reason"],
            registry=registry,
        )

        self.batch_questions = Counter(
            "glore_batch_questions",
            "Questions of batches that were told, by outcome: ok, error, replayed.",
            ["outcome"],
            registry=registry,
        )

    def request_answered(self, route: str, strategy: str, status: int, seconds: float) -> None:
        """Count one request and its duration."""
        self.requests.labels(route, strategy, str(status)).inc()
        self.request_seconds.labels(route, strategy).observe(seconds)

    @contextmanager
    def solving(self) -> Iterator[None]:
        """Count a question as in flight."""
        with self.in_flight.track_inprogress():
            yield

    def solved(self, outcome: Outcome) -> None:
        """Count what one answered question went through."""
        state = outcome.state
        strategy = state.task.strategy.value
        selected = outcome.selected
        self.selected.labels(selected.kind.value, strategy).inc()
        if outcome.first_error is not None:
            self.first_errors.labels(strategy).inc()
        self.selections.labels(outcome.selection.reason.value, strategy).inc()
        self.rounds.labels(strategy).inc(state.round)
        for candidate in state.candidates:
            for verifier in {finding.verifier for finding in candidate.findings}:
                self.refuted.labels(candidate.kind.value, verifier).inc()
        refined = selected.kind in {CandidateKind.GLOBAL, CandidateKind.LOCAL}
        if refined and selected.answer != outcome.draft.answer:
            self.answers_changed.labels(strategy).inc()
        self.used(state)

    def used(self, state: State) -> None:
        """Count what one question cost and what was missing, answered or not."""
        for cost in state.costs:
            self.stage_seconds.labels(cost.stage.value).observe(cost.seconds)
            self.prompt_tokens.labels(cost.stage.value).inc(cost.prompt_tokens)
            self.generated_tokens.labels(cost.stage.value).inc(cost.generated_tokens)
        for degradation in state.degraded:
            self.degraded.labels(degradation.stage.value, str(degradation.reason)).inc()

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Everything in the text format that the Accept header asks for, and its media type."""
        encoder, media_type = choose_encoder(accept)
        return encoder(self.registry), media_type
