"""The end of a gateway's life: not ready, not listening, not working.

A balancer sends nothing more once `/readyz` says no; until it has looked, requests still come,
and are answered. Then nothing new comes, and a batch that another gateway can go on with begins
no more questions. What is not answered within the grace time is answered with a problem.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from glore.errors import ShuttingDownError

_TOO_LATE: Final = "The gateway stops, and could not answer within its grace time."


class Drain:
    """How near its end the gateway is. Call it in the thread of the event loop.

    `closed` is set once it takes nothing new, `over` once it works no more; both are only read.
    """

    def __init__(self) -> None:
        self._begun = False
        self.closed: Final = asyncio.Event()
        self.over: Final = asyncio.Event()
        self._limits: set[asyncio.Timeout] = set()

    @property
    def begun(self) -> bool:
        """Whether the gateway is about to stop: it is not ready any more."""
        return self._begun

    def begin(self) -> None:
        """Stop being ready. A signal handler may call this."""
        self._begun = True

    def close(self) -> None:
        """Take nothing new: clients should go to another gateway."""
        self._begun = True
        self.closed.set()

    def end(self) -> None:
        """End all work. Once is enough: a signal and the end of the grace time may both say so."""
        if self.over.is_set():
            return
        self.close()
        self.over.set()
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            limit.reschedule(now)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """Work that is cancelled when it must end. Raises ShuttingDownError then, and after."""
        if self.over.is_set():
            raise ShuttingDownError(_TOO_LATE)
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._limits.add(limit)
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise ShuttingDownError(_TOO_LATE) from None
        finally:
            self._limits.discard(limit)
