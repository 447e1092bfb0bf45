import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.api.disconnect import while_connected
from service.errors import ClientGoneError
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
