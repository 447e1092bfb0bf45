"""Encoded examples, and how they are put into batches. Free of torch."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids and, for each, its target (a token id or a label; -100 has no loss)."""

    ids: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncodedPair(Encoded):
    """Both solutions, one after the other: the first `middle` token ids are the right one's."""

    middle: int = 0

    @property
    def parts(self) -> tuple[Encoded, Encoded]:
        """The right and the wrong solution."""
        at = self.middle
        return Encoded(self.ids[:at], self.targets[:at]), Encoded(self.ids[at:], self.targets[at:])


class Sized(Protocol):
    """Anything with token ids."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids."""
        ...


S = TypeVar("S", bound=Sized)


def batches(examples: Sequence[S], tokens: int, seed: int, epoch: int) -> Iterator[list[S]]:
    """Batches of similar lengths, each at most `tokens` tokens with its padding.

    The order is random and the same for the same seed and epoch.
    """
    rng = random.Random(f"{seed}-{epoch}")
    order = list(examples)
    rng.shuffle(order)
    pool = 64 * max(1, tokens // 128)
    found: list[list[S]] = []
    for start in range(0, len(order), pool):
        batch: list[S] = []
        for example in sorted(order[start : start + pool], key=lambda e: len(e.ids)):
            if batch and (len(batch) + 1) * len(example.ids) > tokens:
                found.append(batch)
                batch = []
            batch.append(example)
        if batch:
            found.append(batch)
    rng.shuffle(found)
    yield from found
