"""What a driver does when its server dies under it, which a real one does once in twenty times."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from glore.batches.postgres import PostgresStore
from glore.batches.store import BatchName, StoreFailedError


class Connection:
    async def fetchval(self, *_: object) -> str:
        return "result"


class Pool:
    """Fails to give a connection back: something of the server's still comes over it."""

    @asynccontextmanager
    async def acquire(self, *, timeout: float) -> AsyncIterator[Connection]:
        assert timeout > 0
        yield Connection()
        message = "cannot switch to state 15; another operation (2) is in progress"
        raise asyncpg.InternalClientError(message)


async def test_a_connection_that_cannot_be_given_back_is_a_failure_of_the_store() -> None:
    with pytest.raises(StoreFailedError, match=r"^PostgreSQL: InternalClientError$"):
        await PostgresStore(Pool()).read(BatchName("alice", "k"), 0)
