"""A time limit for blocking network calls.

The timeouts of httpx2 hold for one operation each and start again with every byte. So a response
that trickles would outlast them. Everything that a connection does goes through its network stream,
and httpx2 shows each stream as it is opened (the `trace` extension). Every operation of the stream
then gets what is left of the `time_limit` that its thread is in.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")

_OPENED = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)  # by time.monotonic


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End network operations of the block after so many seconds, with httpx2.TimeoutException.

    It holds for connections that `limit_connection` has seen.
    """
    token = _deadline.set(monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def limit_connection(event: str, info: Mapping[str, Any]) -> None:
    """Have a connection that is opened obey `time_limit`; a `trace` extension of httpx2."""
    if event.endswith(_OPENED):
        stream = info["return_value"]
        for name in ("read", "write", "start_tls"):
            setattr(stream, name, _limited(getattr(stream, name)))


def _limited(operation: Callable[..., T]) -> Callable[..., T]:
    signature = inspect.signature(operation)

    def limited(*args: Any, **keywords: Any) -> T:
        call = signature.bind(*args, **keywords)
        call.arguments["timeout"] = _time_left(call.arguments.get("timeout"))
        return operation(*call.args, **call.kwargs)

    return limited


def _time_left(timeout: float | None) -> float | None:
    """The operation's own timeout, or what is left of the limit if that is less."""
    left = _deadline.get() - monotonic()
    if left <= 0.0:
        message = "the time limit is over"
        raise httpx2.ReadTimeout(message)
    if math.isinf(left):
        return timeout
    return left if timeout is None else min(timeout, left)
