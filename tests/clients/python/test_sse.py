"""Server-sent events, cut at every place. Examples marked WHATWG are the standard's own."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_client.sse import EventParser, ServerSentEvent, TooLongError

Events = list[tuple[str, str]]

CASES: list[tuple[bytes, Events]] = [
    # WHATWG: three lines of data are one event
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10")]),
    # WHATWG: a comment, an event with an id, one with an empty id, one with a leading space
    (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        [("message", "first event"), ("message", "second event")],
    ),
    # WHATWG: an empty event, one of two empty lines, and one that is cut off
    (b"data\n\ndata\ndata\n\ndata:", [("message", ""), ("message", "\n")]),
    # WHATWG: with and without a space
    (b"data:test\n\ndata: test\n\n", [("message", "test"), ("message", "test")]),
    (b"event: add\ndata: 1\n\nevent: remove\ndata: 2\n\n", [("add", "1"), ("remove", "2")]),
    (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [("message", each) for each in "abc"]),
    (b"data: a\r\ndata: b\rdata: c\n\r\n", [("message", "a\nb\nc")]),
    (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a")]),
    ("data: ü 🍎 \u2028 \u0085\n\n".encode(), [("message", "ü 🍎 \u2028 \u0085")]),
    (b"data: \xff\xe2\x82\n\n", [("message", "\ufffd\ufffd")]),
    (b"event: lost\n\ndata: a\n\n", [("message", "a")]),
    (b"event: a\nevent: b\nevent:\ndata: c\n\n", [("message", "c")]),
    (b"retry: 10\nid: 7\nfuture: x\nDATA: no\n data: no\ndata: a: b\n\n", [("message", "a: b")]),
    (b": heartbeat\n\n: heartbeat\r\n\r\n", []),
    (b"", []),
]


def parsed(*chunks: bytes) -> Events:
    parser = EventParser()
    return [(event.event, event.data) for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(("text", "events"), CASES)
def test_events_are_read_as_the_standard_says(text: bytes, events: Events) -> None:
    assert parsed(text) == events


@pytest.mark.parametrize(("text", "events"), CASES)
def test_no_cut_changes_what_is_read(text: bytes, events: Events) -> None:
    assert parsed(*(text[i : i + 1] for i in range(len(text)))) == events
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            assert parsed(text[:first], text[first:second], b"", text[second:]) == events


@given(
    lines=st.lists(
        st.sampled_from([b"data: x", b"data", b"event: e", b": c", b"", b"", b"id: 1", b"\xc3\xbc"])
    ),
    end=st.sampled_from([b"\n", b"\r", b"\r\n"]),
    cuts=st.lists(st.integers(0, 200)),
)
def test_line_ends_and_cuts_make_no_difference(
    lines: list[bytes], end: bytes, cuts: list[int]
) -> None:
    text = b"".join(line + end for line in lines)
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    cut_up = [text[start:stop] for start, stop in pairwise(places)]
    assert parsed(*cut_up) == parsed(b"".join(line + b"\n" for line in lines))


def test_an_event_ends_with_its_last_byte() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r\n") == []
    assert parser.feed(b"\r") == [ServerSentEvent("message", "a")]
    assert parser.feed(b"\ndata: b\n\n") == [ServerSentEvent("message", "b")]


@pytest.mark.parametrize("part", [b"x" * 10, b"data: xxxx\n", b"data\n"])
def test_an_endless_event_is_refused(part: bytes) -> None:
    parser = EventParser(limit=1000)

    def feed() -> None:
        for _ in range(10_000):
            parser.feed(part)

    with pytest.raises(TooLongError, match="an event of more than 1000 bytes"):
        feed()


@pytest.mark.parametrize("ended", [b"x: " + b"x" * 98 + b"\n", b"data: " + b"x" * 99 + b"\n\n"])
def test_an_event_that_is_too_long_is_refused(ended: bytes) -> None:
    with pytest.raises(TooLongError, match="an event of more than 100 bytes"):
        EventParser(limit=100).feed(ended)


def test_many_events_are_not_one_long_one() -> None:
    parser = EventParser(limit=100)
    assert sum(len(parser.feed(b"data: " + b"x" * 80 + b"\n\n")) for _ in range(50)) == 50
