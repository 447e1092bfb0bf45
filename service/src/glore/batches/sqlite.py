"""Batches in a SQLite file: one gateway, or several on one machine.

One connection in a thread of its own, so that statements are carried out in the order in which
they were asked for, even when who asked was cancelled. Every write is on disk when its method
returns (WAL, synchronous=FULL).

Leases run on the machine's clock since it was booted, which nobody can set: a claim of an earlier
boot is nobody's. A process that is frozen in the middle of a write holds the file's lock; then each
statement of the others fails after `_BUSY` seconds, those that wait behind another included.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from glore.batches.store import BatchName, OtherBatchError, StoreFailedError

_BUSY: Final = 10.0  # seconds from when a statement is asked for until another's write is over
_DAY: Final = 86400.0
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
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
    holder TEXT NOT NULL, lease_ends REAL NOT NULL, result TEXT, boot TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (owner, key, place),
    FOREIGN KEY (owner, key) REFERENCES glore_batches (owner, key) ON DELETE CASCADE
);
"""
_ADD_BOOT: Final = "ALTER TABLE glore_batch_questions ADD COLUMN boot TEXT NOT NULL DEFAULT ''"
_BEGIN: Final = """
INSERT INTO glore_batches VALUES (:owner, :key, :digest, :created) ON CONFLICT DO NOTHING
"""
_CLAIM: Final = """
INSERT INTO glore_batch_questions (owner, key, place, holder, lease_ends, boot)
VALUES (:owner, :key, :place, :holder, :now + :lease, :boot)
ON CONFLICT (owner, key, place) DO UPDATE
SET holder = excluded.holder, lease_ends = excluded.lease_ends, boot = excluded.boot
WHERE result IS NULL AND (boot <> :boot OR lease_ends <= :now)
"""
_RENEW: Final = """
UPDATE glore_batch_questions SET lease_ends = :now + :lease
WHERE owner = :owner AND key = :key AND holder = :holder AND result IS NULL
"""
_FINISH: Final = """
UPDATE glore_batch_questions SET result = :result
WHERE owner = :owner AND key = :key AND place = :place AND holder = :holder AND result IS NULL
"""
_RELEASE: Final = """
DELETE FROM glore_batch_questions WHERE owner = :owner AND key = :key AND holder = :holder
AND result IS NULL AND place = coalesce(:place, place)
"""
_PURGE: Final = """
DELETE FROM glore_batches WHERE created < :before AND NOT EXISTS (
    SELECT 1 FROM glore_batch_questions q WHERE q.owner = glore_batches.owner
    AND q.key = glore_batches.key AND q.result IS NULL AND q.boot = :boot AND q.lease_ends > :now
)
"""
_DIGEST: Final = "SELECT digest FROM glore_batches WHERE owner = :owner AND key = :key"
_FINISHED: Final = """
SELECT place FROM glore_batch_questions
WHERE owner = :owner AND key = :key AND result IS NOT NULL
"""
_READ: Final = """
SELECT result FROM glore_batch_questions WHERE owner = :owner AND key = :key AND place = :place
"""
# By SQLite's primary code; see https://www.sqlite.org/rescode.html
_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "another process has been writing to the file for too long",
    sqlite3.SQLITE_READONLY: "the file cannot be written",
    sqlite3.SQLITE_IOERR: "the file cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; move it away to begin with a new one",
    sqlite3.SQLITE_FULL: "its disk is full",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_NOTADB: "the file is not a database; move it away to begin with a new one",
}
_Value: TypeAlias = str | float | None
_T = TypeVar("_T")


def since_boot() -> float:
    """Seconds since the machine was booted, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SqliteStore:
    """A store in one file; see `glore.batches.store.Store`.

    `clock` gives seconds since the boot named `boot`, the same for all processes of the machine.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        thread: ThreadPoolExecutor,
        clock: Callable[[], float],
        boot: str,
    ) -> None:
        self._connection = connection
        self._thread = thread
        self._clock = clock
        self._boot = boot

    async def begin(self, name: BatchName, digest: str) -> None:
        """Make the batch unless it is there. Raises OtherBatchError if its digest is another."""
        await self._write(_BEGIN, **_of(name), digest=digest, created=time.time())
        if await self._read(_DIGEST, **_of(name)) != [(digest,)]:
            raise OtherBatchError

    async def finished(self, name: BatchName) -> frozenset[int]:
        """The questions that have a result."""
        rows = await self._read(_FINISHED, **_of(name))
        return frozenset(int(str(place)) for (place,) in rows)

    async def read(self, name: BatchName, index: int) -> str | None:
        """The result of a question, None while it has none."""
        rows = await self._read(_READ, **_of(name), place=index)
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    async def claim(self, name: BatchName, index: int, holder: str, lease: float) -> bool:
        """Whether the question is the holder's to answer now."""
        values = {**_of(name), "place": index, "holder": holder}
        return await self._write(_CLAIM, **values, lease=lease) == 1

    async def renew(self, name: BatchName, holder: str, lease: float) -> None:
        """Begin the lease of all of the holder's claims anew."""
        await self._write(_RENEW, **_of(name), holder=holder, lease=lease)

    async def finish(self, name: BatchName, index: int, holder: str, result: str) -> bool:
        """Keep the result for good, if the claim is still the holder's; else False."""
        values = {**_of(name), "place": index, "holder": holder}
        return await self._write(_FINISH, **values, result=result) == 1

    async def release(self, name: BatchName, holder: str, index: int | None = None) -> None:
        """Give back one claim of the holder, or all of them."""
        await self._write(_RELEASE, **_of(name), holder=holder, place=index)

    async def purge(self, days: float) -> int:
        """Forget batches older than this on which nobody works. How many they were."""
        return await self._write(_PURGE, before=time.time() - days * _DAY)

    async def _read(self, sql: str, **values: _Value) -> list[tuple[_Value, ...]]:
        return await self._run(sql, values, sqlite3.Cursor.fetchall)

    async def _write(self, sql: str, **values: _Value) -> int:
        return await self._run(sql, values, lambda cursor: cursor.rowcount)

    async def _run(
        self, sql: str, values: dict[str, _Value], take: Callable[[sqlite3.Cursor], _T]
    ) -> _T:
        """Carry out a statement; the time it may wait for others runs from now."""
        until = time.monotonic() + _BUSY

        def statement() -> _T:
            wait = max(0, round(1000 * (until - time.monotonic())))
            self._connection.execute(f"PRAGMA busy_timeout = {wait}")
            now = {"now": self._clock(), "boot": self._boot}
            return take(self._connection.execute(sql, values | now))

        return await _in(self._thread, statement)


def _of(name: BatchName) -> dict[str, _Value]:
    return {"owner": name.owner, "key": name.key}


async def _in(thread: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
    except sqlite3.Error as error:
        message = f"SQLite: {_reason(error)}"
        raise StoreFailedError(message) from error


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", None)  # the module's own errors have none
    if code is None:
        return type(error).__name__
    return _REASONS.get(code & 0xFF, error.sqlite_errorname)


@asynccontextmanager
async def open_sqlite(
    file: Path, clock: Callable[[], float] = since_boot, boot: str | None = None
) -> AsyncIterator[SqliteStore]:
    """The store in this file; it and its folder are made. Raises StoreFailedError."""

    def connect() -> sqlite3.Connection:
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(mode=0o600)
        except OSError as error:
            message = f"SQLite: the file cannot be made ({error.strerror})"
            raise StoreFailedError(message) from error
        connection = sqlite3.connect(file, timeout=_BUSY, isolation_level=None)
        try:
            connection.executescript(_SCHEMA)
            _add_boot(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        connection = await _in(thread, connect)
        try:
            yield SqliteStore(connection, thread, clock, boot or _boot_id())
        finally:
            await _in(thread, connection.close)


def _add_boot(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier version up to date."""
    columns = "SELECT 1 FROM pragma_table_info('glore_batch_questions') WHERE name = 'boot'"
    if not connection.execute(columns).fetchall():
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute(columns).fetchall():
                connection.execute(_ADD_BOOT)


def _boot_id() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:  # not known: then the clock alone has to do
        return "unknown"
