"""Spans of requests, questions, stages and engine calls, and events with the scores.

    POST /solve                   a request
      invoke_workflow glore       a question: of a batch there are many
        draft                     a stage
          text_completion student   an engine call; the engine goes on with its span

No question and no solution is in them unless `captures`. The names are in
`glore.telemetry.conventions`.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from glore.engines.ports import EngineError
from glore.errors import ProblemError
from glore.formats.writing import OnText
from glore.refinement.progress import OnStageEnd
from glore.refinement.runner import NoDraftError, Solved
from glore.refinement.state import stage_of
from glore.refinement.types import (
    Action,
    ActionFailed,
    Candidate,
    Cost,
    Drafted,
    Event,
    Job,
    Refined,
    State,
)
from glore.startup import version
from glore.telemetry import conventions as names

_SERVER_ERRORS: Final = 500
_OF_ACTIONS: Final = ("round", "base", "candidate", "first_error", "samples")
_Attributes: TypeAlias = Mapping[str, AttributeValue]
Turns: TypeAlias = Sequence[tuple[str, str]]  # of a conversation: role and text


class Tracing:
    """Makes spans and events; `close` sends what is left of them.

    `captures`: questions and solutions are in them.
    """

    def __init__(
        self, tracers: TracerProvider, loggers: LoggerProvider, *, captures: bool = False
    ) -> None:
        self._providers = (tracers, loggers)
        self._tracer = tracers.get_tracer("glore", version())
        self._logger = loggers.get_logger("glore", version())
        self._propagator = TraceContextTextMapPropagator()
        self._captures = captures

    async def close(self) -> None:
        """Send what is left: a collector that does not answer is given up after its timeout."""
        await asyncio.gather(*(asyncio.to_thread(each.shutdown) for each in self._providers))

    def request(
        self, name: str, headers: Mapping[str, str], about: _Attributes
    ) -> AbstractContextManager[Span]:
        """The span of an HTTP request, below the client's if its headers name one."""
        return self._span(name, about, SpanKind.SERVER, self._propagator.extract(headers))

    @contextmanager
    def question(self, job: Job, request_id: str) -> Iterator["QuestionSpan"]:
        """The span of a question: what it gives has the stages below it."""
        about = {
            names.OPERATION: names.WORKFLOW,
            names.AGENT: "glore",
            names.STRATEGY: job.strategy.value,
            names.REQUEST_ID: request_id,
            **self.texts(names.INPUT_MESSAGES, [("user", job.question)]),
        }
        with self._span(f"{names.WORKFLOW} glore", about) as span:
            yield QuestionSpan(self, span)

    def stage(self, action: Action) -> AbstractContextManager[Span]:
        """The span of a stage."""
        given = {each: getattr(action, each, None) for each in _OF_ACTIONS}
        about = {
            f"{names.ACTION_PREFIX}{name}": value
            for name, value in given.items()
            if value is not None
        }
        return self._span(stage_of(action).value, about)

    def call(self, name: str, about: _Attributes) -> AbstractContextManager[Span]:
        """The span of an engine call."""
        return self._span(name, about, SpanKind.CLIENT)

    def trace_context(self) -> dict[str, str]:
        """What an engine needs to go on with the current trace: W3C's headers."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier

    def evaluated(self, about: _Attributes, judged: Context) -> None:
        """An event: the span of `judged` wrote something that was scored."""
        self._logger.emit(
            timestamp=time.time_ns(),
            context=judged,
            event_name=names.EVALUATION_RESULT,
            attributes=about,
        )

    def texts(self, name: str, turns: Turns) -> dict[str, str]:
        """The attribute with these texts, if it may be there."""
        if not self._captures:
            return {}
        messages = [
            {"role": role, "parts": [{"type": "text", "content": text}]} for role, text in turns
        ]
        return {name: json.dumps(messages)}

    @contextmanager
    def _span(
        self,
        name: str,
        about: _Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Context | None = None,
    ) -> Iterator[Span]:
        """The current span in the block. An error is noted by its type: its text may quote."""
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=kind,
            attributes=about,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except asyncio.CancelledError:
                span.set_attribute(names.OUTCOME, "cancelled")
                raise
            except Exception as error:
                fail(span, _type_of(error))
                raise


class QuestionSpan:
    """The span of a question, and the stages below it."""

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span
        self._writers: dict[object, Context] = {}  # the span of the stage of each candidate

    @contextmanager
    def stage(self, action: Action) -> Iterator[OnStageEnd]:
        """Around a stage; what it gives is called with how the stage ended."""
        with self._tracing.stage(action) as span:

            def ended(event: Event, cost: Cost) -> None:
                span.set_attributes(
                    {
                        names.OUTCOME: cost.outcome,
                        names.ENGINE_CALLS: cost.engine_calls,
                        names.INPUT_TOKENS: cost.prompt_tokens,
                        names.OUTPUT_TOKENS: cost.generated_tokens,
                    }
                )
                match event:
                    case ActionFailed():
                        fail(span, str(event.degradation.reason))
                    case Drafted():
                        for missing in event.degraded[:1]:
                            fail(span, str(missing.reason))
                        self._wrote(span, *event.candidates)
                    case Refined():
                        self._wrote(span, event.candidate)
                    case _:
                        pass

            yield ended

    def answered(self, outcome: Solved) -> None:
        """Note the answer, and the scores of every candidate. What is missing is an error."""
        state, selected = outcome.state, outcome.selected
        degraded = [f"{each.stage.value}:{each.reason}" for each in state.degraded]
        self._span.set_attributes(
            {
                names.SELECTED_KIND: selected.kind.value,
                names.SELECTED_REASON: outcome.selection.reason.value,
                names.CANDIDATES: len(state.candidates),
                names.ROUNDS: state.round,
                names.ENGINE_CALLS: state.engine_calls,
                names.INPUT_TOKENS: sum(cost.prompt_tokens for cost in state.costs),
                names.OUTPUT_TOKENS: state.generated_tokens,
                **self._tracing.texts(
                    names.OUTPUT_MESSAGES, [("assistant", outcome.selected.solution)]
                ),
            }
        )
        if degraded:
            self._span.set_attribute(names.DEGRADED, degraded)
            fail(self._span, "degraded", ", ".join(degraded))
        for index, candidate in enumerate(state.candidates):
            self._evaluate(index, candidate, state, selected is candidate)

    def _wrote(self, span: Span, *candidates: Candidate) -> None:
        for candidate in candidates:
            self._writers[_key(candidate)] = set_span_in_context(span)

    def _evaluate(self, index: int, candidate: Candidate, state: State, selected: bool) -> None:
        about = {names.CANDIDATE: index, names.CANDIDATE_KIND: candidate.kind.value}
        judged = self._writers.get(_key(candidate)) or set_span_in_context(self._span)
        if candidate.outcome_score is not None:
            label = "selected" if selected else "not_selected"
            score = _score(names.OUTCOME_SCORE, candidate.outcome_score, label)
            self._tracing.evaluated({**about, **score}, judged)
        if candidate.step_scores:
            lowest = min(candidate.step_scores)
            label = "error" if lowest < state.job.threshold else "no_error"
            score = _score(names.LOWEST_STEP_SCORE, lowest, label)
            step = {names.STEP: candidate.step_scores.index(lowest)}
            self._tracing.evaluated({**about, **score, **step}, judged)
        first = {each.verifier: each.step for each in reversed(candidate.findings)}
        for verifier, at in first.items():
            verdict = _score(f"{names.VERIFIER_PREFIX}{verifier}", 0.0, "refuted")
            self._tracing.evaluated({**about, **verdict, names.STEP: at}, judged)


def fail(span: Span, error_type: str, description: str | None = None) -> None:
    """Note that what the span stands for has failed."""
    span.set_attribute(names.ERROR_TYPE, error_type)
    span.set_status(StatusCode.ERROR, description or error_type)


def end_request(span: Span, status: int, problem: str | None) -> None:
    """Note how a request was answered. Of the errors only the gateway's own are errors of it."""
    span.set_attribute(names.HTTP_STATUS, status)
    if problem is not None:
        span.set_attribute(names.ERROR_TYPE, problem)
    if status >= _SERVER_ERRORS:
        fail(span, problem or str(status))


def on_first(on_text: OnText, span: Span) -> OnText:
    """`on_text`, which notes the seconds until the first text of the call of this span."""
    start, written = time.perf_counter(), False

    def note(text: str) -> bool | None:
        nonlocal written
        if not written:
            written = True
            span.set_attribute(names.FIRST_CHUNK_SECONDS, time.perf_counter() - start)
        return on_text(text)

    return note


def trace_id_of(span: Span) -> str:
    """The id of its trace, 32 hexadecimal digits."""
    return f"{span.get_span_context().trace_id:032x}"


def _score(name: str, value: float, label: str) -> dict[str, AttributeValue]:
    return {
        names.EVALUATION_NAME: name,
        names.EVALUATION_SCORE: value,
        names.EVALUATION_LABEL: label,
    }


def _key(candidate: Candidate) -> object:
    """What stays the same of a candidate when it is scored."""
    return candidate.kind, candidate.base, candidate.solution


def _type_of(error: Exception) -> str:
    match error:
        case EngineError() | NoDraftError():
            return str(error.reason)
        case ProblemError():
            return error.slug
        case _:
            return type(error).__qualname__
