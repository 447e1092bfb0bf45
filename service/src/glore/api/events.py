"""The events of a streamed `POST /solve`: what each says, and when."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, Field

from glore.api.problems import Problem
from glore.api.schemas import CandidateOut, SelectedOut, SolveResponse
from glore.formats.steps import split_steps
from glore.refinement.judging import critique_of, first_error
from glore.refinement.progress import Delta, StageDone
from glore.refinement.types import (
    CandidateKind,
    Drafted,
    Refined,
    Stage,
    State,
    StepsScored,
)

_SCHEMAS: Final = "#/components/schemas/{model}"


class DraftDelta(BaseModel):
    """`draft.delta`: text that was added to the draft."""

    text: str = Field(description="The added text.")


class DraftWritten(BaseModel):
    """`draft`: the whole draft. It is read as its family is, so it may differ from the deltas."""

    candidate: CandidateOut = Field(description="The draft.")
    samples: list[CandidateOut] = Field(description="The samples of `best_of_n`.")
    steps: list[str] = Field(description="The steps of the draft. Each gets a score.")

    @classmethod
    def of(cls, state: State) -> Self:
        """The draft and the samples of a state that has no more than those."""
        draft, *samples = state.candidates
        return cls(
            candidate=CandidateOut.of(draft),
            samples=[CandidateOut.of(sample) for sample in samples],
            steps=[step.text for step in split_steps(draft.solution)],
        )


class StepScores(BaseModel):
    """`scores`: the SORM's scores of a candidate."""

    candidate: int = Field(description="Its index in `candidates`.")
    scores: list[float] = Field(description="0..1, one for each step.")


class FirstError(BaseModel):
    """`first_error`: the first wrong step of the draft."""

    index: int | None = Field(
        description="Index of the first refuted step, else of the first that scores below the "
        "threshold; null without one."
    )
    found_by: str | None = Field(description="`sorm`, or the name of the verifier.")
    threshold: float = Field(description="A step that scores below it is an error.")
    critique: str | None = Field(
        description="The draft with `[BAD]` before its first error, as the local refiner reads it."
    )

    @classmethod
    def of(cls, state: State) -> Self:
        """What is known of the draft now."""
        error = first_error(state)
        return cls(
            index=error.step if error else None,
            found_by=error.found_by if error else None,
            threshold=state.job.threshold,
            critique=critique_of(state),
        )


class RefinedDelta(BaseModel):
    """`refined.delta`: text that was added to a refinement; steps that it keeps do not come."""

    kind: Literal[CandidateKind.GLOBAL, CandidateKind.LOCAL] = Field(description="Global or local.")
    base: int = Field(description="Index of the refined candidate.")
    round: int = Field(description="Round of refinement, from 1.")
    text: str = Field(description="The added text.")


class RefinedWritten(BaseModel):
    """`refined`: a whole refinement. One that fails after some deltas has none."""

    candidate: CandidateOut = Field(description="The refinement or sample.")
    place: int = Field(description="Its index in `candidates`.")


EVENTS: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {
        "draft.delta": DraftDelta,
        "draft": DraftWritten,
        "scores": StepScores,
        "first_error": FirstError,
        "refined.delta": RefinedDelta,
        "refined": RefinedWritten,
        "selected": SelectedOut,
        "done": SolveResponse,
        "error": Problem,
    }
)
_REFINED: Final[Mapping[Stage, Literal[CandidateKind.GLOBAL, CandidateKind.LOCAL]]] = (
    MappingProxyType(
        {
            Stage.REFINE_GLOBALLY: CandidateKind.GLOBAL,
            Stage.REFINE_LOCALLY: CandidateKind.LOCAL,
        }
    )
)
_Event: TypeAlias = tuple[str, BaseModel]

# One event, as OpenAPI 3.2 describes the items of a stream.
EVENT_SCHEMA: Final[dict[str, Any]] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["id", "event", "data"],
            "properties": {
                "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
                "event": {"const": name},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": _SCHEMAS.format(model=data.__name__)},
                },
            },
        }
        for name, data in EVENTS.items()
    ]
}


def describe_events(schemas: dict[str, Any]) -> None:
    """Add what events hold to the schemas of the OpenAPI document."""
    for data in EVENTS.values():
        schema = data.model_json_schema(mode="serialization", ref_template=_SCHEMAS)
        for name, each in {**schema.pop("$defs", {}), data.__name__: schema}.items():
            schemas.setdefault(name, each)


class SolveEvents:
    """The events of one `POST /solve`: numbered from 1, the last is `done` or `error`."""

    def __init__(self) -> None:
        self._last = 0

    def encode(self, item: Delta | StageDone | SolveResponse) -> bytes:
        """Its events, one after the other."""
        return b"".join(self._event(name, data.model_dump_json()) for name, data in events_of(item))

    def encode_error(self, problem: Problem) -> bytes:
        """The problem, as a whole response would have it."""
        return self._event("error", problem.model_dump_json(exclude_none=True))

    def _event(self, name: str, data: str) -> bytes:
        self._last += 1
        return f"id: {self._last}\nevent: {name}\ndata: {data}\n\n".encode()


def events_of(item: Delta | StageDone | SolveResponse) -> Iterator[_Event]:
    """The events of one item of progress; a stage that failed is named in `done` alone."""
    match item:
        case Delta(stage=Stage.DRAFT, text=text):
            yield "draft.delta", DraftDelta(text=text)
        case Delta(stage=stage, text=text, base=base, round=number):
            kind = _REFINED[stage]
            yield "refined.delta", RefinedDelta(kind=kind, base=base, round=number, text=text)
        case StageDone(event=Drafted(), state=state):
            yield "draft", DraftWritten.of(state)
            if state.candidates[0].findings:
                yield "first_error", FirstError.of(state)
        case StageDone(event=StepsScored(candidate=index, scores=scores), state=state):
            yield "scores", StepScores(candidate=index, scores=list(scores))
            if index == 0 and not state.candidates[0].findings:
                yield "first_error", FirstError.of(state)
        case StageDone(event=Refined(candidate=candidate), state=state):
            index = len(state.candidates) - 1
            yield "refined", RefinedWritten(candidate=CandidateOut.of(candidate), place=index)
        case SolveResponse():
            yield "selected", item.selected
            yield "done", item
        case _:
            pass
