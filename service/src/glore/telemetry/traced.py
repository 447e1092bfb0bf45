"""Engine calls in spans. The engine gets the trace, and goes on with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry.util.types import AttributeValue

from glore.engines.ports import Generation, Role
from glore.formats.writing import Prompt
from glore.refinement.runner import Engines
from glore.role_settings import ROLES
from glore.settings import Settings
from glore.telemetry import conventions as names
from glore.telemetry.observing import PortCall, observed
from glore.telemetry.spans import Tracing, Turns, on_first


def traced(engines: Engines, tracing: Tracing, settings: Settings) -> Engines:
    """The same engines; each call has a span."""
    engine = {role: _engine(settings, role) for role in ROLES}

    @contextmanager
    def span_of(call: PortCall) -> Iterator[None]:
        operation = _operation(call)
        about = {names.OPERATION: operation, **engine[call.role], **_asked(call, tracing)}
        with tracing.call(f"{operation} {about[names.REQUEST_MODEL]}", about) as span:
            call.lease = replace(call.lease, trace_context=tracing.trace_context())
            if call.on_text is not None:
                call.on_text = on_first(call.on_text, span)
            yield
            span.set_attributes(_answered(call, tracing))

    return observed(engines, span_of)


def _operation(call: PortCall) -> str:
    if call.writing is None:
        return names.SCORE
    return names.TEXT_COMPLETION if isinstance(call.writing.prompt, str) else names.CHAT


def _engine(settings: Settings, role: Role) -> dict[str, AttributeValue]:
    """What all calls of a role have in common: its model, and where its server is."""
    url = settings.engine_of(role)[1].url
    return {
        names.PROVIDER: "vllm",
        names.REQUEST_MODEL: settings.models.of(role),
        names.SERVER_ADDRESS: url.host or "",
        names.SERVER_PORT: url.port or 0,
        names.ROLE: role,
    }


def _asked(call: PortCall, tracing: Tracing) -> dict[str, AttributeValue]:
    writing = call.writing
    if writing is None:
        return {}
    return {
        **({} if writing.n == 1 else {names.REQUEST_CHOICES: writing.n}),
        names.REQUEST_TEMPERATURE: writing.temperature,
        names.REQUEST_TOP_P: writing.top_p,
        names.REQUEST_MAX_TOKENS: writing.max_tokens,
        names.REQUEST_STREAM: call.on_text is not None,
        **tracing.texts(names.INPUT_MESSAGES, _turns(writing.prompt)),
    }


def _answered(call: PortCall, tracing: Tracing) -> dict[str, AttributeValue]:
    answer = call.answer
    if answer is None:
        return {}
    counts: dict[str, AttributeValue] = {names.INPUT_TOKENS: answer.prompt_tokens}
    if not isinstance(answer, Generation):
        return counts
    texts = [("assistant", each.text) for each in answer.completions]
    return {
        **counts,
        names.OUTPUT_TOKENS: answer.generated_tokens,
        names.FINISH_REASONS: [each.finish_reason for each in answer.completions],
        **tracing.texts(names.OUTPUT_MESSAGES, texts),
    }


def _turns(prompt: Prompt) -> Turns:
    if isinstance(prompt, str):
        return [("user", prompt)]
    turns = [(turn.role, turn.content) for turn in prompt.messages]
    return [*turns, ("assistant", prompt.begun)] if prompt.begun else turns
