"""Every fault of every engine under every strategy, however it is asked: see `table`."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

import pytest
from starlette.types import ASGIApp

from loadtest.simulation.settings import FAULTS
from service.engines.breaker import UNWELL
from service.engines.ports import Role
from service.refinement.types import Strategy
from service.settings import Families, RoleTimeouts, Settings
from tests.service.faults.surfaces import BATCH, CHAT, CHAT_STREAM, SOLVE, STREAM, Surface, Told
from tests.service.faults.table import IMPOSSIBLE, LATE, REASONS, expected
from tests.service.faults.world import (
    DEFAULTS,
    OTHERS,
    PATIENCE_MS,
    TRAINED,
    Observed,
    engines,
    gateway,
    idle,
    observe,
)
from tests.service.lateness import watched

# Deadlines where an engine is waited for in vain; the second for a machine that is too busy.
LATE_MS: Final = (4_000, 30_000)
LATE_SHARE: Final = 0.2  # of it, that a role has: before its request's own time can be up
APART_S: Final = 0.3  # then the engines' turns come so far apart: not all deadlines at once
BUSY_S: Final = 0.3  # the loop was late by: less than the time that is kept for reranking
Asked: TypeAlias = list[tuple[Strategy, tuple[Surface, ...]]]
ASKED: Final[Asked] = [
    *((strategy, (SOLVE, STREAM)) for strategy in Strategy),
    (Strategy.GLORE, (CHAT, CHAT_STREAM)),  # a third that asks the ORM twice opens its circuit
    (Strategy.GLORE, (BATCH,)),
]
ASKED_OF_OTHERS: Final[Asked] = [  # two that ask the ORM for each candidate open its circuit
    (strategy, (surface,)) for strategy in Strategy for surface in (SOLVE, STREAM)
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a question, and what ought to have been."""

    name: str
    strategy: Strategy
    observed: Observed
    expected: str

    @property
    def as_expected(self) -> bool:
        """Whether it is in the table like this."""
        return self.observed.told.line == self.expected


def test_the_table_knows_every_fault() -> None:
    assert set(REASONS) == set(FAULTS)


@pytest.mark.parametrize("fault", REASONS)
async def test_what_a_fault_costs(fault: str) -> None:
    await _check(fault, TRAINED, ASKED)


@pytest.mark.parametrize("fault", REASONS)
async def test_what_it_costs_with_other_peoples_models(fault: str) -> None:
    """Writers that chat, and an ORM that is asked for each candidate by itself."""
    await _check(fault, OTHERS, ASKED_OF_OTHERS)


async def _check(fault: str, families: Families, asked: Asked) -> None:
    answers: list[Answer] = []
    for deadline_ms in LATE_MS if fault in LATE else (PATIENCE_MS,):
        answers = await _asked(fault, deadline_ms, families, asked)
        for each in answers:
            _check_parts(each.observed.told, each.strategy)
            each.observed.check_silence()
            each.observed.check_deadline()
        busy = any(each.observed.busy > BUSY_S for each in answers)
        if not busy or all(each.as_expected for each in answers):
            break
    assert {each.name: each.observed.told.line for each in answers} == {
        each.name: each.expected for each in answers
    }


async def _asked(fault: str, deadline_ms: int, families: Families, ways: Asked) -> list[Answer]:
    """All that is answered with the fault at each of the engines."""
    roles: tuple[Role, ...] = get_args(Role)
    asked = [engine for engine in roles if (engine, fault) not in IMPOSSIBLE]
    all_there = asyncio.Barrier(len(asked))
    apart = APART_S if fault in LATE else 0.0
    seconds = LATE_SHARE * deadline_ms / 1000
    others = dict.fromkeys(("sorm", "orm", "global_refiner", "local_refiner"), seconds)
    timeouts = RoleTimeouts.model_validate(others) if fault in LATE else DEFAULTS

    async def ask(place: int, engine: Role) -> list[Answer]:
        async with AsyncExitStack() as stack:
            settings, simulator = await stack.enter_async_context(
                engines(engine, fault, families=families, timeouts=timeouts)
            )
            apps = await _gateways(stack, settings, fault, len(ways))
            await all_there.wait()
            await asyncio.sleep(apart * place)
            answers = await _answers(apps, ways, engine, fault, deadline_ms)
            await idle(simulator)
        return answers

    found = await asyncio.gather(*(ask(place, engine) for place, engine in enumerate(asked)))
    return [answer for answers in found for answer in answers]


async def _answers(
    apps: Sequence[ASGIApp], asked: Asked, engine: Role, fault: str, deadline_ms: int
) -> list[Answer]:
    """What is answered to all that is asked; a gateway for each line of it."""
    ways = [
        (app, strategy, surface)
        for app, (strategy, surfaces) in zip(apps, asked, strict=True)
        for surface in surfaces
    ]
    async with watched() as lateness:
        found = await asyncio.gather(
            *(
                observe(app, surface, strategy, deadline_ms, lateness)
                for app, strategy, surface in ways
            )
        )
    return [
        Answer(
            f"{engine}, {strategy}, {surface.name}",
            strategy,
            observed,
            expected(engine, fault, strategy),
        )
        for (_, strategy, surface), observed in zip(ways, found, strict=True)
    ]


async def _gateways(
    stack: AsyncExitStack, settings: Settings, fault: str, count: int
) -> list[ASGIApp]:
    """So many; a new one each where all failures together open a circuit."""
    alone = count if fault in LATE or REASONS[fault] in UNWELL else 1
    found = [await stack.enter_async_context(gateway(settings)) for _ in range(alone)]
    return found if alone > 1 else found * count


def _check_parts(told: Told, strategy: Strategy) -> None:
    """The parts of the answer fit together."""
    answer = told.answer
    if answer is None:
        return
    assert answer.strategy is strategy
    chosen = answer.candidates[answer.selected.candidate]
    assert (chosen.kind, chosen.solution) == (answer.selected.kind, answer.solution)
    scores = [candidate.outcome_score for candidate in answer.candidates]
    if answer.selected.reason == "outcome_score":
        assert chosen.outcome_score == max(score for score in scores if score is not None)
    else:  # at most the draft was scored while it was refined
        draft, *others = answer.candidates
        assert None in scores or not others
        assert {each.outcome_score for each in others if each.solution != draft.solution} <= {None}
