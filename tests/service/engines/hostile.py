"""An engine that sends what no engine should, and a watch over what that costs the event loop."""

import asyncio
import gc
import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from glore.engines.exchange import MAX_RESPONSE_BYTES

MEBIBYTE: Final = 1024 * 1024
_PAGE: Final = 4096
_BLOCK: Final = 256 * 1024
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_EVENTS: Final = _CHUNKED.replace(b"application/json", b"text/event-stream")
_LONGEST: Final = MAX_RESPONSE_BYTES - 4096  # nearly the longest body that is read


@dataclass(frozen=True, slots=True)
class Flood:
    """What is sent in answer to any request: `head`, then `again` without end or until `pause`.

    `pause` is the time between two of `again`, in seconds.
    """

    head: bytes
    again: bytes = b""
    pause: float = 0.0


def chunk(content: bytes) -> bytes:
    """A chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def _much(content: bytes) -> bytes:
    return content * (_BLOCK // len(content))


def _whole(content: bytes, headers: bytes = b"") -> Flood:
    return Flood(_OK + headers + b"Content-Length: %d\r\n\r\n%s" % (len(content), content))


def _nested(of: bytes, size: int) -> bytes:
    return b'{"choices":[' + of * (size // len(of)) + b'0],"data":[' + of + b"0]}"


# Bodies of the longest that is read, and small ones with as many values as are parsed.
_BODIES: Final[dict[str, Callable[[], bytes]]] = {
    "nested without end": lambda: b"[" * _LONGEST,
    "one integer": lambda: b"1" * _LONGEST,
    "one string of escapes": lambda: b'{"choices":"' + b"\\u00e9" * (_LONGEST // 6) + b'"}',
    "integers of 400 digits": lambda: _nested(b"1" + b"0" * 400 + b",", _LONGEST),
    "integers of 4000 digits": lambda: _nested(b"1" + b"0" * 4000 + b",", _LONGEST),
    "floats of 4000 digits": lambda: _nested(b"1." + b"1" * 4000 + b",", _LONGEST),
    "many keys": lambda: b"{" + b",".join(b'"%x":0' % i for i in range(_LONGEST // 12)) + b"}",
    "4900 keys": lambda: b"{" + b",".join(b'"%x":0' % i for i in range(4900)) + b"}",
    "strings and commas": lambda: _nested(b'"",', _LONGEST),
    "commas in a string": lambda: b'{"choices":"' + b"\\n," * (_LONGEST // 3) + b'"}',
    "many rows": lambda: _rows(b"[0.5,0.5],", 400_000),
    "3000 rows": lambda: _rows(b"[0.5,0.5],", 3000),
    **{
        f"{size} bytes of {value.decode()}": partial(_nested, value, size)
        for value in (b"{},", b"[],", b"0,", b'{"a":0},', b'{"index":0,"text":"a"},', b"[[[]]],")
        for size in (_LONGEST, 10_000)
    },
}


def _rows(row: bytes, count: int) -> bytes:
    head = b'{"usage":{"prompt_tokens":1},"data":[{"index":0,"data":['
    return head + row * count + b"[0.5,0.5]]}]}"


_FLOODS: Final[dict[str, Flood]] = {
    "interim responses": Flood(b"", _much(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "early hints": Flood(b"", _much(b"HTTP/1.1 103 H\r\n" + b"a: b\r\n" * 100 + b"\r\n")),
    "interim responses, slowly": Flood(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.001),
    "header lines": Flood(_OK, _much(b"a:b\r\n")),
    "a header line": Flood(_OK + b"a: ", _much(b"x")),
    "a status line": Flood(b"HTTP/1.1 200 ", _much(b"x")),
    "blank lines": Flood(b"", _much(b"\r\n")),
    "not HTTP": Flood(b"", _much(b"\0")),
    "cookies": Flood(_OK + (b'Set-Cookie: a="' + b'\\"' * 4000 + b'"\r\n') * 7 + b"\r\n{}"),
    "empty events": Flood(_EVENTS, chunk(_much(b"\n"))),
    "comments": Flood(_EVENTS, chunk(_much(b":\n\n"))),
    "lines of comments": Flood(_EVENTS, chunk(_much(b":\n"))),
    "small events": Flood(_EVENTS, chunk(_much(b'data: {"choices":[]}\n\n'))),
    "lines of data": Flood(_EVENTS, chunk(_much(b"data:\n"))),
    "large events": Flood(_EVENTS, chunk(b'data: {"choices":[' + b"[]," * 20_000 + b"0]}\n\n")),
    "events a byte at a time": Flood(_EVENTS, _much(chunk(b"\n"))),
    "small chunks": Flood(_CHUNKED, _much(chunk(b" "))),
    "extensions of chunks": Flood(_CHUNKED, _much(b"1;" + b"a" * 200 + b"\r\n \r\n")),
    "trailers": Flood(_CHUNKED + chunk(b"{}") + b"0\r\n", _much(b"a:b\r\n")),
    "answers after the answer": Flood(
        _whole(b"{}").head, _much(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    ),
    "another protocol": Flood(
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", _much(b"x")
    ),
    "a body without end": Flood(_OK + b"\r\n", _much(b" ")),
    "a body that dribbles": Flood(_OK + b"Content-Length: 1000\r\n\r\n", b" ", 0.02),
    "a refusal without end": Flood(b"HTTP/1.1 400 Bad Request\r\n\r\n", _much(b"[")),
    "a refusal that dribbles": Flood(b"HTTP/1.1 500 Oh\r\n\r\n", b"x", 0.02),
    "a gzip bomb": _whole(
        gzip.compress(bytes(64 * MEBIBYTE), compresslevel=1), b"Content-Encoding: gzip\r\n"
    ),
}
NAMES: Final = (*_FLOODS, *_BODIES)


def flood(name: str) -> Flood:
    """The flood of this name."""
    return _FLOODS[name] if name in _FLOODS else _whole(_BODIES[name]())


class HostileEngine:
    """Answers each connection with a flood, from threads of its own."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.gone = 0  # connections that were closed from the other side

    def accept(self) -> None:
        """Serve until closed, and until all connections have ended."""
        threads = list[threading.Thread]()
        while not self._over.is_set():
            with suppress(OSError):
                connection, _ = self._listener.accept()
                connection.settimeout(30)
                threads.append(threading.Thread(target=self._serve, args=(connection,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def close(self) -> None:
        """Have all threads stop."""
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(self._flood.head)
            while self._flood.again and not self._over.wait(self._flood.pause):
                connection.sendall(self._flood.again)
            connection.recv(1)
        self.gone += 1


@contextmanager
def hostile(flood: Flood) -> Iterator[HostileEngine]:
    """Such an engine, listening."""
    engine = HostileEngine(flood)
    thread = threading.Thread(target=engine.accept)
    thread.start()
    try:
        yield engine
    finally:
        engine.close()
        thread.join()


def resident() -> int:
    """The memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


@dataclass(slots=True)
class Turns:
    """What the turns of the event loop cost: CPU seconds of the longest, bytes of memory added."""

    longest: float = 0.0
    memory: int = 0
    _begun: int = field(default_factory=resident)

    async def watch(self) -> None:
        """Look at every turn until cancelled."""
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            self.memory = max(self.memory, resident() - self._begun)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = time.thread_time()


@asynccontextmanager
async def watched_turns() -> AsyncIterator[Turns]:
    """The turns of this event loop while the block runs, without pauses to collect garbage."""
    gc.disable()
    turns = Turns()
    watcher = asyncio.create_task(turns.watch())
    await asyncio.sleep(0)
    try:
        yield turns
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        gc.enable()
