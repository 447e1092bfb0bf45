"""Events from bytes, wherever the bytes are cut."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.engines.sse import MAX_EVENT_BYTES, EventReader, EventTooLongError


def read(*pieces: bytes, most_lines: int = 1_000_000) -> list[bytes]:
    reader = EventReader(most_lines)
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
        (b"data: a\n\r\n\rdata: b\r\n\r\ndata: c\r\r\n", [b"a", b"b", b"c"]),
        (b"data: a\r\n\ndata: b\n\r", [b"a", b"b"]),
        (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
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


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_end_of_a_line_may_be_cut_in_two(end: bytes) -> None:
    stream = end.join((b"data: a", b"data: b", b"", b"data: c", b"", b""))
    for cut in range(len(stream) + 1):
        assert read(stream[:cut], b"", stream[cut:]) == [b"a\nb", b"c"]


def test_an_event_ends_with_its_last_byte() -> None:
    assert read(b"data: a\r\r") == read(b"data: a\r\n\r") == [b"a"]


LONGEST = b"data: " + b"x" * (MAX_EVENT_BYTES - len(b"data: "))


def test_an_event_may_be_so_long_and_no_longer() -> None:
    assert read(*[LONGEST + b"\n\n"] * 3) == [LONGEST[len(b"data: ") :]] * 3
    with pytest.raises(EventTooLongError):
        read(LONGEST + b"x\n\n")


@pytest.mark.parametrize("line", [b"x", b"data: x\n", b": comment\n", b"id: 1\r"])
def test_an_event_without_an_end_is_not_stored(line: bytes) -> None:
    with pytest.raises(EventTooLongError):
        read(*[line] * (MAX_EVENT_BYTES + 1))


@pytest.mark.parametrize("size", [1, 7, 1460])
def test_the_work_grows_with_the_bytes_and_not_with_their_square(size: int) -> None:
    """Looking at the whole line again with each byte of it takes minutes."""
    stream = LONGEST + b"\n\n"
    began = time.process_time()
    pieces = [stream[index : index + size] for index in range(0, len(stream), size)]
    assert read(*pieces) == [LONGEST[len(b"data: ") :]]
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize("cut", [1, 3, 9, 18, 100])
def test_a_stream_may_have_so_many_lines_and_no_more(cut: int) -> None:
    stream = b"data: a\n\n" * 10
    pieces = [stream[index : index + cut] for index in range(0, len(stream), cut)]
    assert read(*pieces, most_lines=20) == [b"a"] * 10
    with pytest.raises(EventTooLongError):
        read(*pieces, most_lines=19)
