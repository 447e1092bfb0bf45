import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.types import Message

from glore.api.disconnect import handing_over, while_connected
from glore.errors import ClientGoneError
from tests.service import virtual
from tests.service.api.asgi import Exchange


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """No task is left behind by any test that uses it."""
    yield Exchange()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


class Work:
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise AssertionError


async def test_the_result_is_passed_on(exchange: Exchange) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    exchange.body(b"left over")
    assert await while_connected(exchange.receive, work()) == "done"


async def test_an_error_is_passed_on(exchange: Exchange) -> None:
    async def work() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await while_connected(exchange.receive, work())


async def test_a_cancellation_that_nobody_asked_for_is_an_error(exchange: Exchange) -> None:
    async def work() -> str:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled while the client was there") as caught:
        await while_connected(exchange.receive, work())
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


async def test_a_disconnect_cancels_the_work(exchange: Exchange) -> None:
    work = Work()
    waiting = asyncio.create_task(while_connected(exchange.receive, work()))
    await work.started.wait()
    exchange.leave()
    with pytest.raises(ClientGoneError):
        await waiting
    assert work.cancelled


async def test_cancelling_the_wait_cancels_the_work(exchange: Exchange) -> None:
    work = Work()
    waiting = asyncio.create_task(while_connected(exchange.receive, work()))
    await work.started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.cancelled


async def test_a_result_that_is_there_wins_over_a_disconnect(exchange: Exchange) -> None:
    async def work() -> str:
        return "done"

    exchange.leave()
    assert await while_connected(exchange.receive, work()) == "done"


# --- a client that takes nothing, in virtual time ----------------------------------------------

MESSAGE: Message = {"type": "http.response.body", "body": b"a", "more_body": True}


def seconds_to_send(*delays: float) -> float:
    """How long it takes to send a message for each delay; the client takes it after that."""

    async def work() -> float:
        waits = iter(delays)

        async def send(_message: Message) -> None:
            await asyncio.sleep(next(waits))

        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with handing_over(send) as send_in_time:
                for _ in delays:
                    await send_in_time(MESSAGE)
        except ClientGoneError:
            return began - loop.time()  # negative: it was given up
        return loop.time() - began

    return virtual.run(work())


def test_a_slow_client_is_not_gone() -> None:
    assert seconds_to_send(20.0, 20.0, 0.0, 29.0) == pytest.approx(69.0)


@pytest.mark.parametrize("before", [(), (20.0,), (0.0, 29.0, 0.0), (1.0,) * 100])
def test_a_client_that_takes_nothing_for_so_long_is_gone(before: tuple[float, ...]) -> None:
    assert seconds_to_send(*before, 31.0) == pytest.approx(-(sum(before) + 30.0))


def test_a_broken_connection_is_a_client_that_is_gone() -> None:
    async def work() -> None:
        async def send(_message: Message) -> None:
            raise BrokenPipeError

        with pytest.raises(ClientGoneError):
            async with handing_over(send) as send_in_time:
                await send_in_time(MESSAGE)

    virtual.run(work())


def test_time_between_messages_does_not_count() -> None:
    async def work() -> None:
        async def send(_message: Message) -> None:
            await asyncio.sleep(0)

        async with handing_over(send) as send_in_time:
            await send_in_time(MESSAGE)
            await asyncio.sleep(100.0)
            await send_in_time(MESSAGE)

    virtual.run(work())


def test_a_timeout_of_the_block_itself_is_passed_on() -> None:
    async def work() -> None:
        exchange = Exchange()
        with pytest.raises(TimeoutError):
            async with handing_over(exchange.send):
                raise TimeoutError

    virtual.run(work())


def test_many_messages_take_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> int:
        timers = virtual.timers(monkeypatch)
        exchange = Exchange()
        async with handing_over(exchange.send) as send_in_time:
            for _ in range(1000):
                await send_in_time(MESSAGE)
        assert len(exchange.sent) == 1000
        return len(timers)

    assert virtual.run(work()) == 1
