"""Nothing takes longer than its deadline and 100 ms, whatever an engine does with the time.

Every fault here would take longer than the deadline by itself: an engine that is too slow, one
that says half of its answer, one that says it byte by byte, or three attempts that each end late.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Final, get_args

import pytest

from glore.engines.ports import Role
from glore.refinement.types import Strategy
from loadtest.simulation.settings import Timing
from tests.service.faults.surfaces import SOLVE, STREAM, SURFACES, Surface
from tests.service.faults.world import QUICK, Observed, engines, gateway, idle, observe, run

DEADLINE_MS: Final = 1_200
SLOW: Final = Timing(first_token=0.15)  # ten times that is past the deadline
REFUSING: Final = Timing(first_token=0.002, refusal=0.5)  # three attempts are, two nearly
CROSSING: Final = {
    "hang": QUICK,
    "stall": QUICK,
    "trickle": QUICK,
    "slow": SLOW,
    "429": REFUSING,
    "reset": REFUSING,
}
NEVER_ANSWERS: Final = {"hang", "stall", "trickle", "slow"}  # in time
ASKED: Final[list[tuple[Strategy, Surface]]] = [
    *((Strategy.GLORE, surface) for surface in SURFACES),
    *((Strategy.BEST_OF_N, surface) for surface in (SOLVE, STREAM)),
]


@pytest.mark.parametrize("fault", CROSSING)
def test_no_answer_is_later_than_its_deadline(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for engine, answers in run(monkeypatch, _found(fault)).items():
        for each in answers:
            each.check_deadline()
            each.check_silence()
            if engine != "student":
                assert each.reported.status == 200
            elif fault in NEVER_ANSWERS:
                assert each.reported.status == 504
            else:
                assert each.reported.status in {503, 504}


async def _found(fault: str) -> dict[Role, list[Observed]]:
    """What is answered with the fault at each of the engines."""
    roles: tuple[Role, ...] = get_args(Role)
    found = await asyncio.gather(*(_answers(engine, fault) for engine in roles))
    return dict(zip(roles, found, strict=True))


async def _answers(engine: Role, fault: str) -> list[Observed]:
    """What is answered to all of ASKED; the engines are idle afterwards, so nothing goes on."""
    async with AsyncExitStack() as stack:
        settings, simulator = await stack.enter_async_context(
            engines(engine, fault, CROSSING[fault])
        )
        app = await stack.enter_async_context(gateway(settings))
        found = await asyncio.gather(
            *(observe(app, surface, strategy, DEADLINE_MS) for strategy, surface in ASKED)
        )
        await idle(simulator)
        if engine == "student":
            assert simulator.faults[fault] >= len(ASKED)
    return found
