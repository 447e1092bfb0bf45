"""Engine calls in the metrics, and their faults in the log."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from glore.engines.ports import EngineError, Role
from glore.formats.writing import OnText
from glore.refinement.runner import Engines
from glore.telemetry.engine_log import EngineLog
from glore.telemetry.metrics import Metrics
from glore.telemetry.observing import PortCall, observed
from glore.telemetry.overhead import time_away

_NEARLY: Final = 0.99  # of its time: a call that is cancelled after it has run out of time


def metered(engines: Engines, metrics: Metrics, log: EngineLog) -> Engines:
    """The same engines; calls are counted and faults are logged."""

    @contextmanager
    def counted(call: PortCall) -> Iterator[None]:
        role, timeout = call.role, call.lease.timeout
        start = time.perf_counter()
        if call.on_text is not None:
            call.on_text = _timed(call.on_text, role, metrics)
        metrics.engine_calls.labels(role).inc()
        away, outcome = time_away(), "ok"
        if away is not None:
            away.begin()
        try:
            yield
        except EngineError as error:
            outcome = "error"
            metrics.engine_errors.labels(role, error.reason).inc()
            log.failed(error, call.lease.trace_context)
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            metrics.engine_cancellations.labels(role).inc()
            if time.perf_counter() - start >= _NEARLY * timeout:
                log.failed(_late(role, timeout), call.lease.trace_context)
            raise
        finally:
            if away is not None:
                away.end()
            seconds = time.perf_counter() - start
            metrics.engine_seconds.labels(role, outcome).observe(seconds)

    return observed(engines, counted)


def _timed(on_text: OnText, role: Role, metrics: Metrics) -> OnText:
    """`on_text`, which notes when the first text of a call that begins now has come."""
    start, noted = time.perf_counter(), False

    def note(text: str) -> bool | None:
        nonlocal noted
        if not noted:
            noted = True
            seconds = time.perf_counter() - start
            metrics.engine_first_token_seconds.labels(role).observe(seconds)
        return on_text(text)

    return note


def _late(role: Role, timeout: float) -> EngineError:
    problem = f"no answer in the {timeout:.1f} s that were left of the request's deadline"
    return EngineError(role, "timeout", details={"problem": problem})
