"""What `POST /v1/chat/completions` gives when it is not streamed."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self, TypeAlias

from pydantic import BaseModel, Field

from glore.api.schemas import SolveResponse

FinishReason: TypeAlias = Literal["stop", "length"]
_PREFIX: Final = "chatcmpl-"


@dataclass(frozen=True, slots=True)
class Head:
    """What a completion and each of its chunks begin with, and where the answer is to end."""

    model: str
    id: str = field(default_factory=lambda: f"{_PREFIX}{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))  # Unix seconds
    stop: Sequence[str] = ()  # the answer ends before the first of them
    ignored: Sequence[str] = ()  # parameters of the request


class Usage(BaseModel):
    """Tokens of the whole request: of all engine calls, those for lost candidates included.

    So `completion_tokens` is more than the answer's own, and may be more than `max_tokens`,
    which bounds each solution; `glore.max_generated_tokens` bounds them all together.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, response: SolveResponse) -> Self:
        """The sums over all stages."""
        read, written = response.usage.prompt_tokens, response.usage.generated_tokens
        return cls(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str = Field(description="The selected solution, up to the first of `stop`.")
    refusal: None = None


class Choice(BaseModel):
    """The only one."""

    index: Literal[0] = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: FinishReason


class Trace(SolveResponse):
    """How the answer came about, as of `POST /solve`."""

    ignored: list[str] = Field(
        description="Parameters that were accepted and had no effect: hints, and `seed` where "
        "solutions were sampled."
    )

    @classmethod
    def of_chat(cls, response: SolveResponse, head: Head) -> Self:
        """The response to a chat; `head` names what was ignored."""
        return cls.model_construct(**dict(response), ignored=list(head.ignored))


class ChatCompletion(BaseModel):
    """An answer in OpenAI's words.

    There is no `system_fingerprint`: the gateway cannot vouch for what runs behind its engines.
    """

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Unix seconds.")
    model: str
    choices: list[Choice]
    usage: Usage
    glore: Trace

    @classmethod
    def of(cls, response: SolveResponse, head: Head) -> Self:
        """The answer to a question; `head` names what was asked."""
        text, reason = ending(response, head.stop)
        choice = Choice(message=AssistantMessage(content=text), finish_reason=reason)
        return cls(
            id=head.id,
            created=head.created,
            model=head.model,
            choices=[choice],
            usage=Usage.of(response),
            glore=Trace.of_chat(response, head),
        )


def ending(response: SolveResponse, stop: Sequence[str]) -> tuple[str, FinishReason]:
    """The selected solution up to the first of `stop`, and why it ends where it does.

    `length` when it was cut off before any of them.
    """
    whole = response.solution
    end = min((at for each in stop if (at := whole.find(each)) >= 0), default=None)
    if end is not None:
        return whole[:end], "stop"
    candidate = response.candidates[response.selected.candidate]
    return whole, "length" if candidate.finish_reason == "length" else "stop"
