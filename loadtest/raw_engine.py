"""`python -m loadtest.raw_engine PORT SECONDS`: answers every engine call after a fixed time.

It speaks as much of vLLM's HTTP as the gateway needs, with as little CPU as Python allows, so
that measurements see the gateway and not the engine. It remembers when each call began and ended,
by the number in its question; `GET /intervals` gives them and forgets them.
"""

import asyncio
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, cast

import httptools

_TEXT: Final = "She has 3 x 4 = 12 apples.\nThen 12 + 6 = 18 apples.\n#### 18"
_TOKENS: Final = re.findall(r"\s*\S|\S+?", _TEXT)
_NUMBER: Final = re.compile(rb"question (\d+)\?")
_USAGE: Final = {"prompt_tokens": 50, "total_tokens": 90, "completion_tokens": len(_TOKENS)}
_PROMPT_ROWS: Final = 2
_STEPS: Final = 3
_MODELS: Final = ("student", "global_refiner", "local_refiner", "sorm", "orm")


class CallInterval(NamedTuple):
    """From `start` to `end`, in seconds of the machine's monotonic clock."""

    start: float
    end: float


def union_seconds(intervals: Iterable[CallInterval]) -> float:
    """How long at least one of the intervals lasted."""
    total, end = 0.0, float("-inf")
    for each in sorted(intervals):
        total += max(0.0, each.end - max(each.start, end))
        end = max(end, each.end)
    return total


class Engine:
    """What all connections share."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.calls: dict[str, list[CallInterval]] = defaultdict(list)

    def intervals(self) -> bytes:
        """The calls by question as JSON; they are forgotten."""
        calls, self.calls = self.calls, defaultdict(list)
        return json.dumps(calls).encode()


class Connection(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is left to answer."""
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        """The next part of its target."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """The next part of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer in time."""
        start, loop = time.monotonic(), asyncio.get_running_loop()
        if self._url == b"/intervals":
            self._write(_whole(self._engine.intervals()))
        elif self._url == b"/v1/models":
            self._write(_whole(json.dumps({"data": [{"id": each} for each in _MODELS]}).encode()))
        elif self._url == b"/health":
            self._write(_whole(b""))
        elif b'"stream": true' in self._body or b'"stream":true' in self._body:
            self._write(_STREAM_HEAD)
            wait = self._engine.latency / len(_CHUNKS)
            loop.call_later(wait, self._stream, start, self._body, 0, wait)
        else:
            loop.call_later(self._engine.latency, self._answer, start, self._url, self._body)

    def _answer(self, start: float, url: bytes, body: bytes) -> None:
        self._note(start, body)
        self._write(_whole(_pooled(body) if url == b"/pooling" else _COMPLETION))

    def _stream(self, start: float, body: bytes, index: int, wait: float) -> None:
        if index == len(_CHUNKS):
            self._note(start, body)
            self._write(b"0\r\n\r\n")
            return
        self._write(_CHUNKS[index])
        asyncio.get_running_loop().call_later(wait, self._stream, start, body, index + 1, wait)

    def _note(self, start: float, body: bytes) -> None:
        number = _NUMBER.search(body)
        if number:
            self._engine.calls[number[1].decode()].append(CallInterval(start, time.monotonic()))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _whole(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _pooled(body: bytes) -> bytes:
    rows = [[0.3, 0.6]] * (_PROMPT_ROWS + _STEPS)
    data = [{"index": i, "data": rows} for i in range(len(json.loads(body)["input"]))]
    return json.dumps({"data": data, "usage": {"prompt_tokens": 50}}).encode()


def _completion(choices: Sequence[object], **more: object) -> bytes:
    return json.dumps({"id": "cmpl-1", "choices": choices, **more}).encode()


def _event(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


def _chunk(text: str, reason: str | None, count: int) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": reason}
    return _event(_completion([choice], usage={**_USAGE, "completion_tokens": count}))


_COMPLETION: Final = _completion(
    [{"index": 0, "text": _TEXT, "finish_reason": "stop"}], usage=_USAGE
)
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_CHUNKS: Final = (
    *(_chunk(text, None, count) for count, text in enumerate(_TOKENS, start=1)),
    _chunk("", "stop", len(_TOKENS)),
    _event(_completion([], usage=_USAGE)),
    _event(b"[DONE]"),
)


async def serve(port: int, latency: float) -> None:
    """Until the process is ended."""
    engine = Engine(latency)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(engine), "127.0.0.1", port, backlog=1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
