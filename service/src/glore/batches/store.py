"""The store of batches: a port, and the store of a batch that nobody named.

A batch is named by its owner and an idempotency key. Each of its questions is open, claimed or
finished. A claim has a holder and a lease; when the lease has run out the question may be
claimed by another. A finished question stays finished, and its result never changes.
"""

from dataclasses import dataclass
from typing import Protocol


class StoreFailedError(Exception):
    """The store did not do what it was asked. The text names the failure and no secret."""


class OtherBatchError(Exception):
    """The key is taken by a batch with other questions."""


@dataclass(frozen=True, slots=True)
class BatchName:
    """`owner` is the name of an API key, "" without keys; `key` is the client's own."""

    owner: str
    key: str


class Store(Protocol):
    """Every method raises StoreFailedError when the database fails. Leases are in seconds."""

    async def begin(self, name: BatchName, digest: str) -> None:
        """Make the batch unless it is there. Raises OtherBatchError if its digest is another."""
        ...

    async def finished(self, name: BatchName) -> frozenset[int]:
        """The questions that have a result."""
        ...

    async def read(self, name: BatchName, index: int) -> str | None:
        """The result of a question, None while it has none."""
        ...

    async def claim(self, name: BatchName, index: int, holder: str, lease: float) -> bool:
        """Whether the question is the holder's to answer now: of all who ask, one gets True."""
        ...

    async def renew(self, name: BatchName, holder: str, lease: float) -> None:
        """Begin the lease of all of the holder's claims anew."""
        ...

    async def finish(self, name: BatchName, index: int, holder: str, result: str) -> bool:
        """Keep the result for good, if the claim is still the holder's; else False."""
        ...

    async def release(self, name: BatchName, holder: str, index: int | None = None) -> None:
        """Give back one claim of the holder, or all of them."""
        ...

    async def purge(self, days: float) -> int:
        """Forget batches older than this on which nobody works. How many they were."""
        ...


class NothingKept:
    """The store of one batch without a name: every question is the holder's, nothing stays."""

    async def begin(self, name: BatchName, digest: str) -> None:
        """There is nothing that could differ."""

    async def finished(self, name: BatchName) -> frozenset[int]:
        """None ever is."""
        return frozenset()

    async def read(self, name: BatchName, index: int) -> str | None:
        """Nothing to read."""
        return None

    async def claim(
        self,
        name: BatchName,
        index: int,
        holder: str,
        lease: float,
    ) -> bool:
        """Nobody else asks."""
        return True

    async def renew(self, name: BatchName, holder: str, lease: float) -> None:
        """A claim without a rival needs no lease."""

    async def finish(
        self,
        name: BatchName,
        index: int,
        holder: str,
        result: str,
    ) -> bool:
        """The result is the holder's alone."""
        return True

    async def release(self, name: BatchName, holder: str, index: int | None = None) -> None:
        """Nothing is held."""

    async def purge(self, days: float) -> int:
        """Nothing is old."""
        return 0
