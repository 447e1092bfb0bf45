"""The events of a question while it is answered: one frozen class for each.

```
draft.delta* -> draft -> scores, first_error   (as far as steps are scored)
                      -> refined.delta* -> refined   (for each refinement, side by side)
                      -> selected -> done
```

`event` is the name of each: tell the events apart by class or by name. Events that a newer gateway
adds are left out.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field

from glore_client.results import Candidate, Items, Received, Selected, SolveResult


class _Event(Received):
    @classmethod
    def read(cls, data: str) -> Self:
        """The event from its data, JSON. Raises pydantic's ValidationError."""
        return cls.model_validate_json(data)


class DraftDelta(_Event):
    """Text that was added to the draft."""

    event: Literal["draft.delta"] = "draft.delta"
    text: str


class DraftWritten(_Event):
    """The whole draft, with the further samples of `best_of_n`."""

    event: Literal["draft"] = "draft"
    candidate: Candidate
    samples: Items[Candidate]
    steps: Items[str]  # of the draft


class StepScores(_Event):
    """The scores of a candidate's steps, 0..1 each."""

    event: Literal["scores"] = "scores"
    candidate: int  # its index in `candidates`
    scores: Items[float]


class FirstError(_Event):
    """The first step of the draft that a verifier refutes, else the first scored below `threshold`.

    None when there is none. `critique` is the marked draft, as the local refiner reads it.
    """

    event: Literal["first_error"] = "first_error"
    index: int | None
    found_by: str | None = None  # "sorm", or the name of the verifier
    threshold: float
    critique: str | None


class RefinedDelta(_Event):
    """Text that was added to a refinement, to the local one after its prefix."""

    event: Literal["refined.delta"] = "refined.delta"
    kind: str  # "global_refinement", "local_refinement"
    base: int = 0  # the index in `candidates` of what is refined
    round: int = 1
    text: str


class RefinedWritten(_Event):
    """A whole refinement. One that failed after some deltas has none."""

    event: Literal["refined"] = "refined"
    candidate: Candidate
    place: int  # its index in `candidates`


class SelectedEvent(_Event):
    """Which candidate won and why."""

    event: Literal["selected"] = "selected"
    selected: Selected

    @classmethod
    def read(cls, data: str) -> Self:
        """The event from its data, which is that of `selected`."""
        return cls(selected=Selected.model_validate_json(data))


class DoneEvent(_Event):
    """The last event: the result, as `solve` gives it."""

    event: Literal["done"] = "done"
    result: SolveResult

    @classmethod
    def read(cls, data: str) -> Self:
        """The event from its data, which is that of `result`."""
        return cls(result=SolveResult.model_validate_json(data))


SolveEvent: TypeAlias = Annotated[
    DraftDelta
    | DraftWritten
    | StepScores
    | FirstError
    | RefinedDelta
    | RefinedWritten
    | SelectedEvent
    | DoneEvent,
    Field(discriminator="event"),
]

READERS: Mapping[str, Callable[[str], SolveEvent]] = MappingProxyType(
    {
        "draft.delta": DraftDelta.read,
        "draft": DraftWritten.read,
        "scores": StepScores.read,
        "first_error": FirstError.read,
        "refined.delta": RefinedDelta.read,
        "refined": RefinedWritten.read,
        "selected": SelectedEvent.read,
        "done": DoneEvent.read,
    }
)
