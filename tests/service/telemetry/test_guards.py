"""Circuits and retries as Prometheus reads them."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from service.engines.breaker import Circuit
from service.telemetry.guards import GuardCollector


@dataclass
class FakeGuard:
    circuit: Circuit
    retries: int
    hedges: int


def test_every_state_of_every_engine_has_a_series() -> None:
    guards = {
        "generation": FakeGuard(Circuit.OPEN, 3, 2),
        "scoring": FakeGuard(Circuit.CLOSED, 0, 0),
    }
    registry = CollectorRegistry()
    registry.register(GuardCollector(guards))
    text = generate_latest(registry).decode()
    assert 'glore_engine_circuit{engine="generation",state="open"} 1.0' in text
    assert 'glore_engine_circuit{engine="generation",state="closed"} 0.0' in text
    assert 'glore_engine_circuit{engine="scoring",state="closed"} 1.0' in text
    assert 'glore_engine_retries_total{engine="generation"} 3.0' in text
    assert 'glore_engine_hedges_total{engine="generation"} 2.0' in text
    guards["generation"].circuit = Circuit.HALF_OPEN  # read anew at every scrape
    text = generate_latest(registry).decode()
    assert 'glore_engine_circuit{engine="generation",state="half_open"} 1.0' in text
