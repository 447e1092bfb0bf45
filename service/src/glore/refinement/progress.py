"""Progress of a question while it is being answered."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from glore.refinement.types import Action, Cost, Event, Stage, State


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
OnStageEnd: TypeAlias = Callable[[Event, Cost], None]


class StageObserver(Protocol):
    """Is there while stages run, and learns what they cost."""

    def stage(self, action: Action) -> AbstractContextManager[OnStageEnd]:
        """Around the run of an action; what it gives is called with how that ended.

        It is not called when the run is cancelled or fails with a bug.
        """
        ...
