"""Ports whose calls have spans. The engine gets the trace, and goes on with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from glore.engines.ports import (
    Generation,
    Generator,
    Lease,
    OutcomeScorer,
    Role,
    Scores,
    StepScorer,
)
from glore.formats.writing import Prompt
from glore.refinement.runner import Engines
from glore.settings import Settings
from glore.telemetry import conventions as names
from glore.telemetry.spans import Tracing, Turns, on_first


@dataclass(frozen=True, slots=True)
class _Engine:
    """The engine of a role in spans: its model, and where its server is."""

    tracing: Tracing
    role: Role
    model: str
    host: str
    port: int

    def about(self, operation: str) -> dict[str, AttributeValue]:
        """What all of its calls have in common."""
        return {
            names.OPERATION: operation,
            names.PROVIDER: "vllm",
            names.REQUEST_MODEL: self.model,
            names.SERVER_ADDRESS: self.host,
            names.SERVER_PORT: self.port,
            names.ROLE: self.role,
        }

    def traced(self, lease: Lease) -> Lease:
        """The lease of a call whose span is the current one."""
        return replace(lease, trace_context=self.tracing.trace_context())


class TracedGenerator:
    """A Generator whose calls have spans."""

    def __init__(self, inner: Generator, engine: _Engine) -> None:
        self._inner = inner
        self._engine = engine

    async def generate(
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        lease: Lease,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """As the inner port."""
        engine, tracing = self._engine, self._engine.tracing
        operation = names.TEXT_COMPLETION if isinstance(prompt, str) else names.CHAT
        about = {
            **engine.about(operation),
            **({} if n == 1 else {names.REQUEST_CHOICES: n}),
            names.REQUEST_TEMPERATURE: temperature,
            names.REQUEST_TOP_P: top_p,
            names.REQUEST_MAX_TOKENS: max_tokens,
            names.REQUEST_STREAM: on_text is not None,
            **tracing.texts(names.INPUT_MESSAGES, _turns(prompt)),
        }
        with tracing.call(f"{operation} {engine.model}", about) as span:
            generation = await self._inner.generate(
                prompt,
                n=n,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                lease=engine.traced(lease),
                on_text=on_text and on_first(on_text, span),
            )
            texts = [("assistant", each.text) for each in generation.completions]
            span.set_attributes(
                {
                    names.INPUT_TOKENS: generation.prompt_tokens,
                    names.OUTPUT_TOKENS: generation.generated_tokens,
                    names.FINISH_REASONS: [each.finish_reason for each in generation.completions],
                    **tracing.texts(names.OUTPUT_MESSAGES, texts),
                }
            )
            return generation


class TracedStepScorer:
    """A StepScorer whose calls have spans."""

    def __init__(self, inner: StepScorer, engine: _Engine) -> None:
        self._inner = inner
        self._engine = engine

    async def score_steps(self, question: str, steps: Sequence[str], *, lease: Lease) -> Scores:
        """As the inner port."""
        engine = self._engine
        with engine.tracing.call(
            f"{names.SCORE} {engine.model}", engine.about(names.SCORE)
        ) as span:
            scores = await self._inner.score_steps(question, steps, lease=engine.traced(lease))
            return _noted(span, scores)


class TracedOutcomeScorer:
    """An OutcomeScorer whose calls have spans."""

    def __init__(self, inner: OutcomeScorer, engine: _Engine) -> None:
        self._inner = inner
        self._engine = engine

    async def score_outcomes(
        self, question: str, solutions: Sequence[str], *, lease: Lease
    ) -> Scores:
        """As the inner port."""
        engine = self._engine
        with engine.tracing.call(
            f"{names.SCORE} {engine.model}", engine.about(names.SCORE)
        ) as span:
            lease = engine.traced(lease)
            scores = await self._inner.score_outcomes(question, solutions, lease=lease)
            return _noted(span, scores)


def traced(engines: Engines, tracing: Tracing, settings: Settings) -> Engines:
    """The same engines; each call has a span."""

    def engine(role: Role) -> _Engine:
        url = settings.engine_of(role)[1].url
        model = settings.models.of(role)
        return _Engine(tracing, role, model, url.host or "", url.port or 0)

    return replace(
        engines,
        student=TracedGenerator(engines.student, engine("student")),
        global_refiner=TracedGenerator(engines.global_refiner, engine("global_refiner")),
        local_refiner=TracedGenerator(engines.local_refiner, engine("local_refiner")),
        sorm=TracedStepScorer(engines.sorm, engine("sorm")),
        orm=TracedOutcomeScorer(engines.orm, engine("orm")),
    )


def _turns(prompt: Prompt) -> Turns:
    if isinstance(prompt, str):
        return [("user", prompt)]
    turns = [(turn.role, turn.content) for turn in prompt.messages]
    return [*turns, ("assistant", prompt.begun)] if prompt.begun else turns


def _noted(span: Span, scores: Scores) -> Scores:
    span.set_attribute(names.INPUT_TOKENS, scores.prompt_tokens)
    return scores
