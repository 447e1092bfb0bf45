"""Server-sent events as they come over the wire (WHATWG HTML, section 9.2)."""

import re
from collections.abc import Iterator
from typing import Final

MAX_EVENT_BYTES: Final = 64 * 1024
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_DATA: Final = b"data: "


class EventTooLongError(Exception):
    """An event is longer than any sound one, or a stream has too many lines."""


class EventReader:
    """Takes bytes in pieces of any size and gives the data of each event; other fields are left.

    What is not ended by a blank line is no event. An event may have MAX_EVENT_BYTES, without the
    ends of its lines, the stream `most_lines`, blank ones included. Each byte is looked at once,
    however the bytes are cut.
    """

    def __init__(self, most_lines: int) -> None:
        self._lines_left = most_lines
        self._line: list[bytes] = []  # the pieces of the line that has not ended
        self._data: list[bytes] = []  # of the event that has not ended
        self._size = 0  # bytes of that event so far, in all its fields
        self._after_return = False  # the last byte was \r: a \n now would belong to it

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of the events that end in this piece. Raises EventTooLongError."""
        if not piece:
            return
        lines = _lines_of_events(piece) if self._size == 0 else ()
        if lines:
            self._after_return = False
            for line in lines:
                self._lines_left -= 2
                if len(line) > MAX_EVENT_BYTES or self._lines_left < 0:
                    raise EventTooLongError
                yield line[len(_DATA) :]
            return
        begin = int(self._after_return and piece.startswith(b"\n"))
        self._after_return = piece.endswith(b"\r")
        for end in _LINE_END.finditer(piece, begin):
            self._extend(piece[begin : end.start()])
            begin = end.end()
            if (data := self._ended()) is not None:
                yield data
        self._extend(piece[begin:])

    def _extend(self, part: bytes) -> None:
        """Add to the line that has not ended."""
        self._size += len(part)
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLongError
        if part:
            self._line.append(part)

    def _ended(self) -> bytes | None:
        """Read the line that has just ended; the data of the event if that ended with it."""
        self._lines_left -= 1
        if self._lines_left < 0:
            raise EventTooLongError
        line = b"".join(self._line)
        self._line.clear()
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            return None
        data, self._data, self._size = self._data, [], 0
        return b"\n".join(data) if data else None


def _lines_of_events(piece: bytes) -> list[bytes]:
    """The lines of a piece of whole events, each a line of data, as vLLM sends them; else none."""
    if b"\r" in piece or not piece.endswith(b"\n\n"):
        return []
    lines = piece[:-2].split(b"\n\n")
    plain = piece.count(b"\n") == 2 * len(lines) and all(line.startswith(_DATA) for line in lines)
    return lines if plain else []
