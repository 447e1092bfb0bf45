"""The shapes of vLLM's responses that the adapter reads, checked strictly.

Only the fields used here are named; others are ignored. A shape that differs, a number that
is not finite or a count beyond MAX_COUNT, and text that is not Unicode fail validation and are
never repaired. A list stops at its first item that fails.
"""

from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

MAX_COUNT: Final = 10**9

_Item = TypeVar("_Item")
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Items: TypeAlias = Annotated[tuple[_Item, ...], Field(fail_fast=True)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class CompletionUsage(_Wire):
    """Tokens of one call, summed over its completions."""

    prompt_tokens: Count
    completion_tokens: Count


class CompletionChoice(_Wire):
    """One of the `n` completions."""

    index: Count
    text: str
    finish_reason: str


class CompletionResponse(_Wire):
    """The answer of `POST /v1/completions` for one prompt."""

    choices: Items[CompletionChoice]
    usage: CompletionUsage


class ChatText(_Wire):
    """What the assistant wrote."""

    content: str


class ChatChoice(_Wire):
    """One of the `n` turns."""

    index: Count
    message: ChatText
    finish_reason: str


class ChatResponse(_Wire):
    """The answer of `POST /v1/chat/completions`."""

    choices: Items[ChatChoice]
    usage: CompletionUsage


class CompletionPiece(_Wire):
    """Text that was added to one of the `n` completions; a reason with the last."""

    index: Count
    text: str
    finish_reason: str | None = None


class CompletionChunk(_Wire):
    """An event of a streamed `POST /v1/completions`; the last before the end has the usage."""

    choices: Items[CompletionPiece]
    usage: CompletionUsage | None = None


class ChatDelta(_Wire):
    """What the assistant added; nothing where a turn is opened or closed."""

    content: str | None = None


class ChatPiece(_Wire):
    """Text that was added to one of the `n` turns; a reason with the last."""

    index: Count
    delta: ChatDelta
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """The text alone, "" for none."""
        return self.delta.content or ""


class ChatChunk(_Wire):
    """An event of a streamed `POST /v1/chat/completions`."""

    choices: Items[ChatPiece]
    usage: CompletionUsage | None = None


class StreamFailure(_Wire):
    """The event that ends a stream which failed; its words are for nobody."""

    error: dict[str, object]


class PoolingUsage(_Wire):
    """Tokens of all inputs together."""

    prompt_tokens: Count


class EchoedLogprobs(_Wire):
    """The text's tokens: natural logarithms (None for the first), and where each begins."""

    token_logprobs: Items[float | None]
    text_offset: Items[Count]


class EchoedChoice(_Wire):
    """One of the texts."""

    index: Count
    logprobs: EchoedLogprobs


class EchoedResponse(_Wire):
    """The answer of `POST /v1/completions` that echoes its prompts and generates nothing."""

    choices: Items[EchoedChoice]
    usage: PoolingUsage


class PoolingItem(_Wire):
    """The rows of one input: pooled tokens x labels."""

    index: Count
    data: Items[Items[float]]


class PoolingResponse(_Wire):
    """The answer of `POST /pooling` with `task=token_classify`."""

    data: Items[PoolingItem]
    usage: PoolingUsage


class ClassificationItem(_Wire):
    """The labels' values for one input: logits when `use_activation` is false."""

    probs: Items[float]


class ClassificationResponse(_Wire):
    """The answer of `POST /classify`."""

    data: Items[ClassificationItem]
    usage: PoolingUsage


class TokenizeResponse(_Wire):
    """The answer of `POST /tokenize`; the strings come when they are asked for."""

    tokens: Items[Count]
    token_strs: Items[str] | None = None


class DetokenizeResponse(_Wire):
    """The answer of `POST /detokenize`."""

    prompt: str


class ServedModel(_Wire):
    """A name under which the server answers: the base model or a LoRA module."""

    id: str
    max_model_len: Count | None = None  # tokens of question and solution together


class ModelList(_Wire):
    """The answer of `GET /v1/models`."""

    data: Items[ServedModel]
