"""Signs of life between the lines of a batch."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from glore.api import disconnect
from glore.api.batch_lines import NDJSONWriter
from glore.app import create_app
from glore.errors import ClientGoneError
from glore.settings import Settings
from tests.service.api.test_batch import PATH, questions
from tests.service.fakes import FakeEngines
from tests.service.lines import lines_of

HEARTBEAT = 0.05  # seconds


class Reader:
    """Notes what it is sent; while it may not read, sending waits."""

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.at: list[float] = []
        self.may = asyncio.Event()
        self.may.set()
        self.sending = 0

    async def send(self, message: Any) -> None:
        self.sending += 1
        assert self.sending == 1
        await self.may.wait()
        self.read.append(message["body"])
        self.at.append(asyncio.get_running_loop().time())
        self.sending -= 1


@pytest.fixture
def reader() -> Reader:
    return Reader()


async def beats(reader: Reader, count: int) -> None:
    """Wait until it has read so many blank lines."""
    async with asyncio.timeout(20):
        while reader.read.count(b"\n") < count:
            await asyncio.sleep(0.005)


async def test_a_blank_line_is_sent_after_each_heartbeat_of_silence(reader: Reader) -> None:
    lines = NDJSONWriter(reader.send, HEARTBEAT)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def work() -> str:
        await beats(reader, 3)
        return "done"

    assert await lines.alive_during(work()) == "done"
    assert loop.time() - began >= 3 * HEARTBEAT
    await asyncio.sleep(2 * HEARTBEAT)
    assert reader.read == [b"\n"] * 3  # none once the work has ended
    await lines.end("last\n")
    assert reader.read[3:] == [b"last\n", b""]


async def test_lines_are_signs_of_life_as_well(reader: Reader) -> None:
    lines = NDJSONWriter(reader.send, HEARTBEAT)

    async def work() -> None:
        for _ in range(20):
            await lines.write("line\n")
            await asyncio.sleep(HEARTBEAT / 3)

    await lines.alive_during(work())
    assert reader.read.count(b"line\n") == 20
    silences = [then - before for before, then in pairwise(reader.at)]
    beats_after = [
        silence for silence, read in zip(silences, reader.read[1:], strict=True) if read == b"\n"
    ]
    assert all(silence >= HEARTBEAT for silence in beats_after)  # there are some where it is slow


async def test_none_is_sent_into_a_line_that_is_on_its_way_or_right_after_it(
    reader: Reader,
) -> None:
    lines = NDJSONWriter(reader.send, HEARTBEAT)
    reader.may.clear()

    async def work() -> None:
        writing = [asyncio.create_task(lines.write(f"{i}\n")) for i in range(3)]
        await asyncio.sleep(3 * HEARTBEAT)
        assert reader.sending == 1
        reader.may.set()
        await asyncio.gather(*writing)

    await lines.alive_during(work())
    assert [each for each in reader.read if each.strip()] == [b"0\n", b"1\n", b"2\n"]
    assert reader.read[:2] == [b"0\n", b"1\n"]


async def test_a_reader_that_does_not_take_them_is_gone(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disconnect, "_STALLED_S", 0.05)
    reader.may.clear()
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with asyncio.timeout(20):
        with pytest.raises(ClientGoneError):
            await NDJSONWriter(reader.send, HEARTBEAT).alive_during(work())
    assert ended.is_set()
    assert len(asyncio.all_tasks()) == 1


async def test_what_the_work_raises_is_raised(reader: Reader) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        message = "mine"
        raise ValueError(message)

    with pytest.raises(ValueError, match="mine"):
        await NDJSONWriter(reader.send, HEARTBEAT).alive_during(work())
    assert len(asyncio.all_tasks()) == 1


async def test_a_batch_that_is_silent_shows_that_it_is_alive(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    app = create_app(settings.model_copy(update={"heartbeat": HEARTBEAT}), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        headers = {"Glore-Deadline-Ms": "1000"}
        response = await client.post(PATH, json={"questions": questions(2)}, headers=headers)
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Length" not in response.headers
    blank = len(response.content) - len(response.content.lstrip(b"\n"))
    assert 2 <= blank <= 40  # in a second or so
    reported = [json.loads(line) for line in lines_of(response)]
    assert {line.get("index") for line in reported} == {0, 1, None}
    assert reported[-1] == {"done": True, "ok": 0, "errors": 2}
