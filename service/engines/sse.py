"""Server-sent events as they come over the wire (WHATWG HTML, section 9.2)."""

import re
from collections.abc import Iterator
from typing import Final

_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")  # after a last \r there may come its \n


class EventReader:
    """Takes bytes in pieces of any size and gives the data of each event; other fields are left.

    What is not ended by a blank line is no event. It keeps what has not ended, of any size: who
    feeds it sets the bound.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of the events that end in this piece."""
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        for line in lines:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not line and self._data:
                data, self._data = b"\n".join(self._data), []
                yield data
