"""A stand-in for what a request may still use."""

from dataclasses import dataclass, field


@dataclass
class FakeAllowance:
    """Grants so many calls, of which so many may repeat work; notes what it is asked and told."""

    deadline: float = 60.0
    calls: int = 0
    repeats: int = 0
    asked: list[tuple[int, bool]] = field(default_factory=list)  # how many, and whether repeated
    written: int = 0
    unmade: int = 0

    def more_calls(self, count: int, *, repeated: bool) -> bool:
        self.asked.append((count, repeated))
        if count > self.calls or (repeated and count > self.repeats):
            return False
        self.calls -= count
        self.repeats -= count * repeated
        return True

    def not_made(self) -> None:
        self.unmade += 1

    def has_written(self, tokens: int) -> None:
        self.written = tokens
