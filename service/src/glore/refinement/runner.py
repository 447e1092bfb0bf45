"""Carries out what the policy says: engine calls side by side, within one budget."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from glore.refinement.budget import SpareBudget
from glore.refinement.calls import Engines, StageRunner
from glore.refinement.caps import spare_calls, spare_tokens
from glore.refinement.judging import ErrorLocation, critique_of, first_error
from glore.refinement.policy import advance, useless
from glore.refinement.progress import OnProgress, StageDone, StageObserver
from glore.refinement.state import apply
from glore.refinement.types import (
    TIMED_OUT,
    Action,
    Candidate,
    Cost,
    Degradation,
    Event,
    Finish,
    Job,
    Selection,
    Stage,
    State,
)

__all__ = ["Engines", "NoDraftError", "Solved", "refine"]


class NoDraftError(Exception):
    """There is no draft, so there is no answer. `missing` says why and is safe for clients.

    `state` is where the request ended; its costs are what it used.
    """

    def __init__(self, missing: Degradation, state: State) -> None:
        super().__init__(f"no draft: {missing.reason}")
        self.reason = missing.reason
        self.explanation = missing.explanation
        self.state = state

    @property
    def timed_out(self) -> bool:
        """Whether time ran out (504), rather than an engine failing (503)."""
        return self.reason in TIMED_OUT


@dataclass(frozen=True, slots=True)
class Solved:
    """How a question was answered: the last state, the winner, and the whole time in seconds."""

    state: State
    selection: Selection
    seconds: float

    @property
    def draft(self) -> Candidate:
        """The first candidate: what the refinements started from."""
        return self.state.candidates[0]

    @property
    def selected(self) -> Candidate:
        """The winner; its solution and answer are the response's."""
        return self.state.candidates[self.selection.candidate]

    @property
    def first_error(self) -> ErrorLocation | None:
        """The first wrong step of the draft, as far as it was found."""
        return first_error(self.state)

    @property
    def critique(self) -> str | None:
        """The draft with `[BAD]` before its first error, None when no error was found."""
        return critique_of(self.state)


async def refine(
    job: Job,
    engines: Engines,
    clock: Callable[[], float],
    on_progress: OnProgress | None = None,
    *,
    request_id: str | None = None,
    observer: StageObserver | None = None,
    start: State | None = None,
) -> Solved:
    """Answer one question within its budget.

    `clock` gives monotonic seconds. `on_progress` gets the draft and the refinements as they are
    written (the engines then stream), and every event once it has been applied. The ids of engine
    calls begin with `request_id`. `observer` is around every stage. With `start`, work goes on from
    a state of the same question, whatever its job was.

    Raises NoDraftError. Cancelling it cancels every engine call in flight. Anything an engine
    raises that is no EngineError is a bug and propagates, in an ExceptionGroup.
    """
    calls = StageRunner(job, engines, clock, on_progress, request_id=request_id)
    state = replace(start or State(job), job=job, ranked_singly=engines.ranked_singly)
    running: dict[asyncio.Task[tuple[Event, Cost]], Action] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            state, actions = advance(_with_reserved(state, calls.spare))
            calls.spare.calls, calls.spare.tokens = spare_calls(state), spare_tokens(state)
            match actions:
                case (Finish(selection=selection),):
                    break
                case _:
                    for action in actions:
                        work = calls.perform(action, state)
                        if observer is not None:
                            work = _observed(work, action, observer)
                        running[group.create_task(work)] = action
            unneeded = useless(state)
            for task, action in running.items():
                if action in unneeded:
                    calls.stop(action, task)
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                del running[task]
                event, cost = task.result()
                state = apply(state, event, cost)
                if on_progress is not None:
                    on_progress(StageDone(event, state))
    if selection is None:
        missing = [each for each in state.degraded if each.stage is Stage.DRAFT]
        raise NoDraftError(missing[-1], state)  # missing samples were reported before
    return Solved(state=state, selection=selection, seconds=calls.elapsed())


def _with_reserved(state: State, spare: SpareBudget) -> State:
    """The state with what actions in flight have reserved."""
    return replace(
        state, reserved_calls=spare.reserved_calls, reserved_tokens=spare.reserved_tokens
    )


async def _observed(
    work: Coroutine[Any, Any, tuple[Event, Cost]], action: Action, observer: StageObserver
) -> tuple[Event, Cost]:
    """The work on an action, with the observer around it."""
    with observer.stage(action) as ended:
        event, cost = await work
        ended(event, cost)
        return event, cost
