"""What the log says of engines: their faults, and the circuits that open and close."""

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from glore.engines.breaker import Circuit, CircuitChange
from glore.engines.ports import EngineError, Role

_INTERVAL_S: Final = 60.0
_MAX_FAULTS: Final = 1  # lines in an interval, for one role, reason and HTTP status
_MAX_CHANGES: Final = 20  # lines in an interval, for one role

_NO_TRACE: Final[Mapping[str, str]] = MappingProxyType({})

_log = logging.getLogger("glore.engines")


@dataclass(slots=True)
class _Interval:
    begun: float
    lines: int = 0
    left_out: int = 0


class EngineLog:
    """Writes lines at a bounded rate; `left_out` says how many are missing before a line.

    `clock` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._intervals: dict[Hashable, _Interval] = {}

    def failed(self, error: EngineError, trace_context: Mapping[str, str] = _NO_TRACE) -> None:
        """Write a warning that an engine gave no usable answer, with the id of the call's trace."""
        key = (error.role, error.reason, error.details.get("status"))
        fields = {"role": error.role, "reason": error.reason, **error.details}
        if (traceparent := trace_context.get("traceparent")) is not None:
            fields["trace_id"] = traceparent.split("-")[1]
        self._write(key, _MAX_FAULTS, logging.WARNING, "engine fault", fields)

    def changed(self, role: Role, change: CircuitChange) -> None:
        """Write what became of the circuit of a role."""
        level = logging.INFO if change.circuit is Circuit.CLOSED else logging.WARNING
        fields = {"role": role, "reason": change.reason, "rest": change.rest}
        self._write(role, _MAX_CHANGES, level, f"circuit {change.circuit.value}", fields)

    def _write(
        self, key: Hashable, most: int, level: int, event: str, fields: dict[str, object]
    ) -> None:
        now = self._clock()
        interval = self._intervals.get(key)
        left_out = 0
        if interval is None or now - interval.begun >= _INTERVAL_S:
            left_out = interval.left_out if interval else 0
            interval = self._intervals[key] = _Interval(now)
        if interval.lines >= most:
            interval.left_out += 1
            return
        interval.lines += 1
        _log.log(level, event, extra={"fields": {**fields, "left_out": left_out}})
