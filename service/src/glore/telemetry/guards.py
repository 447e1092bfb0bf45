"""What is known of the engines, read when Prometheus asks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from glore.engines.breaker import Circuit
from glore.engines.ports import Role
from glore.engines.readiness import EngineState, EngineStatus


class HasCircuit(Protocol):
    """An engine behind a breaker and retries."""

    @property
    def circuit(self) -> Circuit:
        """Where its breaker stands."""
        ...

    @property
    def retries(self) -> int:
        """How many calls were made again."""
        ...

    @property
    def openings(self) -> int:
        """How often its circuit has opened."""
        ...


class GuardCollector(Collector):
    """The circuit of each role, how often it opened, and its retries."""

    def __init__(self, engines: Mapping[Role, HasCircuit]) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        """A gauge with one series for each state of each role's circuit, and two counters."""
        circuit = GaugeMetricFamily(
            "glore_engine_circuit",
            "1 for the state in which the circuit breaker of a role stands, else 0.",
            labels=["role", "state"],
        )
        openings = CounterMetricFamily(
            "glore_engine_circuit_openings",
            "How often the circuit breaker of a role has opened.",
            labels=["role"],
        )
        retries = CounterMetricFamily(
            "glore_engine_retries", "Calls to an engine that were made again.", labels=["role"]
        )
        for role, engine in self._engines.items():
            for state in Circuit:
                circuit.add_metric([role, state.value], float(engine.circuit is state))
            openings.add_metric([role], engine.openings)
            retries.add_metric([role], engine.retries)
        yield circuit
        yield openings
        yield retries


class EngineCollector(Collector):
    """The state of each engine's server as `statuses` has it; none before its first probe."""

    def __init__(self, statuses: Callable[[], Mapping[str, EngineStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """Whether it is ready, and a series for each state."""
        up = GaugeMetricFamily(
            "glore_engine_up",
            "1 if the last probe found the engine ready, else 0.",
            labels=["engine"],
        )
        states = GaugeMetricFamily(
            "glore_engine_state",
            "1 for the state in which the last probe found the engine, else 0.",
            labels=["engine", "state"],
        )
        for name, status in self._statuses().items():
            up.add_metric([name], float(status.state is EngineState.READY))
            for state in EngineState:
                states.add_metric([name, state.value], float(status.state is state))
        yield up
        yield states
