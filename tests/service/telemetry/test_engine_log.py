import asyncio
import logging
import time
from typing import Any

import pytest

from glore.engines.breaker import Circuit, CircuitChange
from glore.engines.ports import EngineError, Lease
from glore.telemetry.engine_log import EngineLog
from glore.telemetry.metering import metered
from glore.telemetry.metrics import Metrics
from tests.service.clock import ManualClock
from tests.service.fakes import FakeEngines


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, Any]]:
    return [
        (record.levelname, record.getMessage(), getattr(record, "fields", None))
        for record in caplog.records
        if record.name == "glore.engines"
    ]


def refused(status: int = 401, body: str = "Unauthorized") -> EngineError:
    return EngineError("sorm", "rejected", details={"status": status, "body": body})


def test_a_fault_is_a_warning_with_status_and_body(caplog: pytest.LogCaptureFixture) -> None:
    EngineLog(ManualClock()).failed(refused())
    fields = {"role": "sorm", "reason": "rejected", "status": 401, "body": "Unauthorized"}
    assert lines(caplog) == [("WARNING", "engine fault", {**fields, "left_out": 0})]


def test_faults_of_one_kind_and_role_are_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    log = EngineLog(clock)
    for each in range(1000):
        log.failed(refused(body=str(each)))
    log.failed(refused(404))
    log.failed(EngineError("orm", "rejected", details={"status": 401}))
    log.failed(EngineError("sorm", "timeout"))
    clock.now += 60.0
    log.failed(refused())
    found = [(each["role"], each["reason"], each["left_out"]) for *_, each in lines(caplog)]
    assert found == [
        ("sorm", "rejected", 0),
        ("sorm", "rejected", 0),
        ("orm", "rejected", 0),
        ("sorm", "timeout", 0),
        ("sorm", "rejected", 999),
    ]


def test_circuits_that_open_and_close_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "glore")
    log = EngineLog(ManualClock())
    log.changed("orm", CircuitChange(Circuit.OPEN, "unreachable", 2.0))
    log.changed("orm", CircuitChange(Circuit.CLOSED, "the trial was answered"))
    opened, closed = lines(caplog)
    assert opened == (
        "WARNING",
        "circuit open",
        {"role": "orm", "reason": "unreachable", "rest": 2.0, "left_out": 0},
    )
    assert closed[:2] == ("INFO", "circuit closed")


def test_a_circuit_that_flaps_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "glore")
    log = EngineLog(ManualClock())
    for _ in range(500):
        log.changed("orm", CircuitChange(Circuit.OPEN, "calls are late"))
        log.changed("orm", CircuitChange(Circuit.CLOSED, "calls are no longer late"))
    assert len(lines(caplog)) == 20


@pytest.mark.parametrize(("stopped_by", "warnings"), [("deadline", 1), ("client", 0)])
async def test_a_call_that_the_deadline_ends_is_a_timeout(
    engines: FakeEngines, caplog: pytest.LogCaptureFixture, stopped_by: str, warnings: int
) -> None:
    engines.student.hangs = True
    student = metered(engines.engines(), Metrics(), EngineLog(time.monotonic)).student
    timeout = 0.02 if stopped_by == "deadline" else 30.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await student.generate(
                "x", n=1, temperature=0.0, top_p=1.0, max_tokens=9, lease=Lease(timeout)
            )
    found = [(each["role"], each["reason"]) for *_, each in lines(caplog)]
    assert found == [("student", "timeout")] * warnings
