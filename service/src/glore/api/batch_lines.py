"""Lines of NDJSON on their way to a client, and signs of life between them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.types import Send

from glore.api.disconnect import hand_over

_T = TypeVar("_T")
HEARTBEAT: Final = b"\n"  # readers of NDJSON skip blank lines


class NDJSONWriter:
    """The body of an answer that has begun, written a whole line at a time.

    After `heartbeat` seconds in which nothing was written a blank line is, while there is work.
    """

    def __init__(self, send: Send, heartbeat: float) -> None:
        self._send = send
        self._heartbeat = heartbeat
        self._writing = asyncio.Lock()
        self._wrote = asyncio.get_running_loop().time()

    async def write(self, line: str) -> None:
        """Send a line, which ends with its newline. Raises ClientGoneError."""
        async with self._writing:
            await self._hand_over(line.encode())

    async def end(self, line: str) -> None:
        """Send the last line. Raises ClientGoneError."""
        await self.write(line)
        await hand_over(self._send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def alive_during(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, with signs of life while it is silent.

        Raises ClientGoneError when they are not taken, and whatever `work` raises.
        """
        try:
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(self._beat())
                result = await work
                beating.cancel()
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        return result

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._silence_left)
            async with self._writing:  # a line may have been on its way, to a slow reader
                if self._silence_left <= 0:
                    await self._hand_over(HEARTBEAT)

    @property
    def _silence_left(self) -> float:
        """Seconds until it is time for a sign of life."""
        return self._wrote + self._heartbeat - asyncio.get_running_loop().time()

    async def _hand_over(self, content: bytes) -> None:
        message = {"type": "http.response.body", "body": content, "more_body": True}
        await hand_over(self._send, message)
        self._wrote = asyncio.get_running_loop().time()
