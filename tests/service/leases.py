"""A lease that grants what a test says."""

from dataclasses import dataclass, field, replace

from glore.engines.ports import Lease


@dataclass
class Reported:
    """What a call asked of its lease, and what it reported."""

    requested: list[tuple[int, bool]] = field(
        default_factory=list
    )  # how many, and whether repeated
    tokens: int = 0
    refunded: int = 0


@dataclass
class FakeLease(Lease):
    """Grants so many calls, of which so many may repeat work; notes what is asked and reported."""

    timeout: float = 60.0
    of_request: float = 60.0  # the deadline
    calls: int = 0
    repeats: int = 0
    reported: Reported = field(default_factory=Reported)

    @property
    def deadline(self) -> float:
        return self.of_request

    def within(self, seconds: float) -> "FakeLease":
        return replace(self, timeout=seconds)

    def reserve_calls(self, count: int = 1, *, repeated: bool = False) -> bool:
        self.reported.requested.append((count, repeated))
        if count > self.calls or (repeated and count > self.repeats):
            return False
        self.calls -= count
        self.repeats -= count * repeated
        return True

    def refund_call(self) -> None:
        self.reported.refunded += 1

    def report_tokens(self, tokens: int) -> None:
        self.reported.tokens = tokens
