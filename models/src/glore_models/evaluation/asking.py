"""Asks a running service many questions, a bounded number at a time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from glore_client import (
    APITimeoutError,
    GatewayTimeout,
    GloreError,
    InternalServerError,
    RateLimited,
    Sampling,
    ServiceUnavailable,
    SolveResult,
    Strategy,
    UnprocessableEntity,
)
from glore_models.data.problems import Problem
from glore_models.evaluation.journal import Entry, Journal

# What may befall one question and not the next. Anything else ends the run.
_FAILURES = (
    APITimeoutError,
    GatewayTimeout,
    InternalServerError,
    RateLimited,
    ServiceUnavailable,
    UnprocessableEntity,
)


class Solver(Protocol):
    """What is asked: `glore_client.AsyncClient`, or a fake."""

    async def solve(
        self,
        question: str,
        *,
        strategy: Strategy = "glore",
        sampling: Sampling | None = None,
        deadline: float = 60.0,
        rounds: int | None = None,
        verify: bool | None = None,
        correct: bool | None = None,
    ) -> SolveResult:
        """Raises GloreError."""
        ...


@dataclass(frozen=True, slots=True)
class AskSettings:
    """How every question is asked; `deadline` in seconds, `candidates` is best_of_n's n.

    What is None is left to the gateway.
    """

    sampling: Sampling
    candidates: int
    deadline: float
    concurrency: int
    rounds: int | None = None
    verify: bool | None = None
    correct: bool | None = None

    def sampling_of(self, strategy: Strategy) -> Sampling:
        """What is sent: the gateway refuses `n` beside another strategy than best_of_n."""
        if strategy == "best_of_n":
            return self.sampling.model_copy(update={"n": self.candidates})
        return self.sampling


async def ask_all(
    solver: Solver,
    problems: Sequence[Problem],
    strategies: Sequence[Strategy],
    settings: AskSettings,
    journal: Journal,
    on_progress: Callable[[int, int], None],
) -> None:
    """Ask what the journal does not hold, problem by problem, and write it there.

    `on_progress` gets how many of how many are answered. A question that fails is written
    as failed; an error that would befall every question (nobody there, another service) is
    raised as GloreError, with what was answered kept.
    """
    everything = [(problem, strategy) for problem in problems for strategy in strategies]
    pending = [pair for pair in everything if not journal.answered(pair[0].id, pair[1])]
    done = len(everything) - len(pending)
    on_progress(done, len(everything))
    queue = iter(pending)

    async def work() -> None:
        nonlocal done
        for problem, strategy in queue:
            journal.add(await _ask(solver, problem, strategy, settings))
            done += 1
            on_progress(done, len(everything))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(settings.concurrency, len(pending))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors  # the others say the same


async def _ask(
    solver: Solver, problem: Problem, strategy: Strategy, settings: AskSettings
) -> Entry:
    try:
        result = await solver.solve(
            problem.question,
            strategy=strategy,
            sampling=settings.sampling_of(strategy),
            deadline=settings.deadline,
            rounds=settings.rounds,
            verify=settings.verify,
            correct=settings.correct,
        )
    except _FAILURES as error:
        return Entry(problem.id, strategy, None, _name(error))
    return Entry(problem.id, strategy, result)


def _name(error: GloreError) -> str:
    return f"{type(error).__name__}: {error}"
