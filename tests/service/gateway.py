"""A small real HTTP server that plays the gateway, for commands that open connections."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clients.python import samples

EVENTS = "text/event-stream"
READY = {"status": "ready", "engines": {"generation": "ready", "scoring": "ready"}}


@dataclass
class FakeGateway:
    """What it answers, and what it was asked."""

    url: str = ""
    solve: tuple[int, dict[str, Any]] = field(default_factory=lambda: (200, samples.result()))
    events: bytes | None = None  # what a stream tells; None: what leads to `solve`
    ready: tuple[int, dict[str, Any]] = (200, READY)
    requested: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)  # Authorization, as it came


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    """A server on a free port of this machine for as long as the block runs."""
    gateway = FakeGateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(*gateway.ready)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            gateway.keys.append(self.headers["Authorization"])
            gateway.requested.append(json.loads(self.rfile.read(length)))
            status, body = gateway.solve
            if status != HTTPStatus.OK or self.headers["Accept"] != EVENTS:
                self._answer(status, body)
            elif gateway.events is None:
                self._write(status, EVENTS, samples.as_events(samples.events_of(body)))
            else:
                self._write(status, EVENTS, gateway.events)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            self._write(status, "application/json", json.dumps(body).encode())

        def _write(self, status: int, media_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gateway.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
