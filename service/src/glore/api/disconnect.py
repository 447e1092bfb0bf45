"""Stops work that nobody waits for any more, and notices who has stopped reading."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from starlette.types import Message, Receive, Send

from glore.api.waiting import WaitTimer
from glore.errors import ClientGoneError

_T = TypeVar("_T")
_STALLED_S: Final = 30.0  # a client that reads nothing for so long counts as gone
_STALLED: Final = "The client has stopped taking the answer."


async def while_connected(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T:
    """The result of `work`, which is cancelled when the client disconnects.

    The request's body must have been read. Raises ClientGoneError after a disconnect, else
    whatever `work` raises; RuntimeError where that is a cancellation that nobody asked for, which
    would end the request without an answer. Both tasks have ended when this returns or is
    cancelled.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            try:
                return task.result()
            except asyncio.CancelledError as error:
                message = "the work was cancelled while the client was there"
                raise RuntimeError(message) from error
        message = "The client closed the connection before the answer was there."
        raise ClientGoneError(message)
    finally:
        task.cancel()
        watcher.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def hand_over(send: Send, message: Message) -> None:
    """Send it as soon as the client takes it. Raises ClientGoneError when it does not."""
    async with handing_over(send) as send_in_time:
        await send_in_time(message)


@asynccontextmanager
async def handing_over(send: Send) -> AsyncIterator[Send]:
    """As `hand_over`, for many messages, one after the other: one timer serves them all.

    The block is cancelled when the client does not take one. Raises ClientGoneError.
    """
    loop = asyncio.get_running_loop()
    timer = WaitTimer(_STALLED_S, lambda: limit.reschedule(loop.time()))

    async def send_in_time(message: Message) -> None:
        timer.begin()
        try:
            await send(message)
        except OSError:
            raise ClientGoneError(_STALLED) from None
        finally:
            timer.end()

    try:
        async with asyncio.timeout(None) as limit:
            try:
                yield send_in_time
            finally:
                timer.close()
    except TimeoutError:
        if not limit.expired():
            raise
        raise ClientGoneError(_STALLED) from None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
