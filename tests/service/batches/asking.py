"""A batch asked of gateway processes, an engine that counts it, and what the store has of it."""

import asyncio
import json
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import asyncpg
import httpx2
from aiohttp import web

from glore.batches.location import SQLITE
from tests.service.engines.fake_vllm import completion, fake_vllm
from tests.service.fakes import DRAFT
from tests.service.processes import Served, served

COUNT: Final = 24
CONCURRENCY: Final = 2
LEASE_S: Final = 3.0
LIMIT_S: Final = 60.0
BODY: Final = {
    "questions": [{"question": f"Number <{i}>: how many?"} for i in range(COUNT)],
    "strategy": "draft",
}
_TAKES_S: Final = 0.1  # an answer
_ROWS: Final = "SELECT place, holder, result FROM glore_batch_questions WHERE key = "
_OTHERS: Final = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)

Line: TypeAlias = dict[str, Any]
Moment: TypeAlias = Literal["asked", "answered", "told"]


@dataclass(slots=True)
class Engine:
    """A student that answers when it `may`, and counts each question that has a number, twice.

    `asked` counts the requests that came, `answered` those whose answer was handed over whole.
    `noted` is told of each.
    """

    url: str = ""
    requested: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    noted: Callable[[Moment], None] = lambda _: None
    may: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)  # a first question

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one question."""
        numbers = [int(each) for each in re.findall(r"<(\d+)>", (await request.json())["prompt"])]
        self.requested.update(numbers)
        self.came.set()
        self.noted("asked")
        await asyncio.sleep(_TAKES_S)
        await self.may.wait()
        response = web.json_response(completion(DRAFT))
        await response.prepare(request)
        await response.write_eof()
        self.answered.update(numbers)
        self.noted("answered")
        return response


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    """An engine that runs, and may answer."""
    async with fake_vllm() as server:
        student = Engine(server.url)
        student.may.set()
        server.answers["/v1/completions"] = student.answer
        yield student


def gateway(
    student: Engine, store: str, lease: float = LEASE_S
) -> AbstractAsyncContextManager[Served]:
    """A gateway process that answers, on this engine and this store."""
    return served(
        student.url, store=store, batch_lease=str(lease), batch_concurrency=str(CONCURRENCY)
    )


async def lines(url: str, key: str) -> AsyncIterator[Line]:
    """The lines of the batch, as long as the gateway lives."""
    async with (
        httpx2.AsyncClient(timeout=LIMIT_S, trust_env=False) as client,
        client.stream(
            "POST", f"{url}/solve/batch", json=BODY, headers={"Idempotency-Key": key}
        ) as response,
    ):
        assert response.status_code == httpx2.codes.OK
        async for line in response.aiter_lines():
            if line:  # an empty one is a sign of life
                yield json.loads(line)


async def whole(url: str, key: str) -> list[Line]:
    """All lines of the batch."""
    return [line async for line in lines(url, key)]


async def until_killed(
    served_: Served, student: Engine, key: str, moment: Moment, after: int
) -> dict[int, Line]:
    """What was told until the gateway was killed, when the engine or it had noted `after` such."""
    reported: dict[int, Line] = {}
    seen: Counter[str] = Counter()

    def note(what: Moment) -> None:
        seen[what] += 1
        if what == moment and seen[what] == after:
            served_.tell(signal.SIGKILL)

    student.noted = note
    try:
        async for line in lines(served_.url, key):
            reported[line["index"]] = line
            note("told")
    except httpx2.TransportError:
        await served_.ended()
        return reported
    message = "the gateway finished before it was killed"
    raise AssertionError(message)


@dataclass(frozen=True, slots=True)
class Row:
    """What the store has of a question: who claimed it last, and the result once it has one."""

    holder: str
    result: str | None


async def rows(location: str, key: str) -> dict[int, Row]:
    """The questions that the store knows, once no gateway that was killed is at work in it."""
    if location.startswith(SQLITE):
        connection = sqlite3.connect(location.removeprefix(SQLITE))
        try:
            found = connection.execute(f"{_ROWS}?", (key,)).fetchall()
        finally:
            connection.close()
    else:
        database = await asyncpg.connect(location)
        try:
            async with asyncio.timeout(LIMIT_S):
                # a statement that was sent is carried out
                while await database.fetchval(_OTHERS):
                    await asyncio.sleep(0.01)
            found = [tuple(row) for row in await database.fetch(f"{_ROWS}$1", key)]
        finally:
            await database.close()
    return {position: Row(holder, result) for position, holder, result in found}


async def finished(location: str, key: str) -> dict[int, str]:
    """The results that the store has."""
    known = (await rows(location, key)).items()
    return {position: row.result for position, row in known if row.result is not None}


def assert_whole(all_lines: list[Line], reported: dict[int, Line]) -> dict[int, Line]:
    """Each question has one result, and those told before have the same; the results."""
    assert all_lines[-1] == {"done": True, "ok": COUNT, "errors": 0}
    results = {line["index"]: line for line in all_lines[:-1]}
    assert len(all_lines) == COUNT + 1
    assert sorted(results) == list(range(COUNT))
    assert {index: results[index] for index in reported} == reported
    return results


def once(questions: set[int]) -> Counter[int]:
    """Each of them one time."""
    return Counter(dict.fromkeys(questions, 1))
