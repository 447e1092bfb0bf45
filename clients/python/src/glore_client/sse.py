"""Server-sent events out of bytes, however they are cut (WHATWG HTML, section 9.2.6).

`httpx2.EventSource` reads them as well, but shows no comments: a stream of nothing but heartbeats
would outlast every limit of time. `id` and `retry` are not kept: they serve reconnecting, and a
question is not gone on with.
"""

import re
from dataclasses import dataclass

LONGEST = 4 * 1024 * 1024  # bytes of one event; the largest that a gateway sends is far smaller
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class TooLongError(ValueError):
    """More bytes belong together than are kept."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its name, "message" where it has none, and its data."""

    event: str
    data: str


class EventParser:
    """Takes bytes as they come and gives the events that they end. Keeps at most one event."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._line = bytearray()
        self._first = True  # a byte order mark may stand before the first line
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
        if len(self._line) + len(part) + len(self._data or b"") > self._longest:
            message = f"an event of more than {self._longest} bytes"
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
