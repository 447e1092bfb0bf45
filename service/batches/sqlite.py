"""Batches in a SQLite file: one gateway, or several on one machine.

One connection in a thread of its own, so that statements are carried out in the order in which
they were asked for, even when who asked was cancelled. Every write is on disk when its method
returns (WAL, synchronous=FULL). Leases run on the clock of the machine.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from service.batches.store import BatchName, OtherBatchError, StoreFailedError

_BUSY: Final = 10.0  # seconds to wait for another process's write
_DAY: Final = 86400.0
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS glore_batches (
    owner TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS glore_batch_questions (
    owner TEXT NOT NULL, key TEXT NOT NULL, place INTEGER NOT NULL,
    holder TEXT NOT NULL, lease_ends REAL NOT NULL, result TEXT,
    PRIMARY KEY (owner, key, place),
    FOREIGN KEY (owner, key) REFERENCES glore_batches (owner, key) ON DELETE CASCADE
);
"""
_CLAIM: Final = """
INSERT INTO glore_batch_questions (owner, key, place, holder, lease_ends) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (owner, key, place) DO UPDATE
SET holder = excluded.holder, lease_ends = excluded.lease_ends
WHERE result IS NULL AND lease_ends <= ?
"""
_PURGE: Final = """
DELETE FROM glore_batches WHERE created < ? AND NOT EXISTS (
    SELECT 1 FROM glore_batch_questions q WHERE q.owner = glore_batches.owner
    AND q.key = glore_batches.key AND q.result IS NULL AND q.lease_ends > ?
)
"""
_Value: TypeAlias = str | float | None
_T = TypeVar("_T")


class SqliteStore:
    """A store in one file; see `service.batches.store.Store`. `clock` gives seconds since 1970."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        thread: ThreadPoolExecutor,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._thread = thread
        self._clock = clock

    async def begin(self, name: BatchName, digest: str) -> None:
        """Make the batch unless it is there. Raises OtherBatchError if its digest is another."""
        await self._write(
            "INSERT INTO glore_batches VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            name.owner,
            name.key,
            digest,
            self._clock(),
        )
        sql = "SELECT digest FROM glore_batches WHERE owner = ? AND key = ?"
        if await self._read(sql, name.owner, name.key) != [(digest,)]:
            raise OtherBatchError

    async def finished(self, name: BatchName) -> frozenset[int]:
        """The questions that have a result."""
        sql = (
            "SELECT place FROM glore_batch_questions"
            " WHERE owner = ? AND key = ? AND result IS NOT NULL"
        )
        rows = await self._read(sql, name.owner, name.key)
        return frozenset(int(str(place)) for (place,) in rows)

    async def read(self, name: BatchName, index: int) -> str | None:
        """The result of a question, None while it has none."""
        sql = "SELECT result FROM glore_batch_questions WHERE owner = ? AND key = ? AND place = ?"
        rows = await self._read(sql, name.owner, name.key, index)
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    async def claim(self, name: BatchName, index: int, holder: str, lease: float) -> bool:
        """Whether the question is the holder's to answer now."""
        now = self._clock()
        place = (name.owner, name.key, index)
        return await self._write(_CLAIM, *place, holder, now + lease, now) == 1

    async def renew(self, name: BatchName, holder: str, lease: float) -> None:
        """Begin the lease of all of the holder's claims anew."""
        await self._write(
            "UPDATE glore_batch_questions SET lease_ends = ?"
            " WHERE owner = ? AND key = ? AND holder = ? AND result IS NULL",
            self._clock() + lease,
            name.owner,
            name.key,
            holder,
        )

    async def finish(self, name: BatchName, index: int, holder: str, result: str) -> bool:
        """Keep the result for good, if the claim is still the holder's; else False."""
        kept = await self._write(
            "UPDATE glore_batch_questions SET result = ?"
            " WHERE owner = ? AND key = ? AND place = ? AND holder = ? AND result IS NULL",
            result,
            name.owner,
            name.key,
            index,
            holder,
        )
        return kept == 1

    async def release(self, name: BatchName, holder: str, index: int | None = None) -> None:
        """Give back one claim of the holder, or all of them."""
        await self._write(
            "DELETE FROM glore_batch_questions WHERE owner = ? AND key = ? AND holder = ?"
            " AND result IS NULL AND place = coalesce(?, place)",
            name.owner,
            name.key,
            holder,
            index,
        )

    async def purge(self, days: float) -> int:
        """Forget batches older than this on which nobody works. How many they were."""
        now = self._clock()
        return await self._write(_PURGE, now - days * _DAY, now)

    async def _read(self, sql: str, *values: _Value) -> list[tuple[_Value, ...]]:
        def read() -> list[tuple[_Value, ...]]:
            return self._connection.execute(sql, values).fetchall()

        return await _in(self._thread, read)

    async def _write(self, sql: str, *values: _Value) -> int:
        def write() -> int:
            return self._connection.execute(sql, values).rowcount

        return await _in(self._thread, write)


async def _in(thread: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
    except sqlite3.Error as error:
        message = f"SQLite: {type(error).__name__}"
        raise StoreFailedError(message) from error


@asynccontextmanager
async def open_sqlite(
    file: Path, clock: Callable[[], float] = time.time
) -> AsyncIterator[SqliteStore]:
    """The store in this file; it and its folder are made. Raises StoreFailedError."""

    def connect() -> sqlite3.Connection:
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(mode=0o600)
        except OSError as error:
            message = f"SQLite: {type(error).__name__}"
            raise StoreFailedError(message) from error
        connection = sqlite3.connect(file, timeout=_BUSY, isolation_level=None)
        try:
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        connection = await _in(thread, connect)
        try:
            yield SqliteStore(connection, thread, clock)
        finally:
            await _in(thread, connection.close)
