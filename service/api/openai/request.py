"""What `POST /v1/chat/completions` takes.

Every parameter of OpenAI's is here, and is one of three: honoured; a hint that changes no answer
and may be given; or refused by name unless its value asks for nothing (`Neutral`). Unknown ones
are refused too, so none is ever dropped in silence. tests/service/api/openai/test_request.py
holds the list to the parameters of the openai client.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from service.api.context import Limits
from service.api.openai.catalog import KNOWN, STRATEGIES, strategy_of
from service.api.openai.messages import Messages, question_of
from service.api.openai.neutral import TOO_LONG, UNSUPPORTED_PARAMETER, Neutral
from service.api.problems import field_faults, invalid_request
from service.api.schemas import (
    MOST_TOKENS,
    BudgetIn,
    MaxTokens,
    RequestModel,
    SampleCount,
    SolveRequest,
    Temperature,
    TopP,
    whole,
)
from service.api.solve import task_of
from service.errors import FieldFault, InvalidRequestError
from service.refinement.types import Strategy, Task

_MOST_STOPS: Final = 4
_SAMPLED: Final = "Taken where nothing is sampled: with temperature 0, and not by {models}"
_NO_STREAM: Final = "Taken with stream: true only"
_NO_CANDIDATES: Final = "Taken by {models} only"
_DRAWING: Final = [name for name, each in STRATEGIES.items() if each is Strategy.BEST_OF_N]


def _capped(value: object) -> object:
    """A bound that is larger than the server's own, which then holds as well, as that one."""
    beyond = isinstance(value, int | float) and value > MOST_TOKENS and value % 1 == 0
    return MOST_TOKENS if beyond else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_MostTokens = Annotated[
    MaxTokens,
    BeforeValidator(_capped),
    WithJsonSchema(
        {"type": "integer", "minimum": 1, "description": f"Per solution, {MOST_TOKENS} at most."}
    ),
]
_Seed = Annotated[int, BeforeValidator(whole)]
_Stop = Annotated[str, Field(min_length=1)]
_Stops = Annotated[list[_Stop], Field(max_length=_MOST_STOPS)]


class StreamOptions(RequestModel):
    """How the answer is streamed."""

    include_usage: bool | None = Field(
        default=None, description="Send a last chunk with the tokens of the whole request."
    )
    include_obfuscation: Annotated[None, Neutral(False)] = None  # noqa: FBT003 - a value


class GloreOptions(BudgetIn):
    """What OpenAI has no parameter for (`extra_body={"glore": {...}}`), as in `POST /solve`."""

    n: SampleCount | None = None


# The rules of `_contradictions` in the words of JSON Schema.
_NOTHING: Final = {"type": "null"}
_RULES: Final[list[Any]] = [
    {
        "anyOf": [
            {"properties": {"seed": _NOTHING}},
            {
                "properties": {
                    "temperature": {"enum": [None, 0]},
                    "model": {"enum": [name for name in STRATEGIES if name not in _DRAWING]},
                }
            },
        ]
    },
    {
        "anyOf": [
            {"properties": {"stream_options": _NOTHING}},
            {"properties": {"stream": {"const": True}}, "required": ["stream"]},
        ]
    },
    {
        "anyOf": [
            {"properties": {"glore": {"properties": {"n": _NOTHING}}}},
            {"properties": {"model": {"enum": _DRAWING}}},
        ]
    },
]


class ChatRequest(RequestModel):
    """A question in OpenAI's words."""

    model_config = ConfigDict(json_schema_extra={"allOf": _RULES})

    # honoured
    model: Annotated[str, Field(json_schema_extra=KNOWN)]
    messages: Messages
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_completion_tokens: _MostTokens | None = None
    max_tokens: _MostTokens | None = Field(default=None, description="The smaller of both counts.")
    stop: Annotated[
        _Stops | None, BeforeValidator(_as_list, json_schema_input_type=_Stop | _Stops | None)
    ] = Field(default=None, description="The answer ends before the first of them.")
    seed: _Seed | None = Field(
        default=None, description="Without sampling the answer is repeatable: it reaches no engine."
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    glore: GloreOptions | None = None

    # hints, which change no answer
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    parallel_tool_calls: bool | None = None  # there are no tools

    # refused, unless they ask for nothing
    audio: Annotated[None, Neutral()] = None
    frequency_penalty: Annotated[None, Neutral(0)] = None
    function_call: Annotated[None, Neutral("none", "auto")] = None
    functions: Annotated[None, Neutral([])] = None
    logit_bias: Annotated[None, Neutral({})] = None
    logprobs: Annotated[None, Neutral(False)] = None  # noqa: FBT003 - a value
    metadata: Annotated[None, Neutral({})] = None
    modalities: Annotated[None, Neutral(["text"])] = None
    moderation: Annotated[None, Neutral()] = None
    n: Annotated[None, Neutral(1)] = None
    prediction: Annotated[None, Neutral()] = None
    presence_penalty: Annotated[None, Neutral(0)] = None
    prompt_cache_options: Annotated[None, Neutral()] = None
    prompt_cache_retention: Annotated[None, Neutral("in_memory")] = None
    reasoning_effort: Annotated[None, Neutral()] = None
    response_format: Annotated[None, Neutral({"type": "text"})] = None
    service_tier: Annotated[None, Neutral("auto", "default")] = None
    store: Annotated[None, Neutral(False)] = None  # noqa: FBT003 - a value
    tool_choice: Annotated[None, Neutral("none", "auto")] = None
    tools: Annotated[None, Neutral([])] = None
    top_logprobs: Annotated[None, Neutral(0)] = None
    verbosity: Annotated[None, Neutral("medium")] = None
    web_search_options: Annotated[None, Neutral()] = None


def chat_task(body: ChatRequest, limits: Limits) -> Task:
    """The task of a request within the server's limits.

    Raises ModelNotFoundError, and InvalidRequestError for what does not go together, and for a
    question or a part of the budget beyond the server's.
    """
    strategy = strategy_of(body.model)
    if faults := list(_contradictions(body, strategy)):
        raise invalid_request(faults)
    sampling = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "max_tokens": min(
            (each for each in (body.max_completion_tokens, body.max_tokens) if each is not None),
            default=None,
        ),
        "n": body.glore.n if body.glore else None,
    }
    fields: dict[str, Any] = {
        "question": question_of(body.messages),
        "strategy": strategy,
        "sampling": {name: value for name, value in sampling.items() if value is not None},
    }
    if body.glore:
        fields |= body.glore.model_dump(exclude={"n"}, exclude_unset=True)
    try:
        return task_of(SolveRequest.model_validate(fields), limits)
    except ValidationError as error:  # a question that is too long for any server
        told = field_faults(error.errors(include_url=False))
    except InvalidRequestError as error:
        told = error.faults
    raise invalid_request([_renamed(fault) for fault in told])


def _contradictions(body: ChatRequest, strategy: Strategy) -> Iterator[FieldFault]:
    """What would be without effect beside the rest of the request."""
    models = " or ".join(_DRAWING)
    draws = strategy is Strategy.BEST_OF_N
    if body.seed is not None and (body.temperature or draws):
        yield FieldFault("seed", _SAMPLED.format(models=models), UNSUPPORTED_PARAMETER)
    if body.stream_options is not None and not body.stream:
        yield FieldFault("stream_options", _NO_STREAM, UNSUPPORTED_PARAMETER)
    if body.glore and body.glore.n is not None and not draws:
        yield FieldFault("glore.n", _NO_CANDIDATES.format(models=models), UNSUPPORTED_PARAMETER)


def _renamed(fault: FieldFault) -> FieldFault:
    """A fault of `POST /solve`'s field at the field of the chat that it came from."""
    if fault.field == "question":
        message = f"Together they make the question. {fault.message}"
        return FieldFault("messages", message, TOO_LONG)
    return FieldFault(f"glore.{fault.field}", fault.message, fault.kind)
