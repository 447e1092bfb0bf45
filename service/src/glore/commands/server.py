"""uvicorn's server with an end in three steps: not ready, not listening, not working."""

import asyncio
import gc
import math
import signal
import time
from functools import partial
from socket import socket
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from glore.api.draining import Drain
from glore.commands.protocol import GatewayProtocol

_LAST_ANSWERS: Final = 5.0  # seconds for answers to get out once all work has ended
# Python's default of 700 new objects would start a collection several times in each request.
_GC_THRESHOLDS: Final = (20_000, 20, 100)


class GatewayServer(uvicorn.Server):
    """Serves an app until SIGTERM or SIGINT.

    From the signal on the app is not ready. It listens for `delay` seconds more, for a balancer
    to see that; then what it works on has `grace` seconds. After SIGINT it does not listen any
    more. A second signal ends the first wait, one more the other.

    The head of a request may take `head_timeout` seconds; a connection without a request is closed
    after `keep_alive` seconds.
    """

    def __init__(
        self,
        app: FastAPI,
        drain: Drain,
        *,
        delay: float,
        grace: float,
        head_timeout: float,
        keep_alive: int,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(GatewayProtocol, head_timeout=head_timeout),  # type: ignore[arg-type]
                ws="none",
                timeout_keep_alive=keep_alive,
                log_config=None,
                server_header=False,  # the app has its own
                access_log=False,
                timeout_graceful_shutdown=math.ceil(grace + _LAST_ANSWERS),
            )
        )
        self._drain = drain
        self._delay = delay
        self._grace = grace
        self._hurry = False
        self._leaves: float | None = None
        self._gc_thresholds = gc.get_threshold()  # set again at the end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave, or leave sooner; uvicorn has this called as a signal handler."""
        if not self._drain.begun:
            self._drain.begin()
            self._hurry = sig == signal.SIGINT
            super().handle_exit(sig, frame)
        elif not self._hurry:
            self._hurry = True
        else:
            self._drain.end()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start the app, then exclude its objects from garbage collection: they live as long."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop listening; uvicorn asks ten times a second."""
        if not await super().on_tick(counter):
            return False
        now = time.monotonic()
        if self._leaves is None:
            self._leaves = now + self._delay
        return self._hurry or now >= self._leaves

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop listening, and wait for what is being worked on."""
        self._drain.close()
        end = asyncio.get_running_loop().call_later(self._grace, self._drain.end)
        await super().shutdown(sockets)
        end.cancel()
        gc.set_threshold(*self._gc_thresholds)
        gc.unfreeze()
