"""When requests are due. The times follow from phases and a seed, never from answers."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a profile. Arrivals per second go evenly from `rate` to `end`, or stay."""

    name: str
    seconds: float
    rate: float
    end: float | None = None

    def rate_at(self, second: float) -> float:
        """Arrivals per second, so many seconds after the phase has begun."""
        end = self.rate if self.end is None else self.end
        return self.rate + (end - self.rate) * second / self.seconds


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that is due `due` seconds after the start."""

    id: int
    due: float
    phase: str


def arrivals(phases: Sequence[Phase], seed: int) -> list[Arrival]:
    """All arrivals in order: a Poisson process with the rates of the phases."""
    times = random.Random(seed)
    found: list[Arrival] = []
    begin = 0.0
    for phase in phases:
        for second in _poisson(phase, times):
            found.append(Arrival(len(found), begin + second, phase.name))
        begin += phase.seconds
    return found


def _poisson(phase: Phase, times: random.Random) -> Iterator[float]:
    """Seconds of the phase: drawn at its highest rate, and thinned where the rate is lower."""
    highest = max(phase.rate, phase.rate_at(phase.seconds))
    second = times.expovariate(highest)
    while second < phase.seconds:
        if times.random() * highest < phase.rate_at(second):
            yield second
        second += times.expovariate(highest)


def question(arrival: Arrival, seed: int) -> str:
    """A word problem that differs from those of the other arrivals."""
    numbers = random.Random(f"{seed}-{arrival.id}")
    boxes, pens, given = numbers.randint(3, 30), numbers.randint(3, 30), numbers.randint(1, 8)
    return (
        f"Order {arrival.id}: Tom has {boxes} boxes with {pens} pens each. "
        f"He gives away {given} pens. How many pens are left?"
    )
