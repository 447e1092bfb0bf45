"""uvicorn's HTTP protocol with an end to its patience for the head of a request.

uvicorn waits for ever for one: its keep-alive time runs only after a response, and stops with the
first byte that follows. A client that sends nothing, or a head drop by drop, would keep its
connection as long as it likes; and httptools keeps whatever belongs to a head that does not end.
"""

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
else:  # h11's where there is no httptools; that one bounds heads itself
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as _Protocol

LONGEST_HEAD: Final = 64 * 1024  # bytes, as with h11; what came with the first of them not counted


class HeadProtocol(_Protocol):
    """Closes a connection whose next head is not whole in time, or that is too long.

    Without a word: half a head says neither what is asked nor in which version of HTTP. The time
    begins with the connection, and with the first byte after a response; between the two uvicorn's
    keep-alive time runs.
    """

    patience: ClassVar[float]  # seconds

    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _just_begun = False  # with the bytes that came last
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop waiting once a head is whole; begin with the first byte of the next one."""
        self._just_begun = False
        super().data_received(data)
        goes_on = self._in_head and not self._just_begun
        self._head_bytes = self._head_bytes + len(data) if goes_on else 0
        if self._head_bytes > LONGEST_HEAD:
            self._give_up()
        elif self._is_busy:
            self._stop_waiting()
        elif self._timer is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Note that a head has begun (httptools)."""
        self._in_head = self._just_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head is whole (httptools)."""
        self._in_head = False
        super().on_headers_complete()

    @property
    def _is_busy(self) -> bool:
        """Whether a request has come and is not answered yet."""
        return bool(self.cycle) and not self.cycle.response_complete

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.close()


def with_patience(seconds: float) -> type[HeadProtocol]:
    """The protocol that gives up after so many seconds; uvicorn makes one per connection."""

    class Protocol(HeadProtocol):
        patience = seconds

    return Protocol
