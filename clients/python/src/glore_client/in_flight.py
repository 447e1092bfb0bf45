"""The questions of `solve_many` whose outcome has not been given out yet."""

from typing import Generic, Protocol, TypeVar

_MAX_HELD = 4  # times the concurrency: how many questions may wait for a slow one, at most


class Pending(Protocol):
    """A task or a future."""

    def done(self) -> bool:
        """Whether it has ended."""
        ...


P = TypeVar("P", bound=Pending)


class InFlight(Generic[P]):
    """Questions in the order of their start, `concurrency` of them running at most.

    Raises ValueError for a concurrency below 1.
    """

    def __init__(self, concurrency: int, *, ordered: bool) -> None:
        if concurrency < 1:
            message = f"concurrency must be 1 or more, not {concurrency}"
            raise ValueError(message)
        self.concurrency = concurrency
        self._ordered = ordered
        self._held: list[P] = []

    @property
    def running(self) -> set[P]:
        """Those that have not ended."""
        return {each for each in self._held if not each.done()}

    @property
    def has_room(self) -> bool:
        """Whether another one may start."""
        limit = _MAX_HELD * self.concurrency
        return len(self._held) < limit and len(self.running) < self.concurrency

    def __len__(self) -> int:
        return len(self._held)

    def add(self, pending: P) -> None:
        """Add one that has just started."""
        self._held.append(pending)

    def pop(self) -> P | None:
        """Remove the next one if it has ended: in order, or any."""
        candidates = self._held[:1] if self._ordered else self._held
        for index, pending in enumerate(candidates):
            if pending.done():
                return self._held.pop(index)
        return None

    def clear(self) -> list[P]:
        """Remove all."""
        held, self._held = self._held, []
        return held
