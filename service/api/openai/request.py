"""What `POST /v1/chat/completions` takes.

Every parameter of OpenAI's is here, and is one of three: honoured; a hint that changes no answer
and may be given; or refused by name unless its value asks for nothing (`Neutral`). Unknown ones
are refused too, so none is ever dropped in silence. tests/service/api/openai/test_request.py
holds the list to the parameters of the openai client.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationError
from pydantic_core import PydanticCustomError

from service.api.context import Limits
from service.api.openai.catalog import KNOWN, strategy_of
from service.api.openai.neutral import UNSUPPORTED_VALUE, Neutral
from service.api.problems import field_faults, invalid_request
from service.api.schemas import (
    VISIBLE,
    BudgetIn,
    MaxTokens,
    RequestModel,
    SampleCount,
    SolveRequest,
    Temperature,
    TopP,
)
from service.api.solve import task_of
from service.errors import FieldFault, InvalidRequestError
from service.refinement.types import Task
from service.settings import MOST_QUESTION

_USER: Final = "user"
_INSTRUCTION: Final = "instruction"
_JOINT: Final = "\n"  # between the text parts of a message


class TextPart(RequestModel):
    """A piece of the question."""

    type: Literal["text"]
    text: str
    prompt_cache_breakpoint: Annotated[None, Neutral()] = None


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        kind, message = "string_type", "A string or a list of text parts is needed"
        raise PydanticCustomError(kind, message)
    return content


_Text = Annotated[
    str, Field(min_length=1, max_length=MOST_QUESTION, json_schema_extra={"pattern": VISIBLE})
]
_SEEN: Final = {"properties": {"text": {"pattern": VISIBLE}}, "required": ["text"]}
_Parts = Annotated[list[TextPart], Field(min_length=1, json_schema_extra={"contains": _SEEN})]


class UserMessage(RequestModel):
    """The question."""

    role: Literal["user"]
    content: Annotated[
        list[TextPart], BeforeValidator(_as_parts, json_schema_input_type=_Text | _Parts)
    ]
    name: Annotated[None, Neutral("")] = None


class BlankInstruction(RequestModel):
    """An instruction that says nothing, as some tools send it: the roles' prompts are fixed."""

    role: Literal["system", "developer"]
    content: Annotated[None, Neutral("", [], hint="the prompts are the service's own")] = None
    name: Annotated[None, Neutral("")] = None


def _kind(message: object) -> str | None:
    role = message.get("role") if isinstance(message, dict) else None
    return {"user": _USER, "system": _INSTRUCTION, "developer": _INSTRUCTION}.get(str(role))


_Message = Annotated[
    Annotated[UserMessage, Tag(_USER)] | Annotated[BlankInstruction, Tag(_INSTRUCTION)],
    Discriminator(
        _kind,
        custom_error_type=UNSUPPORTED_VALUE,
        custom_error_message="Only a user's message is answered: no conversation is kept up",
    ),
]


def _one_question(messages: list[_Message]) -> list[_Message]:
    if sum(isinstance(message, UserMessage) for message in messages) != 1:
        text = "Exactly one user message is needed, the question: no conversation is kept up"
        raise PydanticCustomError(UNSUPPORTED_VALUE, text)
    return messages


_Messages = Annotated[
    list[_Message],
    Field(
        min_length=1,
        json_schema_extra={
            "contains": {"properties": {"role": {"const": "user"}}, "required": ["role"]},
            "minContains": 1,
            "maxContains": 1,
        },
    ),
    AfterValidator(_one_question),
]


class StreamOptions(RequestModel):
    """How the answer is streamed."""

    include_usage: bool | None = Field(
        default=None, description="Send a last chunk with the tokens of the whole request."
    )
    include_obfuscation: Annotated[None, Neutral(False)] = None  # noqa: FBT003 - a value


class GloreOptions(BudgetIn):
    """What OpenAI has no parameter for (`extra_body={"glore": {...}}`), as in `POST /solve`."""

    n: SampleCount | None = None


class ChatRequest(RequestModel):
    """A question in OpenAI's words."""

    # honoured
    model: Annotated[str, Field(json_schema_extra=KNOWN)]
    messages: _Messages
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_completion_tokens: MaxTokens | None = None
    max_tokens: MaxTokens | None = Field(default=None, description="The smaller of both counts.")
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
    seed: Annotated[None, Neutral()] = None
    service_tier: Annotated[None, Neutral("auto", "default")] = None
    stop: Annotated[None, Neutral([])] = None
    store: Annotated[None, Neutral(False)] = None  # noqa: FBT003 - a value
    tool_choice: Annotated[None, Neutral("none", "auto")] = None
    tools: Annotated[None, Neutral([])] = None
    top_logprobs: Annotated[None, Neutral(0)] = None
    verbosity: Annotated[None, Neutral("medium")] = None
    web_search_options: Annotated[None, Neutral()] = None


def chat_task(body: ChatRequest, limits: Limits) -> Task:
    """The task of a request within the server's limits.

    Raises ModelNotFoundError, and InvalidRequestError for a question or a part of the budget
    beyond the server's.
    """
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
        "question": _question(body),
        "strategy": strategy_of(body.model),
        "sampling": {name: value for name, value in sampling.items() if value is not None},
    }
    if body.glore:
        fields |= body.glore.model_dump(exclude={"n"}, exclude_unset=True)
    try:
        return task_of(SolveRequest.model_validate(fields), limits)
    except ValidationError as error:  # a question that is blank or too long for any server
        faults = field_faults(error.errors(include_url=False))
    except InvalidRequestError as error:
        faults = error.faults
    raise invalid_request([_renamed(fault) for fault in faults])


def _question(body: ChatRequest) -> str:
    """The text of the only user message."""
    parts = (part.text for each in body.messages if each.role == "user" for part in each.content)
    return _JOINT.join(parts)


def _renamed(fault: FieldFault) -> FieldFault:
    """A fault of `POST /solve`'s field at the field of the chat that it came from."""
    field = "messages" if fault.field == "question" else f"glore.{fault.field}"
    return FieldFault(field, fault.message, fault.kind)
