"""What `POST /v1/chat/completions` gives when it is not streamed."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Final, Literal, Self, TypeAlias

from pydantic import BaseModel, Field

from service.api.schemas import SolveResponse

FinishReason: TypeAlias = Literal["stop", "length"]
_PREFIX: Final = "chatcmpl-"


@dataclass(frozen=True, slots=True)
class Head:
    """What a completion and each of its chunks begin with."""

    model: str
    id: str = field(default_factory=lambda: f"{_PREFIX}{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))  # Unix seconds


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
    content: str = Field(description="The selected solution.")
    refusal: None = None


class Choice(BaseModel):
    """The only one."""

    index: Literal[0] = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: FinishReason


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
    glore: SolveResponse = Field(description="How the answer came about, as of `POST /solve`.")

    @classmethod
    def of(cls, response: SolveResponse, head: Head) -> Self:
        """The answer to a question; `head` names what was asked."""
        message = AssistantMessage(content=response.solution)
        choice = Choice(message=message, finish_reason=finish_reason(response))
        return cls(
            id=head.id,
            created=head.created,
            model=head.model,
            choices=[choice],
            usage=Usage.of(response),
            glore=response,
        )


def finish_reason(response: SolveResponse) -> FinishReason:
    """Why the selected solution ends where it does: `length` when it was cut off."""
    candidate = response.candidates[response.selected.candidate]
    return "length" if candidate.finish_reason == "length" else "stop"
