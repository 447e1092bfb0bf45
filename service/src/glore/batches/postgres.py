"""Batches in PostgreSQL: for several gateways on several machines (the extra `postgres`).

Every method is one statement of its own, so a gateway that dies leaves no transaction behind.
Leases run on the clock of the database server, whatever those of the gateways show.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, cast

import asyncpg

from glore.batches.store import BatchName, OtherBatchError, StoreFailedError

_TIMEOUT: Final = 10.0  # seconds, of connecting, of waiting for a connection, of a statement
_MOST_CONNECTIONS: Final = 8
_LOCK: Final = 0x61_0E  # of this project: two gateways that start make the schema in turn
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS glore_batches (
    owner text NOT NULL, key text NOT NULL, digest text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, key)
);
CREATE TABLE IF NOT EXISTS glore_batch_questions (
    owner text NOT NULL, key text NOT NULL, place integer NOT NULL,
    holder text NOT NULL, lease_ends timestamptz NOT NULL, result text,
    PRIMARY KEY (owner, key, place),
    FOREIGN KEY (owner, key) REFERENCES glore_batches (owner, key) ON DELETE CASCADE
);
"""
_BEGIN: Final = (
    "INSERT INTO glore_batches (owner, key, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
)
_DIGEST: Final = "SELECT digest FROM glore_batches WHERE owner = $1 AND key = $2"
_FINISHED: Final = (
    "SELECT place FROM glore_batch_questions WHERE owner = $1 AND key = $2 AND result IS NOT NULL"
)
_READ: Final = (
    "SELECT result FROM glore_batch_questions WHERE owner = $1 AND key = $2 AND place = $3"
)
_CLAIM: Final = """
INSERT INTO glore_batch_questions AS q (owner, key, place, holder, lease_ends)
VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
ON CONFLICT (owner, key, place) DO UPDATE
SET holder = excluded.holder, lease_ends = excluded.lease_ends
WHERE q.result IS NULL AND q.lease_ends <= clock_timestamp()
"""
_RENEW: Final = """
UPDATE glore_batch_questions SET lease_ends = clock_timestamp() + make_interval(secs => $4)
WHERE owner = $1 AND key = $2 AND holder = $3 AND result IS NULL
"""
_FINISH: Final = """
UPDATE glore_batch_questions SET result = $5
WHERE owner = $1 AND key = $2 AND place = $3 AND holder = $4 AND result IS NULL
"""
_RELEASE: Final = """
DELETE FROM glore_batch_questions WHERE owner = $1 AND key = $2 AND holder = $3
AND result IS NULL AND place = coalesce($4::integer, place)
"""
_PURGE: Final = """
DELETE FROM glore_batches b WHERE created < now() - make_interval(secs => $1 * 86400.0)
AND NOT EXISTS (
    SELECT 1 FROM glore_batch_questions q WHERE q.owner = b.owner AND q.key = b.key
    AND q.result IS NULL AND q.lease_ends > now()
)
"""


class PostgresStore:
    """A store in a database; see `glore.batches.store.Store`."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def begin(self, name: BatchName, digest: str) -> None:
        """Make the batch unless it is there. Raises OtherBatchError if its digest is another."""
        await self._write(_BEGIN, name.owner, name.key, digest)
        if await self._value(_DIGEST, name.owner, name.key) != digest:
            raise OtherBatchError

    async def finished(self, name: BatchName) -> frozenset[int]:
        """The questions that have a result."""
        async with self._connection() as connection:
            rows = await connection.fetch(_FINISHED, name.owner, name.key)
        return frozenset(int(row["place"]) for row in rows)

    async def read(self, name: BatchName, index: int) -> str | None:
        """The result of a question, None while it has none."""
        return await self._value(_READ, name.owner, name.key, index)

    async def claim(self, name: BatchName, index: int, holder: str, lease: float) -> bool:
        """Whether the question is the holder's to answer now."""
        return await self._write(_CLAIM, name.owner, name.key, index, holder, lease) == 1

    async def renew(self, name: BatchName, holder: str, lease: float) -> None:
        """Begin the lease of all of the holder's claims anew."""
        await self._write(_RENEW, name.owner, name.key, holder, lease)

    async def finish(self, name: BatchName, index: int, holder: str, result: str) -> bool:
        """Keep the result for good, if the claim is still the holder's; else False."""
        return await self._write(_FINISH, name.owner, name.key, index, holder, result) == 1

    async def release(self, name: BatchName, holder: str, index: int | None = None) -> None:
        """Give back one claim of the holder, or all of them."""
        await self._write(_RELEASE, name.owner, name.key, holder, index)

    async def purge(self, days: float) -> int:
        """Forget batches older than this on which nobody works. How many they were."""
        return await self._write(_PURGE, float(days))

    async def _value(self, sql: str, *values: object) -> str | None:
        async with self._connection() as connection:
            return cast("str | None", await connection.fetchval(sql, *values))

    async def _write(self, sql: str, *values: object) -> int:
        """How many rows the statement changed: the last word of `INSERT 0 1`, `UPDATE 1`."""
        async with self._connection() as connection:
            return int(str(await connection.execute(sql, *values)).rpartition(" ")[2])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """One for a statement; it is waited for no longer than for anything else."""
        with _failing():
            async with self._pool.acquire(timeout=_TIMEOUT) as connection:
                yield connection


# The driver's own: it gives a connection back while the server's last word on it still comes.
_FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


@contextmanager
def _failing() -> Iterator[None]:
    """A failure of server, network or driver by its kind; its text may hold values."""
    try:
        yield
    except _FAILURES as error:
        message = f"PostgreSQL: {type(error).__name__}"
        raise StoreFailedError(message) from None


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[PostgresStore]:
    """The store in this database; its tables are made. Raises StoreFailedError."""
    with _failing():
        pool = await asyncpg.create_pool(
            url, min_size=0, max_size=_MOST_CONNECTIONS, timeout=_TIMEOUT, command_timeout=_TIMEOUT
        )
    try:
        with _failing():
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                await connection.execute(_SCHEMA)
        yield PostgresStore(pool)
    finally:
        pool.terminate()
