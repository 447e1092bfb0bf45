"""What still comes through a connection that is read within a budget, on both event loops."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from glore.engines.connection import HEAD_BYTES, MAX_INTERIM, PIECE_BYTES, TurnBudget
from glore.engines.exchange import EngineHTTPError
from glore.engines.generating import VllmGenerator
from glore.engines.ports import EngineError, Generation, Lease
from glore.engines.vllm import VllmEngine, open_engine
from tests.service.engines.fake_vllm import as_events, completion, completion_stream

LIMIT_S: Final = 30.0
TEXT: Final = "1 + 1 = 2, so\n" * 2000  # several pieces, in one read
LOOPS: Final = [asyncio.new_event_loop, uvloop.new_event_loop]
on_both_loops = pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
_Loop = Callable[[], asyncio.AbstractEventLoop]


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int) -> bytes:
    pieces = (body[index : index + size] for index in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@asynccontextmanager
async def replying(
    *replies: bytes, close: bool = False, heads: list[bytes] | None = None
) -> AsyncIterator[VllmEngine]:
    """An engine that sends these bytes, one for each request on a connection."""
    open_connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            for reply in replies:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                if heads is not None:
                    heads.append(head)
                writer.write(reply)
            if not close:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with open_engine(url, api_key=None, timeout=LIMIT_S) as engine:
            yield engine
        await asyncio.gather(*open_connections)  # which end with those of the client


def run(new_loop: _Loop, work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await work()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(limited())


async def generate(engine: VllmEngine, *, streamed: bool = False) -> Generation:
    return await VllmGenerator(engine, "student", "student").generate(
        "1 + 1?",
        n=1,
        temperature=0.0,
        top_p=1.0,
        max_tokens=1024,
        lease=Lease(LIMIT_S),
        on_text=(lambda _: None) if streamed else None,
    )


BODY: Final = json.dumps(completion(TEXT)).encode()
SOUND: Final = {
    "length": answer(BODY),
    "close": answer(BODY, b"Connection: close"),
    "until the end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "chunks": chunked(BODY, 100),
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * MAX_INTERIM + answer(BODY),
}


@on_both_loops
@pytest.mark.parametrize("reply", SOUND.values(), ids=SOUND)
def test_a_sound_answer_comes_through(new_loop: _Loop, reply: bytes) -> None:
    async def work() -> None:
        async with replying(reply, close=b"close" in reply) as engine:
            assert (await generate(engine)).completions[0].text == TEXT

    run(new_loop, work)


@on_both_loops
@pytest.mark.parametrize("size", [17, 1000, 100_000])
def test_a_sound_stream_comes_through(new_loop: _Loop, size: int) -> None:
    pieces = ["1 + 1 = 2\n"] * 1000
    stream = chunked(as_events(*completion_stream(*pieces)), size)

    async def work() -> None:
        async with replying(stream) as engine:
            generation = await generate(engine, streamed=True)
            assert generation.completions[0].text == "".join(pieces)

    run(new_loop, work)


@on_both_loops
def test_a_connection_is_used_again(new_loop: _Loop) -> None:
    async def work() -> None:
        async with replying(answer(b"1"), answer(b"2"), answer(b"3")) as engine:
            assert [await engine.get("/", timeout=LIMIT_S) for _ in "123"] == [b"1", b"2", b"3"]

    run(new_loop, work)


@on_both_loops
@pytest.mark.parametrize("padding", [0, 5 * PIECE_BYTES])
def test_what_follows_an_answer_is_not_the_next_one(new_loop: _Loop, padding: int) -> None:
    """Neither in the same read, nor on a connection that waits for its next request."""
    body = b"1" * (1 + padding)

    async def work() -> None:
        async with replying(answer(body) + answer(b"not asked"), answer(body)) as engine:
            for _ in range(3):
                assert await engine.get("/", timeout=LIMIT_S) == body

    run(new_loop, work)


TOO_MUCH: Final = {
    "interim responses": b"HTTP/1.1 103 H\r\n\r\n" * (MAX_INTERIM + 1) + answer(BODY),
    "heads": (b"HTTP/1.1 103 H\r\n" + b"a: b\r\n" * 100 + b"\r\n") * (HEAD_BYTES // 600)
    + answer(b"{}"),
    "encoded": answer(BODY, b"Content-Encoding: gzip"),
    "switching": answer(b"", b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching"),
}


@on_both_loops
@pytest.mark.parametrize("reply", TOO_MUCH.values(), ids=TOO_MUCH)
def test_more_than_an_answer_may_have_is_a_bad_response(new_loop: _Loop, reply: bytes) -> None:
    async def work() -> None:
        async with replying(reply) as engine:
            with pytest.raises(EngineError, match="bad_response"):
                await generate(engine)

    run(new_loop, work)


def test_engines_are_requested_not_to_encode_their_answers() -> None:
    async def work() -> None:
        heads: list[bytes] = []
        async with replying(answer(b""), heads=heads) as engine:
            await engine.get("/", timeout=LIMIT_S)
        assert b"Accept-Encoding: identity\r\n" in heads[0]

    run(asyncio.new_event_loop, work)


PARTS: Final = (
    *(b"HTTP/1.1 ", b"200 OK", b"103 H", b"\r\n", b"\n", b":", b" ", b"\0", b"\xff", b"{}"),
    *(b"Content-Length: ", b"10", b"-1", b"ffffffffffffffffff", b"0\r\n", b"Set-Cookie: a="),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Type: text/html; charset=x\r\n"),
)
BYTES = st.binary(max_size=200) | st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join)


@settings(max_examples=60)
@given(BYTES, st.booleans())
def test_whatever_bytes_come_it_is_a_fault(sent: bytes, close: bool) -> None:
    async def work() -> None:
        async with replying(b"HTTP/1.1 200 OK\r\n" + sent, close=close) as engine:
            with suppress(EngineHTTPError):  # an empty body is for others to judge
                await engine.stream("/", {}, lambda _: None, lease=Lease(0.05))

    run(asyncio.new_event_loop, work)


async def test_a_turn_has_a_budget_and_those_who_wait_are_served_in_order() -> None:
    budget = TurnBudget()
    order: list[str] = []

    async def ask(name: str, size: int) -> None:
        await budget.room(size)
        order.append(name)

    async def turn() -> None:
        """Ends with the turn of the loop in which the budget is renewed."""
        await asyncio.sleep(0)
        order.append("-")

    tasks = [asyncio.create_task(ask(name, 12_000)) for name in "abcde"]
    for _ in range(5):
        await turn()
    await asyncio.gather(*tasks)
    assert "".join(order).strip("-").replace("--", "-") == "ab-cd-e"
