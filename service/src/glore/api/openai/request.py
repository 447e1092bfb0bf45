"""What `POST /v1/chat/completions` takes. See `glore.api.openai.parameters` for the rest."""

from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from glore.api.context import Limits
from glore.api.openai.catalog import KNOWN, strategy_of
from glore.api.openai.messages import Messages, question_of
from glore.api.openai.parameters import NEUTRAL, Hints, asks_for_nothing
from glore.api.problems import invalid_request
from glore.api.schemas import (
    MOST_TOKENS,
    MaxTokens,
    RefinementIn,
    RequestModel,
    SampleCount,
    SolveRequest,
    Temperature,
    TopP,
    whole,
)
from glore.api.solve import job_of
from glore.errors import FieldError, InvalidRequestError
from glore.refinement.types import Job, Strategy

_MOST_STOPS: Final = 4


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
    """How the answer is streamed. Other options change no answer and are ignored."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": True})

    include_usage: bool | None = Field(
        default=None, description="Send a last chunk with the tokens of the whole request."
    )


class GloreOptions(RefinementIn):
    """What OpenAI has no parameter for (`extra_body={"glore": {...}}`), as in `POST /solve`."""

    n: SampleCount | None = None


def _describe(schema: dict[str, Any]) -> None:
    schema["properties"] |= {name: {"enum": [None, *values]} for name, values in NEUTRAL.items()}
    schema["additionalProperties"] = {"type": "null"}
    schema["allOf"] = [_COUNTED]


# Candidates are counted where they are drawn only; `job_of` checks the same.
_COUNTED: Final[dict[str, Any]] = {
    "anyOf": [
        {"properties": {"glore": {"properties": {"n": {"type": "null"}}}}},
        {"properties": {"model": {"const": "glore-best-of-n"}}},
    ]
}


class ChatRequest(Hints):
    """A question in OpenAI's words."""

    model_config = ConfigDict(json_schema_extra=_describe)

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
        default=None,
        description="Reaches no engine. Without sampling the answer is the same for every seed.",
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    glore: GloreOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_what_asks_for_nothing(cls, body: object) -> object:
        """Leave out what has no effect; what remains and is not known is refused."""
        if not isinstance(body, dict):
            return body
        return {
            name: value
            for name, value in body.items()
            if name in cls.model_fields or not asks_for_nothing(name, value)
        }

    @property
    def strategy(self) -> Strategy:
        """The strategy that the model stands for. Raises ModelNotFoundError."""
        return strategy_of(self.model)

    @property
    def ignored(self) -> list[str]:
        """The parameters that were given and have no effect on this answer."""
        names = [name for name in Hints.model_fields if getattr(self, name) is not None]
        samples = bool(self.temperature) or self.strategy is Strategy.BEST_OF_N
        return [*names, "seed"] if samples and self.seed is not None else names


def chat_job(body: ChatRequest, limits: Limits) -> Job:
    """The job of a request within the server's limits.

    Raises ModelNotFoundError, and InvalidRequestError for a question or a part of the budget beyond
    the server's, and for a number of candidates where none are drawn.
    """
    bounds = [each for each in (body.max_completion_tokens, body.max_tokens) if each is not None]
    sampling = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "max_tokens": min(bounds, default=None),
        "n": body.glore.n if body.glore else None,
    }
    fields: dict[str, Any] = {
        "question": question_of(body.messages),
        "strategy": body.strategy,
        "sampling": {name: value for name, value in sampling.items() if value is not None},
    }
    if body.glore:
        fields |= body.glore.model_dump(exclude={"n"}, exclude_unset=True)
    try:
        return job_of(SolveRequest.model_validate(fields), limits)
    except InvalidRequestError as error:
        raise invalid_request([_renamed(fault) for fault in error.faults]) from None


def _renamed(fault: FieldError) -> FieldError:
    """A fault of `POST /solve`'s field at the field of the chat that it came from."""
    if fault.field == "question":
        return FieldError("messages", fault.message, fault.kind)
    return FieldError(f"glore.{fault.field.removeprefix('sampling.')}", fault.message, fault.kind)
