"""What a call does, step by step, without doing it.

A call is a generator. It yields a step and is sent what came of it: after `Send` the response
(or the transport's exception, a TimeoutException when its time is over), after `Read` the next
bytes (b"" at the end, or the exception), after `Pause` and `Give` nothing. `Carrier` and
`AsyncCarrier` only carry the steps out, so both clients behave the same.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import httpx2

T = TypeVar("T")

CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send this request; the body of the response is left to `Read`.

    `timeout`: seconds until the answer is there; of an answer that is told bit by bit, until it
    begins. `silence`: seconds that may then pass without a byte.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, object] | None
    timeout: float
    silence: float | None = None

    @property
    def patience(self) -> float:
        """Seconds that may pass without a byte of an answer that is told bit by bit."""
        return self.timeout if self.silence is None else self.silence

    def timeouts(self) -> httpx2.Timeout:
        """The same for the transport, connecting kept short."""
        return httpx2.Timeout(self.timeout, connect=min(self.timeout, CONNECT_TIMEOUT))


@dataclass(frozen=True, slots=True)
class Read:
    """Read what comes next of the last response.

    `timeout`: seconds until it is there.
    """

    timeout: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Give(Generic[T]):
    """Give this to whoever asked."""

    item: T


Reply: TypeAlias = httpx2.Response | bytes | httpx2.RequestError | None
Flow: TypeAlias = Generator[Send | Read | Pause | Give[T], Reply, None]
