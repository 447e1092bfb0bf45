import asyncio
import time
from dataclasses import replace

import pytest

from glore.engines.ports import EngineError, Generation, Lease
from glore.formats.chat import ChatPrompts
from glore.formats.writing import RoleFormats
from glore.refinement.runner import Engines
from glore.telemetry.engine_log import EngineLog
from glore.telemetry.metering import metered
from glore.telemetry.metrics import Metrics
from tests.service.fakes import FakeEngines


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"glore_engine_{name}", labels) or 0.0


async def generate(engines: Engines) -> Generation:
    return await engines.local_refiner.generate(
        "x", n=2, temperature=0.0, top_p=1.0, max_tokens=9, lease=Lease(1.0)
    )


async def test_calls_are_counted_by_role_and_answers_left_alone(engines: FakeEngines) -> None:
    metrics = Metrics()
    counted = metered(engines.engines(), metrics, EngineLog(time.monotonic))
    assert len((await generate(counted)).completions) == 2
    assert (await counted.sorm.score_steps("x", ["a"], lease=Lease(1.0))).values == (0.9,)
    assert (await counted.orm.score_outcomes("x", ["a"], lease=Lease(1.0))).values == (0.2,)
    for role in ("local_refiner", "sorm", "orm"):
        assert value(metrics, "calls_total", role=role) == 1
        assert value(metrics, "call_duration_seconds_count", role=role, outcome="ok") == 1
    assert value(metrics, "calls_total", role="student") == 0


def test_how_roles_are_prompted_is_left_alone(engines: FakeEngines) -> None:
    formats = RoleFormats(student=ChatPrompts())
    counted = metered(
        replace(engines.engines(), formats=formats), Metrics(), EngineLog(time.monotonic)
    )
    assert counted.formats is formats


async def test_errors_are_counted_by_reason_and_passed_on(engines: FakeEngines) -> None:
    metrics = Metrics()
    engines.local_refiner.fault = "overloaded"
    with pytest.raises(EngineError):
        await generate(metered(engines.engines(), metrics, EngineLog(time.monotonic)))
    assert value(metrics, "errors_total", role="local_refiner", reason="overloaded") == 1
    assert value(metrics, "calls_total", role="local_refiner") == 1


async def test_a_cancelled_call_is_no_error(engines: FakeEngines) -> None:
    metrics = Metrics()
    engines.local_refiner.hangs = True
    call = asyncio.create_task(
        generate(metered(engines.engines(), metrics, EngineLog(time.monotonic)))
    )
    await engines.local_refiner.called.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert value(metrics, "cancellations_total", role="local_refiner") == 1
    assert value(metrics, "calls_total", role="local_refiner") == 1
