"""Lines, cut at every place."""

import pytest

from glore_client.ndjson import LineParser
from glore_client.sse import TooLongError

TEXT = '{"a": "ü"}\n\n{"b": "\\n \u2028"}\r\n  \n{"c": 3'.encode()
LINES = ['{"a": "ü"}'.encode(), '{"b": "\\n \u2028"}\r'.encode()]


def test_no_cut_changes_what_is_read() -> None:
    for first in range(len(TEXT) + 1):
        for second in range(first, len(TEXT) + 1):
            parser = LineParser()
            chunks = (TEXT[:first], TEXT[first:second], TEXT[second:])
            assert [line for chunk in chunks for line in parser.feed(chunk)] == LINES


def test_an_endless_line_is_refused() -> None:
    parser = LineParser(limit=100)

    def feed() -> None:
        for _ in range(20):
            parser.feed(b"x" * 10)

    with pytest.raises(TooLongError, match="a line of more than 100 bytes"):
        feed()


def test_a_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(TooLongError, match="a line of more than 100 bytes"):
        LineParser(limit=100).feed(b"x" * 101 + b"\n")
