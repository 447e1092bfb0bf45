"""The messages of a chat, and the one question that they make."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from glore.api.openai.parameters import EMPTY, UNSUPPORTED_VALUE, is_one_of
from glore.api.schemas import VISIBLE, RequestModel

# Fields that hold what was said or done beside the text: they are accepted when empty.
_CARRIED: Final = (
    "attachments",
    "audio",
    "files",
    "function_call",
    "images",
    "partial",  # these two ask that an answer be continued
    "prefix",
    "refusal",
    "tool_calls",
)
_LINE: Final = "\n"  # between the text parts of a message, and between messages


class TextPart(RequestModel):
    """A piece of a message. Other fields describe it and are ignored."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": True})

    type: Literal["text"]
    text: Annotated[str, Field(min_length=0)]  # with a bound, pydantic checks that it is Unicode


def _visible(content: str | list[TextPart]) -> str | list[TextPart]:
    texts = [content] if isinstance(content, str) else [part.text for part in content]
    if not any(re.search(VISIBLE, text) for text in texts):
        message = "At least one character that is not white space is needed"
        raise ValueError(message)
    return content


def _form(content: object) -> str | None:
    if isinstance(content, str):
        return "<text>"
    return "<parts>" if isinstance(content, list) else None


_FORM: Final = Discriminator(
    _form,
    custom_error_type="content_type",
    custom_error_message="A string or a list of text parts is needed",
)
_SEEN: Final = {"properties": {"text": {"pattern": VISIBLE}}, "required": ["text"]}
_Content: TypeAlias = Annotated[
    Annotated[str, Field(min_length=0), Tag("<text>")]
    | Annotated[list[TextPart], Field(fail_fast=True), Tag("<parts>")],
    _FORM,
]
_VisibleContent: TypeAlias = Annotated[
    Annotated[str, Field(min_length=1, json_schema_extra={"pattern": VISIBLE}), Tag("<text>")]
    | Annotated[
        list[TextPart],
        Field(min_length=1, fail_fast=True, json_schema_extra={"contains": _SEEN}),
        Tag("<parts>"),
    ],
    _FORM,
    AfterValidator(_visible),
]


def _describe(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = True
    schema["properties"] |= {name: {"enum": list(EMPTY)} for name in _CARRIED}


class _Message(RequestModel):
    """Fields that hold nothing but a description of the message are ignored."""

    model_config = ConfigDict(json_schema_extra=_describe)

    @model_validator(mode="before")
    @classmethod
    def _drop_hints(cls, message: object) -> object:
        if not isinstance(message, dict):
            return message
        return {
            name: value
            for name, value in message.items()
            if name in cls.model_fields or (name in _CARRIED and not is_one_of(value, EMPTY))
        }


class UserMessage(_Message):
    """The question when it is the last one; else an earlier question."""

    role: Literal["user"]
    content: _VisibleContent


class OtherMessage(_Message):
    """An instruction, or an earlier answer."""

    role: Literal["system", "developer", "assistant"]
    content: _Content | None = None


def _kind(message: object) -> str | None:
    role = message.get("role") if isinstance(message, dict) else None
    kinds = {"user": "<user>"} | dict.fromkeys(("system", "developer", "assistant"), "<other>")
    return kinds.get(str(role))


Message: TypeAlias = Annotated[
    Annotated[UserMessage, Tag("<user>")] | Annotated[OtherMessage, Tag("<other>")],
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
        fail_fast=True,  # an error for each of thousands would take long to make
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
    speakers = {"user": "User", "assistant": "Assistant"}
    for message in messages:
        if message.role not in speakers and (text := _text(message).strip()):
            yield text
    for message in messages:
        if message.role in speakers and (text := _text(message).strip()):
            yield f"{speakers[message.role]}: {text}"


def _text(message: Message) -> str:
    content = message.content or ""
    return content if isinstance(content, str) else _LINE.join(part.text for part in content)
