"""The messages of a chat, and the one question that they make."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from service.api.openai.neutral import UNSUPPORTED_VALUE, Neutral
from service.api.schemas import VISIBLE, RequestModel
from service.settings import MOST_QUESTION

_KINDS: Final = {
    "user": "user",
    "assistant": "answer",
    "system": "instruction",
    "developer": "instruction",
}
_LINE: Final = "\n"  # between the text parts of a message, and between messages


class TextPart(RequestModel):
    """A piece of a message."""

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


def _as_parts_if_any(content: object) -> object:
    return [] if content is None else _as_parts(content)


def _visible(parts: list[TextPart]) -> list[TextPart]:
    if not any(re.search(VISIBLE, part.text) for part in parts):
        message = "At least one character that is not white space is needed"
        raise ValueError(message)
    return parts


_Text = Annotated[
    str, Field(min_length=1, max_length=MOST_QUESTION, json_schema_extra={"pattern": VISIBLE})
]
_SEEN: Final = {"properties": {"text": {"pattern": VISIBLE}}, "required": ["text"]}
_Parts = Annotated[list[TextPart], Field(min_length=1, json_schema_extra={"contains": _SEEN})]
_AnyContent = Annotated[
    list[TextPart],
    BeforeValidator(_as_parts_if_any, json_schema_input_type=str | list[TextPart] | None),
]


class UserMessage(RequestModel):
    """The question when it is the last one; else what was asked earlier."""

    role: Literal["user"]
    content: Annotated[
        list[TextPart],
        BeforeValidator(_as_parts, json_schema_input_type=_Text | _Parts),
        AfterValidator(_visible),
    ]
    name: Annotated[None, Neutral("")] = None


class Instruction(RequestModel):
    """Text that goes before everything else."""

    role: Literal["system", "developer"]
    content: _AnyContent = Field(default_factory=list)
    name: Annotated[None, Neutral("")] = None


class EarlierAnswer(RequestModel):
    """What was answered earlier."""

    role: Literal["assistant"]
    content: _AnyContent = Field(default_factory=list)
    name: Annotated[None, Neutral("")] = None
    annotations: Annotated[None, Neutral([])] = None
    audio: Annotated[None, Neutral()] = None
    function_call: Annotated[None, Neutral()] = None
    refusal: Annotated[None, Neutral("")] = None
    tool_calls: Annotated[None, Neutral([])] = None


def _kind(message: object) -> str | None:
    role = message.get("role") if isinstance(message, dict) else None
    return _KINDS.get(str(role))


Message: TypeAlias = Annotated[
    Annotated[UserMessage, Tag("user")]
    | Annotated[EarlierAnswer, Tag("answer")]
    | Annotated[Instruction, Tag("instruction")],
    Discriminator(
        _kind,
        custom_error_type=UNSUPPORTED_VALUE,
        custom_error_message="The role is one of system, developer, user and assistant",
    ),
]


def _with_a_question(messages: list[Message]) -> list[Message]:
    if not any(isinstance(message, UserMessage) for message in messages):
        text = "At least one user message is needed: the last one is the question"
        raise PydanticCustomError(UNSUPPORTED_VALUE, text)
    return messages


_ASKS: Final[dict[str, Any]] = {"properties": {"role": {"const": "user"}}, "required": ["role"]}
Messages: TypeAlias = Annotated[
    list[Message],
    Field(
        min_length=1,
        description="The last user message is the question. Before it go the text of all system "
        "and developer messages and then, as lines `User: ...` and `Assistant: ...`, the others.",
        json_schema_extra={"contains": _ASKS},
    ),
    AfterValidator(_with_a_question),
]


def question_of(messages: Sequence[Message]) -> str:
    """All messages as one question; a user message that is alone stays as it is."""
    last = max(i for i, message in enumerate(messages) if isinstance(message, UserMessage))
    before = [message for i, message in enumerate(messages) if i != last]
    return _LINE.join([*_lines(before), _text(messages[last])])


def _lines(messages: Sequence[Message]) -> Iterator[str]:
    """The instructions, then the turns of the conversation; nothing for what has no text."""
    for message in messages:
        if isinstance(message, Instruction) and (text := _text(message).strip()):
            yield text
    for message in messages:
        if not isinstance(message, Instruction) and (text := _text(message).strip()):
            speaker = "User" if isinstance(message, UserMessage) else "Assistant"
            yield f"{speaker}: {text}"


def _text(message: Message) -> str:
    return _LINE.join(part.text for part in message.content)
