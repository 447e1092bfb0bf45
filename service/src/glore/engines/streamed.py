"""A streamed completion, put together from the data of its events."""

from typing import Annotated, Final, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from glore.engines.exchange import EngineHTTPError, check_values
from glore.engines.ports import STOPPED
from glore.engines.wire import (
    ChatChunk,
    CompletionChoice,
    CompletionChunk,
    CompletionResponse,
    CompletionUsage,
    StreamFailure,
)
from glore.formats.writing import OnText

ChunkAdapter: TypeAlias = TypeAdapter[CompletionChunk | ChatChunk | StreamFailure]
_IN_ORDER: Final = Field(union_mode="left_to_right")  # a failure is rare, and looked for last
COMPLETION: Final[ChunkAdapter] = TypeAdapter(Annotated[CompletionChunk | StreamFailure, _IN_ORDER])
CHAT: Final[ChunkAdapter] = TypeAdapter(Annotated[ChatChunk | StreamFailure, _IN_ORDER])
_DONE: Final = b"[DONE]"
# The longest tokens in use are runs of 128 spaces; a text of nothing else is still within bounds.
CHARACTERS_PER_TOKEN: Final = 128
LINES_PER_TOKEN: Final = 4  # tokens of several newlines are rare
_MORE_EVENTS: Final = 64  # than tokens: an opening, the usage, signs of life


class TextBound:
    """How much text so many tokens can be. Text beyond that would be work that nobody granted."""

    def __init__(self, max_tokens: int) -> None:
        self._characters = CHARACTERS_PER_TOKEN * max_tokens
        self._lines = LINES_PER_TOKEN * max_tokens

    def take(self, text: str) -> None:
        """More text has come. Raises EngineHTTPError when it is too much."""
        self._characters -= len(text)
        self._lines -= text.count("\n")
        if self._characters < 0 or self._lines < 0:
            raise EngineHTTPError(reason="bad_response")


class StreamedCompletion:
    """One completion (n = 1) on its way; `on_text` gets every text that is not empty.

    `chunks` is the shape of the events. Anything out of order is a fault: text after the end, an
    end that does not come, tokens that are not counted, more events or text than `max_tokens` allow
    (`TextBound`). `tokens` are those so far, as the engine counts them with every event; one that
    does not until the end has written at least one for each text. `stopped`: `on_text` wants no
    more of it.
    """

    def __init__(self, chunks: ChunkAdapter, on_text: OnText, max_tokens: int) -> None:
        self._chunks = chunks
        self._on_text = on_text
        self._left = TextBound(max_tokens)
        self._events_left = max_tokens + _MORE_EVENTS
        self.tokens = 0  # known to be written
        self.stopped = False
        self._texts: list[str] = []
        self._finish_reason: str | None = None
        self._usage: CompletionUsage | None = None
        self._done = False

    def take(self, data: bytes) -> bool:
        """Read the next event. True when no more are needed. Raises EngineHTTPError."""
        self._events_left -= 1
        if self._done or self._events_left < 0:
            raise EngineHTTPError(reason="bad_response")
        if data == _DONE:
            self._done = True
            return False
        chunk = self._parsed(data)
        self._usage = chunk.usage or self._usage
        self.tokens += any(choice.text for choice in chunk.choices)
        if chunk.usage is not None:
            self.tokens = max(self.tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            if choice.index != 0 or self._finish_reason is not None:
                raise EngineHTTPError(reason="bad_response")
            self._finish_reason = choice.finish_reason
            if choice.text:
                self._left.take(choice.text)
                self._texts.append(choice.text)
                self.stopped = bool(self._on_text(choice.text))
        return self.stopped

    def whole(self) -> CompletionResponse:
        """The completion, once its stream has ended or was stopped.

        Raises EngineHTTPError when it ended too early.
        """
        reason, usage = self._finish_reason, self._usage
        if self.stopped:
            prompt_tokens = usage.prompt_tokens if usage else 0
            reason = STOPPED
            usage = CompletionUsage(prompt_tokens=prompt_tokens, completion_tokens=self.tokens)
        elif not self._done:
            raise EngineHTTPError(reason="bad_response")
        if reason is None or usage is None:
            raise EngineHTTPError(reason="bad_response")
        choice = CompletionChoice(index=0, text="".join(self._texts), finish_reason=reason)
        return CompletionResponse(choices=(choice,), usage=usage)

    def _parsed(self, data: bytes) -> CompletionChunk | ChatChunk:
        check_values(data)
        try:
            chunk = self._chunks.validate_json(data)
        except ValidationError:
            raise EngineHTTPError(reason="bad_response") from None  # its text would quote the event
        if isinstance(chunk, StreamFailure):
            raise EngineHTTPError(reason="failed", begun=True)
        return chunk
