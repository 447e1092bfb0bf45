"""What a streamed chat completion says, chunk by chunk.

The answer is known only once the candidates are ranked, so its text comes late and as a whole. What
happens until then travels as `glore` in chunks whose delta is empty: plain clients see nothing of
it, and no proxy takes the connection for dead. The events are those of a streamed `POST /solve`.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from glore.api.events import EVENTS, events_of
from glore.api.openai.completion import FinishReason, Head, Trace, Usage, ending
from glore.api.openai.errors import ErrorResponse
from glore.api.problems import Problem
from glore.api.schemas import SolveResponse
from glore.refinement.progress import Delta, StageDone

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
    data: Annotated[BaseModel, WithJsonSchema({"type": "object"})]


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
    """The encoder of one stream. `include_usage` asks for a last chunk with the tokens."""

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        self._head = head
        self._include_usage = include_usage
        same = {"id": head.id, "object": "chat.completion.chunk", "created": head.created}
        self._start = _json(same | {"model": head.model})[:-1]  # of every chunk
        self._role: dict[str, str] = {"role": "assistant", "content": ""}  # of the first delta

    def encode(self, item: Delta | StageDone | SolveResponse) -> bytes:
        """Its chunks, one after the other; with the response, all that are left."""
        if isinstance(item, SolveResponse):
            return b"".join(self._answer(item))
        return b"".join(self._empty(event) for event in events_of(item))

    def encode_error(self, problem: Problem) -> bytes:
        """The error, on which OpenAI's clients raise an APIError."""
        return _data(ErrorResponse.of(problem).model_dump_json())

    def _answer(self, response: SolveResponse) -> Iterator[bytes]:
        *before, done = events_of(Trace.of_chat(response, self._head))
        yield from (self._empty(event) for event in before)
        text, reason = ending(response, self._head.stop)
        yield self._chunk([_choice({"content": text})])
        yield self._chunk([_choice({}, reason)], event=done)
        if self._include_usage:
            yield self._chunk([], usage=Usage.of(response).model_dump())
        yield _data(DONE)

    def _empty(self, event: tuple[str, BaseModel]) -> bytes:
        """An event beside a delta without text; the first delta says whose message it is."""
        delta, self._role = self._role, {}
        return self._chunk([_choice(delta)], event=event)

    def _chunk(
        self,
        choices: list[dict[str, Any]],
        *,
        event: tuple[str, BaseModel] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> bytes:
        """A ChatCompletionChunk as it is sent."""
        fields = [self._start, f'"choices":{_json(choices)}']
        if self._include_usage:
            fields.append(f'"usage":{_json(usage)}')
        if event is not None:
            name, data = event
            fields.append(f'"glore":{{"event":"{name}","data":{data.model_dump_json()}}}')
        return _data(f"{','.join(fields)}}}")


def _choice(delta: dict[str, str], reason: FinishReason | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _data(text: str) -> bytes:
    return f"data: {text}\n\n".encode()
