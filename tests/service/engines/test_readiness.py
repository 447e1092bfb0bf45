import asyncio
import socket
from dataclasses import dataclass

import pytest

from glore.engines.breaker import Circuit
from glore.engines.readiness import EngineState, EngineStatus, ReadinessMonitor, VllmProbe
from glore.engines.vllm import VllmEngine, open_engine
from tests.service.engines.fake_vllm import FakeVllm
from tests.service.fakes import FakeProbe

LIMIT_S = 30.0  # generous, for machines that are busy
MODELS = {"object": "list", "data": [{"id": "student", "object": "model"}, {"id": "orm"}]}


def healthy(server: FakeVllm) -> None:
    server.sends("/health", b"")
    server.gives("/v1/models", MODELS)


async def test_an_engine_that_is_healthy_and_serves_the_names_is_ready(
    server: FakeVllm, engine: VllmEngine
) -> None:
    healthy(server)
    assert await VllmProbe(engine, ["student", "orm", "orm"], LIMIT_S).check() == EngineStatus(
        EngineState.READY
    )
    assert all(headers["Authorization"] == "Bearer top-secret" for headers in server.headers)


async def test_names_that_are_not_served_are_reported(server: FakeVllm, engine: VllmEngine) -> None:
    healthy(server)
    status = await VllmProbe(engine, ["student", "sorm", "global_refiner"], LIMIT_S).check()
    assert status == EngineStatus(EngineState.MISSING_MODELS, ("global_refiner", "sorm"))


@pytest.mark.parametrize(
    ("path", "body", "status", "state"),
    [
        ("/health", b"", 503, EngineState.STARTING),
        ("/health", b"", 500, EngineState.FAILED),
        ("/health", b"", 404, EngineState.FAILED),
        ("/v1/models", b"", 401, EngineState.UNAUTHORIZED),
        ("/v1/models", b"", 403, EngineState.UNAUTHORIZED),
        ("/v1/models", b"garbage", 200, EngineState.FAILED),
        ("/v1/models", b'{"data": [{"id": 7}]}', 200, EngineState.FAILED),
    ],
)
async def test_each_fault_has_a_state(
    server: FakeVllm, engine: VllmEngine, path: str, body: bytes, status: int, state: EngineState
) -> None:
    healthy(server)
    server.sends(path, body, status)
    assert (await VllmProbe(engine, ["student"], LIMIT_S).check()).state is state


async def test_a_silent_engine_is_unresponsive(server: FakeVllm, engine: VllmEngine) -> None:
    server.hangs("/health")
    status = await VllmProbe(engine, ["student"], timeout=0.05).check()
    assert status.state is EngineState.UNRESPONSIVE


async def test_no_connection_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with open_engine(url, api_key=None, timeout=30.0) as engine:
            status = await VllmProbe(engine, ["student"], LIMIT_S).check()
    assert status.state is EngineState.UNREACHABLE


async def test_a_round_of_probes_is_remembered_and_shared() -> None:
    now = 0.0
    probes = {"generation": FakeProbe(), "scoring": FakeProbe()}
    readiness = ReadinessMonitor(probes, lambda: now, ttl=1.0)
    first, second = await asyncio.gather(readiness.check(), readiness.check())
    assert first == second == {name: EngineStatus(EngineState.READY) for name in probes}
    assert [probe.checks for probe in probes.values()] == [1, 1]
    now = 0.9
    await readiness.check()
    assert probes["scoring"].checks == 1
    now = 1.0
    probes["scoring"].status = EngineStatus(EngineState.UNREACHABLE)
    assert (await readiness.check())["scoring"].state is EngineState.UNREACHABLE


@dataclass
class RestCounter:
    """Counts how often its rest was ended."""

    circuit: Circuit = Circuit.OPEN
    ended: int = 0

    def end_rest(self) -> None:
        self.ended += 1


async def test_roles_of_an_engine_that_becomes_ready_rest_no_longer() -> None:
    now = 0.0
    probes = {"generation": FakeProbe(), "scoring": FakeProbe()}
    student, orm = RestCounter(), RestCounter()
    readiness = ReadinessMonitor(
        probes,
        lambda: now,
        guards={"student": student, "orm": orm},
        roles={"generation": ["student"], "scoring": ["orm"]},
    )
    states = ["ready", "ready", "unreachable", "starting", "ready", "ready"]
    ended = []
    for state in states:
        now += 1.0
        probes["scoring"].status = EngineStatus(EngineState(state))
        await readiness.check()
        ended.append(orm.ended)
    assert ended == [0, 0, 0, 0, 1, 1]
    assert student.ended == 0


async def test_engines_are_watched_only_while_a_circuit_is_open() -> None:
    probe, orm = FakeProbe(), RestCounter(Circuit.CLOSED)
    now = 0.0
    slept: list[int] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(probe.checks)
        if len(slept) == 3:
            orm.circuit = Circuit.OPEN
        if len(slept) == 6:
            raise asyncio.CancelledError

    readiness = ReadinessMonitor({"scoring": probe}, lambda: now, guards={"orm": orm})
    with pytest.raises(asyncio.CancelledError):
        await readiness.watch(sleep)
    assert slept == [0, 0, 0, 1, 2, 3]
