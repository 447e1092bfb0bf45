"""Lines of NDJSON out of bytes, however they are cut."""

from glore_client.sse import LONGEST, TooLongError


class LineParser:
    """Takes bytes as they come and gives the lines that they end. Keeps at most one line."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
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
        if len(self._line) + len(part) > self._longest:
            message = f"a line of more than {self._longest} bytes"
            raise TooLongError(message)
        self._line += part
