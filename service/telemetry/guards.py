"""What the guards of the engines know, read when Prometheus asks."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.engines.breaker import Circuit


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

    @property
    def hedges(self) -> int:
        """How many calls were made once more beside themselves."""
        ...


class GuardCollector(Collector):
    """`glore_engine_circuit`, `glore_engine_retries_total` and `..._hedges_total`, by engine."""

    def __init__(self, engines: Mapping[str, Guarded]) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        """A gauge with one series for each state of each engine's circuit, and two counters."""
        circuit = GaugeMetricFamily(
            "glore_engine_circuit",
            "1 for the state in which an engine's circuit breaker stands, else 0.",
            labels=["engine", "state"],
        )
        retries = CounterMetricFamily(
            "glore_engine_retries", "Calls to an engine that were made again.", labels=["engine"]
        )
        hedges = CounterMetricFamily(
            "glore_engine_hedges",
            "Calls to an engine that were made once more while the first had not answered.",
            labels=["engine"],
        )
        for name, engine in self._engines.items():
            for state in Circuit:
                circuit.add_metric([name, state.value], float(engine.circuit is state))
            retries.add_metric([name], engine.retries)
            hedges.add_metric([name], engine.hedges)
        yield circuit
        yield retries
        yield hedges
