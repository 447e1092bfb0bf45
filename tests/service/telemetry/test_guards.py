"""Circuits and retries as Prometheus reads them."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from glore.engines.breaker import Circuit
from glore.engines.ports import Role
from glore.telemetry.guards import GuardCollector


@dataclass
class FakeGuard:
    circuit: Circuit
    retries: int
    openings: int = 0


def exposed(guards: Mapping[Role, FakeGuard]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(GuardCollector(guards))
    return registry


def test_every_state_of_every_role_has_a_series() -> None:
    student = FakeGuard(Circuit.OPEN, 3)
    registry = exposed({"student": student, "sorm": FakeGuard(Circuit.CLOSED, 0)})
    text = generate_latest(registry).decode()
    assert 'glore_engine_circuit{role="student",state="open"} 1.0' in text
    assert 'glore_engine_circuit{role="student",state="closed"} 0.0' in text
    assert 'glore_engine_circuit{role="sorm",state="closed"} 1.0' in text
    assert 'glore_engine_retries_total{role="student"} 3.0' in text
    student.circuit = Circuit.HALF_OPEN  # read anew at every scrape
    text = generate_latest(registry).decode()
    assert 'glore_engine_circuit{role="student",state="half_open"} 1.0' in text
