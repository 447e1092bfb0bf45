"""From `GLORE_STORE` to a store: a file, a database, the default place or none."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from platformdirs import user_state_path

from glore import installation
from glore.batches.location import OFF, SQLITE
from glore.batches.sqlite import open_sqlite
from glore.batches.store import Store, StoreFailedError

_PURGE_EVERY: Final = 3600.0  # seconds

_log = logging.getLogger("glore.batches")


def default_file() -> Path:
    """The SQLite file in the user's state folder."""
    return user_state_path("glore") / "batches.sqlite3"


@asynccontextmanager
async def connect(location: str | None) -> AsyncIterator[Store | None]:
    """The store at this location, None for `off`. Raises StoreFailedError."""
    if location == OFF:
        yield None
    elif location is None or location.startswith(SQLITE):
        file = default_file() if location is None else Path(location.removeprefix(SQLITE))
        async with open_sqlite(file) as store:
            yield store
    else:
        try:
            from glore.batches.postgres import open_postgres
        except ImportError:
            message = f"PostgreSQL needs {installation.missing('asyncpg')}"
            raise StoreFailedError(message) from None
        async with open_postgres(location) as database:
            yield database


@asynccontextmanager
async def open_store(
    location: str | None, days: float, watched: Callable[[Store], Store] = lambda store: store
) -> AsyncIterator[Store | None]:
    """The store at this location, purged of batches older than `days` now and every hour.

    None is the default, a SQLite file in the user's state folder; where that cannot be used there
    is no store, and the log says why. `watched` wraps the store, to count its errors.
    Raises StoreFailedError for any other that fails.
    """
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(connect(location))
        except StoreFailedError as error:
            if location is not None:
                raise
            fields = {"file": str(default_file()), "reason": str(error)}
            _log.warning("no result of a batch is kept", extra={"fields": fields})
            store = None
        if store is not None:
            store = watched(store)
            await stack.enter_async_context(_purged(store, days))
        yield store


@asynccontextmanager
async def _purged(store: Store, days: float) -> AsyncIterator[None]:
    task = asyncio.create_task(_purge(store, days))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _purge(store: Store, days: float) -> None:
    while True:
        try:
            gone = await store.purge(days)
        except StoreFailedError as error:
            _log.warning("old batches were not purged", extra={"fields": {"reason": str(error)}})
        else:
            if gone:
                _log.info("old batches were purged", extra={"fields": {"batches": gone}})
        await asyncio.sleep(_PURGE_EVERY)
