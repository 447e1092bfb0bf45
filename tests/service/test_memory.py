"""More than a gateway can answer, for a while, and what it keeps of it: nothing."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx2
import psutil
import pytest

from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.service.hostile import request
from tests.service.processes import START_S, Served, served

ASKERS = 48  # at once: three times as many as are worked on and wait
ROUND = 200  # requests
WARM = 6  # rounds after which caches and arenas have most of their size
MEASURED = 8  # rounds
BODY = {"question": "How many? " * 390, "strategy": "draft"}  # the longest that is taken
LEAK = MEASURED * ROUND * len(BODY["question"])  # bytes, if every question stays in memory


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to ask, which askers take up all at once."""

    path: str
    body: object
    accept: str = "*/*"


KINDS: Final = {
    "answers": Kind("/solve", BODY),
    "streams": Kind("/solve", BODY, "text/event-stream"),
    "batches": Kind("/solve/batch", {"questions": [BODY] * 2}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_memory_stays_flat_under_overload(kind: str) -> None:
    answered: Counter[int] = Counter()
    async with (
        busy() as gateway,
        httpx2.AsyncClient(
            base_url=gateway.url,
            timeout=START_S,
            trust_env=False,
            limits=httpx2.Limits(max_connections=ASKERS),
        ) as client,
    ):
        process = psutil.Process(gateway.process.pid)
        rounds = WARM + MEASURED
        peaks = [await _round(client, KINDS[kind], process, answered) for _ in range(rounds)]
    assert answered.keys() == {200, 503}
    assert answered[503] > answered[200]
    assert max(peaks[WARM:]) - peaks[WARM - 1] < LEAK / 2  # arenas still grow


READERS = 8  # at once
READERS_WARM = 4  # rounds
READERS_MEASURED = 6  # rounds
HELD = 140_000  # bytes that a batch which is not let go of leaves behind, measured
HELD_S = 0.5  # for which a reader takes nothing, before it leaves
BATCH = {
    "questions": [{"question": "How many?", "strategy": "draft"}] * 400
}  # more than buffers hold


async def test_readers_that_take_nothing_leave_no_memory_behind() -> None:
    async with busy() as gateway:
        process = psutil.Process(gateway.process.pid)
        peaks = []
        for _ in range(READERS_WARM + READERS_MEASURED):
            async with asyncio.TaskGroup() as group:
                for _ in range(READERS):
                    group.create_task(_take_nothing(gateway))
            peaks.append(process.memory_info().rss)
    left = READERS * READERS_MEASURED * HELD
    assert max(peaks[READERS_WARM:]) - peaks[READERS_WARM - 1] < left / 2  # arenas still grow


PIPELINING = 40  # connections
MOST_KEPT = 400_000  # bytes of a connection: what waits, and what uvicorn keeps of any other


@pytest.mark.parametrize(
    ("size", "answer"), [(60 * 1024, b""), (250 * 1024, b"HTTP/1.1 400 Bad Request\r\n")]
)
async def test_pipelined_requests_cost_little_memory(size: int, answer: bytes) -> None:
    question = json.dumps({"question": "How many?", "deadline_ms": 60_000}).encode()
    more = request(b"GET", b"/livez")
    sent = request(b"POST", b"/solve", body=question) + more * (size // len(more))
    never = Simulated(faults=(parse_fault("hang"),))
    async with (
        running(never) as (simulator, engine),
        served(engine) as gateway,
        asyncio.timeout(START_S),
        AsyncExitStack() as stack,
    ):
        process = psutil.Process(gateway.process.pid)
        url = httpx2.URL(gateway.url)
        before = process.memory_info().rss
        for _ in range(PIPELINING):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            stack.callback(_abort, writer)
            writer.write(sent)
            if answer:  # more than is kept
                assert await reader.readline() == answer
        while not answer and simulator.running < PIPELINING:
            await asyncio.sleep(0.01)
        grown = process.memory_info().rss - before
    assert grown < PIPELINING * MOST_KEPT


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@asynccontextmanager
async def busy() -> AsyncIterator[Served]:
    """A gateway that is soon busy."""
    slow = Simulated(timing=Timing(first_token=0.05))
    async with (
        running(slow) as (_, engine),
        served(engine, max_running="8", max_waiting="8", max_batches=str(2 * READERS)) as gateway,
    ):
        yield gateway


async def _round(
    client: httpx2.AsyncClient, kind: Kind, process: psutil.Process, answered: Counter[int]
) -> int:
    """The most memory, in bytes, that the process had while a round was asked."""
    left, peak = ROUND, 0
    headers = {"Accept": kind.accept}

    async def ask() -> None:
        nonlocal left, peak
        while left > 0:
            left -= 1
            response = await client.post(kind.path, json=kind.body, headers=headers)
            answered[response.status_code] += 1
            peak = max(peak, process.memory_info().rss)

    async with asyncio.TaskGroup() as group:
        for _ in range(ASKERS):
            group.create_task(ask())
    return peak


async def _take_nothing(gateway: Served) -> None:
    """Ask for a batch, read the beginning of the answer, and no more until it is left."""
    body = json.dumps(BATCH).encode()
    head = (
        "POST /solve/batch HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    url = httpx2.URL(gateway.url)
    loop = asyncio.get_running_loop()
    with socket.socket() as reader:
        reader.settimeout(0)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with asyncio.timeout(START_S):
            await loop.sock_connect(reader, (url.host, url.port))
            await loop.sock_sendall(reader, head.encode() + body)
            assert (await loop.sock_recv(reader, 12)).endswith(b"200")
            await asyncio.sleep(HELD_S)
