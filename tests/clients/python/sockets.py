"""A stream over a real connection, with pauses."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TypeAlias


class Server:
    """Tells its parts, seconds of silence among them, and notes when it was heard and left."""

    def __init__(self, *parts: bytes | float) -> None:
        self.parts = parts
        self.begun = threading.Event()  # the first part is on its way
        self.left = threading.Event()  # whoever listened has hung up
        self.over = threading.Event()
        self.url = ""

    def tell(self, handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        try:
            for part in self.parts:
                if isinstance(part, float):
                    self.over.wait(part)
                else:
                    handler.wfile.write(part)
                    handler.wfile.flush()
                    self.begun.set()
        except OSError:
            self.left.set()


@contextmanager
def serving(*parts: bytes | float) -> Iterator[Server]:
    server = Server(*parts)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.tell(self)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            http.shutdown()
            thread.join()


Parts: TypeAlias = tuple[bytes | float, ...]


@contextmanager
def dripping(*answers: Parts) -> Iterator[str]:
    """The address of a server that says just these bytes, heads and all, and never hangs up.

    An answer for each request of a connection; a number in it is seconds of silence.
    """
    over = threading.Event()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                for parts in answers:
                    self.hear()
                    for part in parts:
                        if isinstance(part, float):
                            over.wait(part)
                        else:
                            self.wfile.write(part)
                over.wait()

        def hear(self) -> None:
            length = 0
            while (line := self.rfile.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.rfile.read(length)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


@contextmanager
def answering(reply: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Host and port of a server that says this to whatever it is sent first, and hangs up."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                if tls is not None:
                    tls.wrap_socket(self.request, server_side=True)
                self.request.recv(65536)
                self.request.sendall(reply)
                self.request.shutdown(socket.SHUT_WR)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
