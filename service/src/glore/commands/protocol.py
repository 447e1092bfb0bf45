"""HTTP/1.1 on a socket: uvicorn's h11 protocol, with limits on what a client sends and how slowly.

h11 limits a head that arrives in pieces, and nothing that arrives in one piece: neither the number
of header lines nor of chunks, each of which costs it microseconds. uvicorn waits without a limit
for a head, and for a client that reads nothing; and it stops reading while a pipelined request
waits, so that it does not see its client leave.
"""

import asyncio
from typing import Any, Final, NoReturn

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

MAX_HEAD: Final = 64 * 1024  # bytes
MAX_HEADER_LINES: Final = 100
MAX_TARGET: Final = 8 * 1024  # bytes of a path and its query
MAX_PIPELINED: Final = MAX_HEAD  # bytes behind a request that is not answered yet
FREE_CHUNKS: Final = 1024  # of a chunked body, whatever their size
MIN_MEAN_CHUNK: Final = 128  # bytes, over the chunks beyond those

_READ: Final = 16 * 1024  # bytes that h11 is given at a time, so that its own limits apply
_NEXT_REQUEST: Final = 1  # second after an answer, in which the next request may be under way
_LINGER: Final = 2.0  # seconds in which a refused client may read why, before a reset
_STALLED: Final = 35.0  # seconds; longer than the 30 s after which a stream gives up in order

_HEAD_TOO_LARGE: Final = 431
_TEXTS: Final = {
    400: "The request cannot be read as HTTP/1.1.",
    _HEAD_TOO_LARGE: f"A head may have {MAX_HEADER_LINES} lines and {MAX_HEAD} bytes.",
    501: "Of the transfer codings, only chunked is read.",
}


class BoundedConnection(h11.Connection):
    """Reads what a client sends; raises RemoteProtocolError where that exceeds a limit.

    A request behind one that is not answered yet waits in the buffer, and gives no event:
    reading goes on. What follows the last request of a connection is dropped.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self.refusal = (400, _TEXTS[400])  # status and text, once an error has been raised
        self._chunks = 0
        self._body = 0  # bytes

    def receive_data(self, data: bytes) -> None:
        """Add to the buffer."""
        if self.their_state is not h11.MUST_CLOSE:
            super().receive_data(data)

    def next_event(self) -> Any:
        """The next event, or NEED_DATA. Raises RemoteProtocolError."""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            self.refusal = (status, _TEXTS.get(status, _TEXTS[400]))
            raise
        if isinstance(event, h11.Request):
            self._check_head(event)
        elif isinstance(event, h11.Data):
            self._check_chunks(event)
        elif event is h11.NEED_DATA:
            if self.trailing_data[0].count(b"\n") > MAX_HEADER_LINES:
                self._refuse(_HEAD_TOO_LARGE, _TEXTS[_HEAD_TOO_LARGE])
        elif event is h11.PAUSED:
            if len(self.trailing_data[0]) > MAX_PIPELINED:
                text = f"At most {MAX_PIPELINED} bytes may follow a request before its answer."
                self._refuse(400, text)
            return h11.NEED_DATA
        return event

    def _check_head(self, request: h11.Request) -> None:
        if len(request.target) > MAX_TARGET:
            self._refuse(414, f"A path with its query may have {MAX_TARGET} bytes.")
        size = len(request.target) + sum(len(n) + len(v) for n, v in request.headers.raw_items())
        if len(request.headers) > MAX_HEADER_LINES or size > MAX_HEAD:
            self._refuse(_HEAD_TOO_LARGE, _TEXTS[_HEAD_TOO_LARGE])
        self._chunks = self._body = 0

    def _check_chunks(self, data: h11.Data) -> None:
        self._chunks += data.chunk_start
        self._body += len(data.data)
        if self._chunks > FREE_CHUNKS + self._body // MIN_MEAN_CHUNK:
            text = (
                f"A body of more than {FREE_CHUNKS} chunks has at least {MIN_MEAN_CHUNK} bytes in "
                "each of the others, on average."
            )
            self._refuse(400, text)

    def _refuse(self, status: int, text: str) -> NoReturn:
        self.refusal = (status, text)
        raise h11.RemoteProtocolError(text, error_status_hint=status)


class GatewayProtocol(H11Protocol):
    """One connection.

    The head of a request may take `head_timeout` seconds, from the connection's beginning or the
    first byte after an answer. Between the two uvicorn's keep-alive time applies. Half a head is
    closed without an answer: it names no version of HTTP. A client that is refused while its
    request is worked on counts as disconnected.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        head_timeout: float,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = self._bounded = BoundedConnection()
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._stop_waiting()
        self._stop_stalling()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand the data on in parts, and wait for a head as long as there is no request."""
        for start in range(0, len(data), _READ):
            if self._refused or self.transport.is_closing():
                return
            super().data_received(data[start : start + _READ])
        if self._answering:
            self._stop_waiting()
        elif self._head_timer is None:
            self._wait_for_head()

    def shutdown(self) -> None:
        """Close once no request has come for _NEXT_REQUEST, from now or from an answer.

        An answer that began before the gateway's end did not say `Connection: close`. A request
        that its client sends down the connection would be lost if that were closed at once.
        """
        self._head_timeout = self.timeout_keep_alive = _NEXT_REQUEST
        if not self._answering and not self._refused:
            self._stop_waiting()
            self._unset_keepalive_if_required()
            self._wait_for_head()

    def pause_writing(self) -> None:
        """Wait for the client to read: too much is buffered for it."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(_STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that wait."""
        self._stop_stalling()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be read, or is too large, and close the connection."""
        self._refused = True
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()  # an answer has begun
            return
        status, text = self._bounded.refusal
        self.logger.info("answered %d: %s", status, text)
        content = text.encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(content)),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
        for event in (response, h11.Data(data=content), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self._linger()

    def _should_upgrade(self) -> bool:
        """Ignore offers of another protocol (RFC 9110, section 7.8): `h2c`, `websocket`."""
        return False

    @property
    def _answering(self) -> bool:
        """Whether there is a request that has not been answered yet."""
        return bool(self.cycle) and not self.cycle.response_complete

    def _linger(self) -> None:
        """Close once the client has read the answer.

        A socket that is closed with unread data in it resets the connection, and the client may
        lose the answer (RFC 9112, section 9.6).
        """
        self._stop_waiting()
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(_LINGER, self.transport.abort)

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(self._head_timeout, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_stalling(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
