"""What SQLite does to a store: clocks that are set, other boots, frozen processes, broken files."""

import asyncio
import logging
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glore.batches import sqlite
from glore.batches.opening import default_file, open_store
from glore.batches.sqlite import open_sqlite
from glore.batches.store import BatchName, StoreFailedError
from tests.service.batches.asking import CONCURRENCY, LIMIT_S, engine, gateway, once, whole
from tests.service.processes import Served

NAME = BatchName("", "k")
LEASE = 0.2
HOUR = 3600.0
CRASHED = """
import asyncio, sys, time
from pathlib import Path

now = time.time
time.time = lambda: now() + float(sys.argv[2])

from glore.batches.sqlite import open_sqlite
from glore.batches.store import BatchName

async def claim():
    name = BatchName("", "k")
    async with open_sqlite(Path(sys.argv[1])) as store:
        await store.begin(name, "d")
        assert await store.claim(name, 0, "crashed", 0.2)
        assert await store.claim(name, 1, "alive", 3600.0)

asyncio.run(claim())
"""
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("writes", flush=True)
sys.stdin.read()
connection.execute("COMMIT")
"""
EARLIER_SCHEMA = """
CREATE TABLE glore_batches (
    owner TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE TABLE glore_batch_questions (
    owner TEXT NOT NULL, key TEXT NOT NULL, place INTEGER NOT NULL,
    holder TEXT NOT NULL, lease_ends REAL NOT NULL, result TEXT,
    PRIMARY KEY (owner, key, place),
    FOREIGN KEY (owner, key) REFERENCES glore_batches (owner, key) ON DELETE CASCADE
);
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "batches.sqlite3"


@contextmanager
def frozen_writer(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that was stopped (SIGSTOP) in the middle of a write."""
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writes\n"
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.communicate()


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_a_claim_lasts_as_long_as_its_lease_whatever_the_clock_is_set_to(
    file: Path, ahead: float
) -> None:
    """A gateway that crashed had another time of day than we have now."""
    command = [sys.executable, "-c", CRASHED, str(file), str(ahead)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    async with open_sqlite(file) as store:
        assert not await store.claim(NAME, 1, "next", LEASE)
        await asyncio.sleep(1.5 * LEASE)
        assert await store.claim(NAME, 0, "next", LEASE)
        assert not await store.claim(NAME, 1, "next", LEASE)
        assert not await store.finish(NAME, 0, "crashed", "late")


async def test_a_claim_from_before_the_machine_was_booted_is_nobodys(file: Path) -> None:
    async with open_sqlite(file, lambda: 9 * HOUR, "one") as store:
        await store.begin(NAME, "d")
        assert await store.claim(NAME, 0, "gone", HOUR)
        assert await store.claim(NAME, 1, "gone", HOUR)
        assert await store.finish(NAME, 1, "gone", "kept")
    async with open_sqlite(file, lambda: 1.0, "two") as store:
        assert await store.claim(NAME, 0, "next", LEASE)
        assert not await store.claim(NAME, 0, "third", LEASE)
        assert not await store.claim(NAME, 1, "next", LEASE)
        assert await store.read(NAME, 1) == "kept"
        assert not await store.finish(NAME, 0, "gone", "late")


async def test_a_file_of_an_earlier_version_is_gone_on_with(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(EARLIER_SCHEMA)
    connection.execute("INSERT INTO glore_batches VALUES ('', 'k', 'd', ?)", (time.time(),))
    rows = [(0, time.time() + HOUR, None), (1, 0.0, "kept")]
    insert = "INSERT INTO glore_batch_questions VALUES ('', 'k', ?, 'h', ?, ?)"
    connection.executemany(insert, rows)
    connection.commit()
    connection.close()
    for _ in range(2):
        async with open_sqlite(file) as store:
            await store.begin(NAME, "d")
            assert await store.finished(NAME) == {1}
    async with open_sqlite(file) as store:
        assert await store.claim(NAME, 0, "next", HOUR)  # its gateway was stopped for the update


async def test_a_frozen_process_holds_nobody_for_long_and_all_go_on_when_it_thaws(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY", 0.5)
    async with open_sqlite(file) as store:
        await store.begin(NAME, "d")
        assert await store.claim(NAME, 0, "mine", HOUR)
        with frozen_writer(file):
            started = time.monotonic()
            claims = [store.claim(NAME, index, "mine", HOUR) for index in range(1, 30)]
            reads = [store.read(NAME, 0) for _ in range(10)]
            failed = await asyncio.gather(*claims, *reads, return_exceptions=True)
            assert time.monotonic() - started < 10  # each for itself: half a second
        assert {str(each) for each in failed[: len(claims)]} == {
            "SQLite: another process has been writing to the file for too long"
        }
        assert all(isinstance(each, StoreFailedError) for each in failed[: len(claims)])
        assert failed[len(claims) :] == [None] * len(reads)  # who reads does not wait
        assert await store.claim(NAME, 1, "mine", HOUR)
        assert await store.finish(NAME, 0, "mine", "result")


async def freeze_outside_of_a_write(process: Served, file: Path) -> None:
    """Stop the process (SIGSTOP) where it does not hold the file's lock, which others wait for."""
    while True:
        process.tell(signal.SIGSTOP)
        connection = sqlite3.connect(file, timeout=0.1, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            process.tell(signal.SIGCONT)
            await asyncio.sleep(0.01)
        else:
            return
        finally:
            connection.close()


async def test_a_gateway_that_was_frozen_goes_on_and_runs_nothing_that_another_has_run(
    tmp_path: Path,
) -> None:
    file = tmp_path / "batches.sqlite3"
    location = f"sqlite:///{file}"
    async with (
        engine() as one,
        engine() as other,
        gateway(one, location, 1.0) as first,
        gateway(other, location, 1.0) as second,
        asyncio.timeout(LIMIT_S),
    ):
        one.may.clear()
        work = asyncio.create_task(whole(first.url, "frozen"))
        await one.came.wait()
        await freeze_outside_of_a_write(first, file)
        results = await whole(second.url, "frozen")
        assert not work.done()
        first.tell(signal.SIGCONT)
        one.may.set()
        assert sorted(map(str, await work)) == sorted(map(str, results))
    assert len(one.requested) <= CONCURRENCY
    assert other.requested == once(set(other.requested))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no database" * 1000, "SQLite: the file is not a database; move it away"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "SQLite: the file is not a database; move it away"),
        (None, "SQLite: the file cannot be made (File exists)"),
    ],
)
async def test_a_default_file_that_cannot_be_used_is_reported_as_what_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    content: bytes | None,
    said: str,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if content is None:
        (tmp_path / "glore").write_bytes(b"")
    else:
        default_file().parent.mkdir()
        default_file().write_bytes(content)
    with caplog.at_level(logging.WARNING, "glore.batches"):
        async with open_store(None, days=7) as store:
            assert store is None
    (line,) = caplog.records
    assert line.getMessage() == "no result of a batch is kept"
    fields = getattr(line, "fields", {})
    assert fields["reason"].startswith(said)
    assert fields["file"] == str(default_file())
    if content is not None:
        assert default_file().read_bytes() == content


async def test_a_file_that_is_damaged_later_is_reported_as_that(file: Path) -> None:
    async with open_sqlite(file) as store:
        await store.begin(NAME, "d")
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * 20_000)
    with pytest.raises(StoreFailedError, match="the file is damaged"):
        async with open_sqlite(file) as store:
            await store.begin(NAME, "d")
