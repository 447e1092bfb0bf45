"""Lines of NDJSON from bytes, however they are cut."""

from glore_client.sse import MAX_LENGTH, TooLongError


class LineParser:
    """Splits bytes into lines. It holds one unfinished line at most."""

    def __init__(self, limit: int = MAX_LENGTH) -> None:
        self._limit = limit
        self._line = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end in `chunk`, empty ones left out. Raises TooLongError."""
        lines = []
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part)
            if self._line.strip():
                lines.append(bytes(self._line))
            self._line.clear()
        self._add(rest)
        return lines

    def _add(self, part: bytes) -> None:
        if len(self._line) + len(part) > self._limit:
            message = f"a line of more than {self._limit} bytes"
            raise TooLongError(message)
        self._line += part
