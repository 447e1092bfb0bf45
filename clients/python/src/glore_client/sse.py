"""Server-sent events out of bytes, however they are cut (WHATWG HTML, section 9.2.6).

`httpx2.EventSource` gives no control between two events: its reader of a stream of heartbeats
would outlast every time limit. `id` and `retry` are ignored: they serve reconnecting, and such a
stream cannot continue.
"""

import re
from dataclasses import dataclass

MAX_LENGTH = 4 * 1024 * 1024  # bytes of one event; those of a gateway are far smaller
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class TooLongError(ValueError):
    """An event or a line is longer than the limit."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its name, "message" where it has none, and its data."""

    event: str
    data: str


class EventParser:
    """Splits bytes into events. It holds one unfinished event at most."""

    def __init__(self, limit: int = MAX_LENGTH) -> None:
        self._limit = limit
        self._line = bytearray()
        self._first = True  # a byte order mark may precede the first line
        self._after_cr = False  # a line feed would belong to the line end before it
        self._event = ""
        self._data: bytearray | None = None  # its lines so far, None before the first

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that end in `chunk`. Raises TooLongError."""
        if not chunk:
            return []
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        events = []
        *ended, rest = _LINE_END.split(chunk)
        for part in ended:
            self._add(part)
            event = self._take(bytes(self._line))
            self._line.clear()
            if event is not None:
                events.append(event)
        self._add(rest)
        return events

    def _add(self, part: bytes) -> None:
        if len(self._line) + len(part) + len(self._data or b"") > self._limit:
            message = f"an event of more than {self._limit} bytes"
            raise TooLongError(message)
        self._line += part

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")  # a comment has no name
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"data":
            if self._data is None:
                self._data = bytearray(value)
            else:
                self._data += b"\n" + value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event, data = self._event or "message", self._data
        self._event = ""
        self._data = None
        return None if data is None else ServerSentEvent(event, data.decode(errors="replace"))
