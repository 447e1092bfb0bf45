"""A store of batches that counts what fails in the one that it wraps."""

from collections.abc import Iterator
from contextlib import contextmanager

from glore.batches.store import BatchName, Store, StoreFailedError
from glore.telemetry.metrics import Metrics


class MeteredStore:
    """The same store; failed operations are counted by name."""

    def __init__(self, inner: Store, metrics: Metrics) -> None:
        self._inner = inner
        self._errors = metrics.store_errors

    @contextmanager
    def _counted(self, operation: str) -> Iterator[None]:
        try:
            yield
        except StoreFailedError:
            self._errors.labels(operation).inc()
            raise

    async def begin(self, name: BatchName, digest: str) -> None:
        """As the inner store."""
        with self._counted("begin"):
            await self._inner.begin(name, digest)

    async def finished(self, name: BatchName) -> frozenset[int]:
        """As the inner store."""
        with self._counted("finished"):
            return await self._inner.finished(name)

    async def read(self, name: BatchName, index: int) -> str | None:
        """As the inner store."""
        with self._counted("read"):
            return await self._inner.read(name, index)

    async def claim(self, name: BatchName, index: int, holder: str, lease: float) -> bool:
        """As the inner store."""
        with self._counted("claim"):
            return await self._inner.claim(name, index, holder, lease)

    async def renew(self, name: BatchName, holder: str, lease: float) -> None:
        """As the inner store."""
        with self._counted("renew"):
            await self._inner.renew(name, holder, lease)

    async def finish(self, name: BatchName, index: int, holder: str, result: str) -> bool:
        """As the inner store."""
        with self._counted("finish"):
            return await self._inner.finish(name, index, holder, result)

    async def release(self, name: BatchName, holder: str, index: int | None = None) -> None:
        """As the inner store."""
        with self._counted("release"):
            await self._inner.release(name, holder, index)

    async def purge(self, days: float) -> int:
        """As the inner store."""
        with self._counted("purge"):
            return await self._inner.purge(days)
