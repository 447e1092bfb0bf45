"""An engine that accepts and never answers: what it costs the others, in virtual time.

Clients ask one question after the other, and engines take fixed times. How fast this machine is
changes nothing: what is compared are the questions that are finished in the same seconds.
"""

import asyncio
from typing import Any, Final

import httpx2
import pytest
from fastapi import FastAPI

from glore.engines.ports import Role
from glore.refinement.types import Strategy
from glore.role_settings import RoleTimeouts
from tests.service.virtual import run
from tests.service.virtual_engines import SECONDS, VirtualEngines, closed_loop, gateway

SLOTS: Final = 32
DEADLINE: Final = 10.0
QUESTION: Final = 0.35  # seconds of one
LEAST: Final = 2 / 3  # of the questions that are finished while nothing hangs
OTHERS: Final[list[Role]] = ["sorm", "orm", "global_refiner", "local_refiner"]
GLORE, DRAFT = Strategy.GLORE, Strategy.DRAFT


async def finished(
    monkeypatch: pytest.MonkeyPatch, hung: Role, deadline: float, before: float, seconds: float
) -> int:
    """How many questions are finished in so many seconds, from the moment when the role hangs on.

    `before` it, so many seconds of questions were answered.
    """
    engines = VirtualEngines()
    async with gateway(engines, monkeypatch, max_running=SLOTS) as app:
        if before:
            await closed_loop(app, before, {GLORE: SLOTS}, deadline)
        engines.hung = {hung}
        found = await closed_loop(app, seconds, {GLORE: SLOTS}, deadline)
    return len(found[GLORE].seconds)


def test_a_question_takes_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with gateway(VirtualEngines(), monkeypatch, max_running=SLOTS) as app:
            found = await closed_loop(app, 3.0, {GLORE: SLOTS}, DEADLINE)
        assert found[GLORE].seconds == [pytest.approx(QUESTION)] * len(found[GLORE].seconds)

    run(test())


@pytest.mark.parametrize(
    ("role", "before", "deadline", "seconds"),
    [
        ("sorm", 0.0, DEADLINE, 8.0),
        ("sorm", 1.0, 60.0, 8.0),
        ("orm", 1.0, DEADLINE, 8.0),
        ("orm", 0.0, 60.0, 12.0),
        ("global_refiner", 0.0, DEADLINE, 8.0),
        ("global_refiner", 1.0, 60.0, 8.0),
        ("local_refiner", 1.0, DEADLINE, 8.0),
        ("local_refiner", 0.0, 60.0, 12.0),
    ],
)
def test_a_role_that_hangs_costs_a_third_of_all_answers_at_most(
    monkeypatch: pytest.MonkeyPatch, role: Role, before: float, deadline: float, seconds: float
) -> None:
    """Whether it has ever answered or not, the time until it is noticed included."""
    healthy = SLOTS * int(seconds / QUESTION)
    assert run(finished(monkeypatch, role, deadline, before, seconds)) >= LEAST * healthy


@pytest.mark.parametrize("role", OTHERS)
def test_drafts_beside_a_role_that_hangs_are_answered_as_ever(
    monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    async def test() -> None:
        engines = VirtualEngines(hung={role})
        async with gateway(engines, monkeypatch, max_running=SLOTS) as app:
            found = await closed_loop(app, 4.6, {GLORE: SLOTS - 2, DRAFT: 2}, DEADLINE)
        assert len(found[DRAFT].seconds) == 2 * int(4.6 / SECONDS["student"])
        assert max(found[DRAFT].seconds) == pytest.approx(SECONDS["student"])
        assert not found[DRAFT].degraded

    run(test())


async def readiness(app: FastAPI) -> dict[str, Any]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        body: dict[str, Any] = (await client.get("/readyz")).json()
    return body


@pytest.mark.parametrize("role", OTHERS)
def test_a_gateway_is_degraded_as_long_as_a_role_hangs_and_ready_after(
    monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    async def test() -> None:
        engines = VirtualEngines()
        async with gateway(engines, monkeypatch, max_running=SLOTS) as app:
            requesting = asyncio.create_task(closed_loop(app, 30.0, {GLORE: 2}, DEADLINE))
            await asyncio.sleep(1.0)
            assert (await readiness(app))["status"] == "ready"
            engines.hung = {role}
            await asyncio.sleep(9.0)
            for _ in range(18):  # while it rests, and while it is tried
                state = await readiness(app)
                assert state["status"] == "degraded"
                assert state["circuits"].keys() == {role}
                await asyncio.sleep(0.5)
            engines.hung = set()
            await asyncio.sleep(9.0)
            state = await readiness(app)
            assert state["status"] == "ready"
            assert "circuits" not in state
            await requesting

    run(test())


@pytest.mark.parametrize(
    ("role", "before"),
    [("sorm", 0.0), ("orm", 1.0), ("global_refiner", 0.0), ("local_refiner", 1.0)],
)
def test_a_role_that_is_ten_times_as_slow_trips_nothing(
    monkeypatch: pytest.MonkeyPatch, role: Role, before: float
) -> None:
    async def test() -> None:
        engines = VirtualEngines()
        async with gateway(engines, monkeypatch, max_running=SLOTS) as app:
            if before:
                await closed_loop(app, before, {GLORE: SLOTS}, DEADLINE)
            engines.seconds[role] *= 10
            found = await closed_loop(app, 6.0, {GLORE: SLOTS}, DEADLINE)
            assert (await readiness(app))["status"] == "ready"
        assert found[GLORE].seconds
        assert not found[GLORE].degraded

    run(test())


def test_a_setting_is_how_long_a_role_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        engines = VirtualEngines(hung={"orm"})
        timeouts = RoleTimeouts(orm=0.5)
        async with gateway(engines, monkeypatch, timeouts=timeouts) as app:
            found = await closed_loop(app, 3.0, {Strategy.BEST_OF_N: 1}, 60.0)
            seconds = found[Strategy.BEST_OF_N].seconds
            assert seconds[0] == pytest.approx(SECONDS["student"] + 0.5 + SECONDS["sorm"])
            assert found[Strategy.BEST_OF_N].degraded["rerank:timeout"] >= 2
            assert (await readiness(app))["circuits"] == {"orm": "open"}

    run(test())


def test_an_engine_that_is_ready_again_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes find out, also where nobody asks whether the gateway is ready."""

    async def test() -> None:
        engines = VirtualEngines(hung={"sorm", "orm"})
        async with gateway(engines, monkeypatch) as app:
            await closed_loop(app, 60.0, {GLORE: 4}, DEADLINE)
            engines.healthy = False
            await asyncio.sleep(3.0)
            engines.healthy, engines.hung = True, set()
            assert app.state.context.readiness.circuits()["sorm"] == "open"
            await asyncio.sleep(1.1)
            found = await closed_loop(app, 1.0, {GLORE: 1}, DEADLINE)
            assert not found[GLORE].degraded

    run(test())
