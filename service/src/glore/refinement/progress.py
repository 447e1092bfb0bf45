"""Progress of a question while it is being answered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from glore.refinement.types import Event, Stage, State


@dataclass(frozen=True, slots=True)
class Delta:
    """Text, never empty, that a stage has just written: the draft or one of the refinements.

    All deltas of a stage together are what its model wrote: not yet stripped or read as its
    family is, and for the local refinement without the prefix that it keeps. A stage may fail
    after its deltas.
    """

    stage: Stage
    text: str
    base: int = 0  # of a refinement: the index of what is refined
    round: int = 1


@dataclass(frozen=True, slots=True)
class StageDone:
    """An event, and the state after it."""

    event: Event
    state: State


ProgressItem: TypeAlias = Delta | StageDone
OnProgress: TypeAlias = Callable[[ProgressItem], None]  # called in the event loop; never blocks
