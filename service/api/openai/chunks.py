"""What a streamed chat completion says, chunk by chunk.

The answer is known only once the candidates are ranked, so its text comes late and as a whole. What
happens until then travels as `glore` in chunks whose delta is empty: plain clients see nothing of
it, and no proxy takes the connection for dead. The events are those of a streamed `POST /solve`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, SerializeAsAny, WithJsonSchema

from service.api.events import EVENTS, events_of
from service.api.openai.completion import FinishReason, Head, Trace, Usage, ending
from service.api.openai.errors import ErrorResponse
from service.api.problems import Problem
from service.api.schemas import SolveResponse
from service.refinement.progress import Advanced, Delta

DONE: Final = "[DONE]"
_SCHEMAS: Final = "#/components/schemas/{model}"
_EVENTS: Final[dict[str, type[BaseModel]]] = {**EVENTS, "done": Trace}
del _EVENTS["error"]  # that one is OpenAI's own


class ChunkDelta(BaseModel):
    """What is added to the message; empty while the answer is not known."""

    role: Literal["assistant"] = Field(default="assistant", description="In the first chunk.")
    content: str = Field(default="", description="The whole answer, in one chunk.")


class ChunkChoice(BaseModel):
    """The only one."""

    index: Literal[0] = 0
    delta: ChunkDelta
    logprobs: None = None
    finish_reason: FinishReason | None = Field(description="In the chunk after the answer.")


class RefinementEvent(BaseModel):
    """An event of a streamed `POST /solve`."""

    event: Annotated[str, WithJsonSchema({"type": "string", "enum": list(_EVENTS)})]
    data: Annotated[SerializeAsAny[BaseModel], WithJsonSchema({"type": "object"})]


class ChatCompletionChunk(BaseModel):
    """A piece of a streamed answer. The stream ends with `[DONE]`, or with an error."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int = Field(description="Unix seconds.")
    model: str
    choices: list[ChunkChoice] = Field(description="Empty in the chunk with the usage.")
    usage: Usage | None = Field(
        default=None, description="With `stream_options.include_usage`; null but in the last chunk."
    )
    glore: RefinementEvent | None = Field(
        default=None,
        description="What has happened. With `finish_reason` it is `done`: the whole trace.",
    )


# One event of the stream, as OpenAPI 3.2 describes the items of a stream.
CHUNK_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "anyOf": [
                {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": _SCHEMAS.format(model=each.__name__)},
                }
                for each in (ChatCompletionChunk, ErrorResponse)
            ]
            + [{"const": DONE}]
        }
    },
}


def describe_chunks(schemas: dict[str, Any]) -> None:
    """Add what a chunk holds to the schemas of the OpenAPI document."""
    chunk = ChatCompletionChunk.model_json_schema(mode="serialization", ref_template=_SCHEMAS)
    for name, schema in {**chunk.pop("$defs"), ChatCompletionChunk.__name__: chunk}.items():
        schemas.setdefault(name, schema)
    held = [{"$ref": _SCHEMAS.format(model=_EVENTS[name].__name__)} for name in _EVENTS]
    schemas[RefinementEvent.__name__]["properties"]["data"] = {"anyOf": held}


class Chunks:
    """The wording of one stream. `include_usage` asks for a last chunk with the tokens."""

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        self._head = head
        self._include_usage = include_usage
        self._begun = False

    def told(self, item: Delta | Advanced | SolveResponse) -> bytes:
        """Its chunks, one after the other; with the response, all that are left."""
        if isinstance(item, SolveResponse):
            return b"".join(self._answer(item))
        return b"".join(
            self._chunk(self._delta(), event=RefinementEvent(event=name, data=data))
            for name, data in events_of(item)
        )

    def failed(self, problem: Problem) -> bytes:
        """The error, on which OpenAI's clients raise an APIError."""
        return _data(ErrorResponse.of(problem).model_dump_json())

    def _answer(self, response: SolveResponse) -> Iterator[bytes]:
        *before, done = (
            RefinementEvent(event=name, data=data)
            for name, data in events_of(Trace.of_chat(response, self._head))
        )
        yield from (self._chunk(self._delta(), event=event) for event in before)
        text, reason = ending(response, self._head.stop)
        yield self._chunk(ChunkDelta(content=text))
        yield self._chunk(self._delta(), event=done, reason=reason)
        if self._include_usage:
            yield self._chunk(usage=Usage.of(response))
        yield _data(DONE)

    def _delta(self) -> ChunkDelta:
        """A delta without text; the first one says whose message it is."""
        if self._begun:
            return ChunkDelta()
        self._begun = True
        return ChunkDelta(role="assistant", content="")

    def _chunk(
        self,
        delta: ChunkDelta | None = None,
        *,
        event: RefinementEvent | None = None,
        reason: FinishReason | None = None,
        usage: Usage | None = None,
    ) -> bytes:
        """One chunk as it is sent: without a choice when there is no delta."""
        choices = [] if delta is None else [ChunkChoice(delta=delta, finish_reason=reason)]
        chunk = ChatCompletionChunk(
            id=self._head.id,
            created=self._head.created,
            model=self._head.model,
            choices=choices,
            usage=usage,
            glore=event,
        )
        unsaid = set() if delta is None else ChunkDelta.model_fields.keys() - delta.model_fields_set
        left_out: dict[str, Any] = {"choices": {"__all__": {"delta": unsaid}}}
        if not self._include_usage:
            left_out["usage"] = True
        if event is None:
            left_out["glore"] = True
        return _data(chunk.model_dump_json(exclude=left_out))


def _data(text: str) -> bytes:
    return f"data: {text}\n\n".encode()
