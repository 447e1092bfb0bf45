"""The questions that were asked and not yet told: how many may be, and which come next."""

from typing import Generic, Protocol, TypeVar

_AHEAD = 4  # times the concurrency: how many results wait, at most, for one that is slow


class Pending(Protocol):
    """A task or a future."""

    def done(self) -> bool:
        """Whether it has ended."""
        ...


P = TypeVar("P", bound=Pending)


class Window(Generic[P]):
    """Pending questions, `concurrency` of them at work; told in order or as they end.

    Raises ValueError for a concurrency below 1.
    """

    def __init__(self, concurrency: int, *, ordered: bool) -> None:
        if concurrency < 1:
            message = f"concurrency must be 1 or more, not {concurrency}"
            raise ValueError(message)
        self._concurrency = concurrency
        self._ordered = ordered
        self._held: list[P] = []  # as they were asked

    @property
    def concurrency(self) -> int:
        """How many may be at work."""
        return self._concurrency

    @property
    def running(self) -> set[P]:
        """Those that have not ended."""
        return {each for each in self._held if not each.done()}

    @property
    def has_room(self) -> bool:
        """Whether another one may be asked."""
        bound = _AHEAD * self._concurrency
        return len(self._held) < bound and len(self.running) < self._concurrency

    def __len__(self) -> int:
        return len(self._held)

    def add(self, pending: P) -> None:
        """Hold what was just asked."""
        self._held.append(pending)

    def pop(self) -> P | None:
        """What is told next, if it has ended; it is no longer held."""
        reach = self._held[:1] if self._ordered else self._held
        for place, pending in enumerate(reach):
            if pending.done():
                return self._held.pop(place)
        return None

    def drain(self) -> list[P]:
        """All that is held; nothing is any more."""
        held, self._held = self._held, []
        return held
