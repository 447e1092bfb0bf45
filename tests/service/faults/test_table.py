"""Every fault of every engine under every strategy, however it is asked: see `table`."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

import pytest
from starlette.types import ASGIApp

from glore.engines.breaker import UNWELL
from glore.engines.ports import Role
from glore.refinement.types import Strategy
from glore.role_settings import Families
from glore.settings import Settings
from loadtest.simulation.settings import FAULTS
from tests.service.faults.surfaces import BATCH, CHAT, CHAT_STREAM, SOLVE, STREAM, Surface, Told
from tests.service.faults.table import IMPOSSIBLE, LATE, REASONS, expected
from tests.service.faults.world import (
    OTHERS,
    PATIENCE_MS,
    TRAINED,
    Observed,
    engines,
    gateway,
    idle,
    observe,
    run,
)

LATE_MS: Final = 1_000  # a deadline where an engine is waited for in vain
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


def test_the_table_knows_every_fault() -> None:
    assert set(REASONS) == set(FAULTS)


@pytest.mark.parametrize("fault", REASONS)
def test_what_a_fault_costs(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _check(run(monkeypatch, _requested(fault, TRAINED, ASKED)))


@pytest.mark.parametrize("fault", REASONS)
def test_what_it_costs_with_other_peoples_models(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers that chat, and an ORM that is asked for each candidate by itself."""
    _check(run(monkeypatch, _requested(fault, OTHERS, ASKED_OF_OTHERS)))


def _check(answers: Sequence[Answer]) -> None:
    for each in answers:
        _check_parts(each.observed.reported, each.strategy)
        each.observed.check_silence()
        each.observed.check_deadline()
    assert {each.name: each.observed.reported.line for each in answers} == {
        each.name: each.expected for each in answers
    }


async def _requested(fault: str, families: Families, ways: Asked) -> list[Answer]:
    """All that is answered with the fault at each of the engines."""
    roles: tuple[Role, ...] = get_args(Role)
    requested = [engine for engine in roles if (engine, fault) not in IMPOSSIBLE]
    deadline_ms = LATE_MS if fault in LATE else PATIENCE_MS

    async def ask(engine: Role) -> list[Answer]:
        async with AsyncExitStack() as stack:
            settings, simulator = await stack.enter_async_context(
                engines(engine, fault, families=families)
            )
            apps = await _gateways(stack, settings, fault, len(ways))
            answers = await _answers(apps, ways, engine, fault, deadline_ms)
            await idle(simulator)
        return answers

    found = await asyncio.gather(*map(ask, requested))
    return [answer for answers in found for answer in answers]


async def _answers(
    apps: Sequence[ASGIApp], requested: Asked, engine: Role, fault: str, deadline_ms: int
) -> list[Answer]:
    """What is answered to all that is asked; a gateway for each line of it."""
    ways = [
        (app, strategy, surface)
        for app, (strategy, surfaces) in zip(apps, requested, strict=True)
        for surface in surfaces
    ]
    found = await asyncio.gather(
        *(observe(app, surface, strategy, deadline_ms) for app, strategy, surface in ways)
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


def _check_parts(reported: Told, strategy: Strategy) -> None:
    """The parts of the answer fit together."""
    answer = reported.answer
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
