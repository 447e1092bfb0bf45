"""A hard end for a step that blocks.

The transport's own limits hold for one operation each and begin anew with every byte, so a head
or body that trickles would outlast them. All that goes over a connection goes through its network
stream, and the transport shows each as it is opened (the `trace` extension of httpx2): there, every
operation is held to what is left of the step that the thread is in.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2

_OPENED = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")
_end: ContextVar[float] = ContextVar("end", default=math.inf)  # by time.monotonic


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What the block does on connections that `hold` was shown ends after so many seconds.

    It ends with an httpx2.TimeoutException.
    """
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def hold(event: str, info: Mapping[str, Any]) -> None:
    """Have a connection that is opened keep to the limits of `within`; a `trace` extension."""
    if event.endswith(_OPENED):
        stream = info["return_value"]
        stream.read = _held_read(stream.read)
        stream.write = _held_write(stream.write)
        stream.start_tls = _held_start(stream.start_tls)


# What stands in for an operation has the names of its arguments: some are called by them.
def _held_read(read: Callable[[int, float | None], bytes]) -> Callable[..., bytes]:
    def held(max_bytes: int, timeout: float | None = None) -> bytes:
        return read(max_bytes, _left(timeout))

    return held


def _held_write(write: Callable[[bytes, float | None], None]) -> Callable[..., None]:
    def held(buffer: bytes, timeout: float | None = None) -> None:
        write(buffer, _left(timeout))

    return held


def _held_start(start_tls: Callable[[Any, str | None, float | None], Any]) -> Callable[..., Any]:
    def held(
        ssl_context: object, server_hostname: str | None = None, timeout: float | None = None
    ) -> object:
        return start_tls(ssl_context, server_hostname, _left(timeout))

    return held


def _left(timeout: float | None) -> float | None:
    """The transport's own limit, or what is left of the step where that is less."""
    left = _end.get() - time.monotonic()
    if left <= 0.0:
        message = "the time of the step is over"
        raise httpx2.ReadTimeout(message)
    if math.isinf(left):
        return timeout
    return left if timeout is None else min(timeout, left)
