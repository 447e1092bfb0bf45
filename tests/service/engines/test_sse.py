"""Events from bytes, wherever the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engines.sse import EventReader


def read(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [data for piece in pieces for data in reader.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data\n\n", [b""]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [b"a", b"b", b"c"]),
        (b": a comment\n\nid: 7\nevent: x\nretry: 1\ndata: a\n\n", [b"a"]),
        (b"event: without data\n\ndata: a\n\n", [b"a"]),
        (b"datax: a\n\nxdata: b\n\n", []),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data: a: b\n\n", [b"a: b"]),
        (b"data: not ended", []),
        (b"data: not ended by a blank line\n", []),
    ],
)
def test_the_data_of_each_event_is_read(stream: bytes, events: list[bytes]) -> None:
    assert read(stream) == events
    assert read(*(bytes([byte]) for byte in stream)) == events


LINES = st.sampled_from([b"data: a", b"data:", b"data: b", b": c", b"id: 1", b"", b""])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=12), st.data())
def test_it_does_not_matter_where_a_stream_is_cut(
    lines: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(line + end for line, end in lines) + b"data: last\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == read(stream)
    assert read(stream)[-1].endswith(b"last")
