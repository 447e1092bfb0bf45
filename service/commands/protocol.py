"""uvicorn's HTTP protocol with an end to its patience with clients.

uvicorn waits for ever for one: its keep-alive time runs only after a response, and stops with the
first byte that follows. A client that sends nothing, or a head drop by drop, would keep its
connection as long as it likes; and httptools keeps whatever belongs to a head that does not end, or
to the trailers of a chunked body. Nor does it ever let go of a client that takes no answer.
"""

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
else:  # h11's where there is no httptools; that one bounds heads itself
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as _Protocol

# Seconds; a little more than what is told bit by bit waits for, and ends in order.
_STALLED: Final = 35.0
LONGEST_HEAD: Final = 64 * 1024  # bytes, as with h11; what came with the first of them not counted


class HeadProtocol(_Protocol):
    """Closes a connection whose next head is not whole in time, or too long, as trailers may be.

    Without a word: half a head says neither what is asked nor in which version of HTTP. The time
    begins with the connection, and with the first byte after a response; between the two uvicorn's
    keep-alive time runs. A connection whose client does not take what waits for it is cut.
    """

    patience: ClassVar[float]  # seconds

    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _in_message = False  # with httptools
    _came_on = False  # with the bytes that came last
    _unfinished = 0  # bytes of a head, of trailers or of a chunk's own head

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop waiting once a head is whole; begin with the first byte of the next one."""
        self._came_on = False
        super().data_received(data)
        goes_on = self._in_message and not self._came_on
        self._unfinished = self._unfinished + len(data) if goes_on else 0
        if self._unfinished > LONGEST_HEAD:
            self._give_up()
        elif self._is_busy:
            self._stop_waiting()
        elif self._timer is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._flows()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to take something: too much waits for it."""
        super().pause_writing()
        self._stalled = self.loop.call_later(_STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop waiting: the client has taken it."""
        self._flows()
        super().resume_writing()

    def on_message_begin(self) -> None:
        """Note that a head has begun (httptools)."""
        self._in_message = self._came_on = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head is whole (httptools)."""
        self._came_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a part of a body has come (httptools)."""
        self._came_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is whole (httptools)."""
        self._in_message = False
        super().on_message_complete()

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

    def _flows(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.close()


def with_patience(seconds: float) -> type[HeadProtocol]:
    """The protocol that gives up after so many seconds; uvicorn makes one per connection."""

    class Protocol(HeadProtocol):
        patience = seconds

    return Protocol
