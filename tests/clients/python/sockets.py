"""Servers that send given bytes over real connections, with pauses."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TypeAlias

EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
Part: TypeAlias = bytes | float | Callable[[], object]
Parts: TypeAlias = tuple[Part, ...]


class Server:
    """Sends a response for each request of a connection, in parts.

    A number among the parts is seconds of silence, a function is called.
    """

    def __init__(self, responses: tuple[Parts, ...], *, hangs_up: bool) -> None:
        self.responses = responses
        self.hangs_up = hangs_up
        self.begun = threading.Event()  # a part was sent
        self.left = threading.Event()  # the client closed its connection
        self.over = threading.Event()  # the test has ended
        self.url = ""

    def handle(self, handler: StreamRequestHandler) -> None:
        try:
            for parts in self.responses:
                read_request(handler)
                for part in parts:
                    self.send(handler, part)
            if not self.hangs_up:
                self.over.wait()
        except OSError:
            self.left.set()

    def send(self, handler: StreamRequestHandler, part: Part) -> None:
        if isinstance(part, float):
            self.over.wait(part)
        elif isinstance(part, bytes):
            handler.wfile.write(part)
            self.begun.set()
        else:
            part()


def read_request(handler: StreamRequestHandler) -> None:
    length = 0
    while (line := handler.rfile.readline().strip().lower()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    handler.rfile.read(length)


@contextmanager
def running(handle: Callable[[StreamRequestHandler], None]) -> Iterator[str]:
    """Host and port of a server with this handler."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            handle(self)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as tcp:
        thread = threading.Thread(target=tcp.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{tcp.server_address[1]}"
        finally:
            tcp.shutdown()
            thread.join()


@contextmanager
def sending(*responses: Parts, hangs_up: bool = False) -> Iterator[Server]:
    """A server that sends just these bytes, heads and all."""
    server = Server(responses, hangs_up=hangs_up)
    with running(server.handle) as address:
        server.url = f"http://{address}"
        try:
            yield server
        finally:
            server.over.set()


@contextmanager
def serving(*parts: Part) -> Iterator[Server]:
    """A server that answers with a stream of events."""
    with sending((EVENTS_HEAD, *parts), hangs_up=True) as server:
        yield server


@contextmanager
def replying(reply: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Host and port of a server that sends this after the first bytes, and hangs up."""

    def handle(handler: StreamRequestHandler) -> None:
        with suppress(OSError):
            if tls is not None:
                tls.wrap_socket(handler.request, server_side=True)
            handler.request.recv(65536)
            handler.request.sendall(reply)
            handler.request.shutdown(socket.SHUT_WR)

    with running(handle) as address:
        yield address
