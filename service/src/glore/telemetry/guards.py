"""What the guards of the engines know, read when Prometheus asks."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from glore.engines.breaker import Circuit
from glore.engines.ports import Role


class Guarded(Protocol):
    """An engine behind a breaker and retries."""

    @property
    def circuit(self) -> Circuit:
        """Where its breaker stands."""
        ...

    @property
    def retries(self) -> int:
        """How many calls were made again."""
        ...


class GuardCollector(Collector):
    """`glore_engine_circuit` and `glore_engine_retries_total`, by role."""

    def __init__(self, engines: Mapping[Role, Guarded]) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        """A gauge with one series for each state of each role's circuit, and a counter."""
        circuit = GaugeMetricFamily(
            "glore_engine_circuit",
            "1 for the state in which the circuit breaker of a role stands, else 0.",
            labels=["role", "state"],
        )
        retries = CounterMetricFamily(
            "glore_engine_retries", "Calls to an engine that were made again.", labels=["role"]
        )
        for role, engine in self._engines.items():
            for state in Circuit:
                circuit.add_metric([role, state.value], float(engine.circuit is state))
            retries.add_metric([role], engine.retries)
        yield circuit
        yield retries
