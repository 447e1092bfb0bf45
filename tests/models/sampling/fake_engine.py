"""A vLLM server by its shapes, that knows which process asks it and can kill that process."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil


class FakeEngine(ThreadingHTTPServer):
    """Serves `checkpoint` as `student`: completion i of a prompt depends on both alone.

    It answers after `seconds`. The request number `kills_at` is never answered: the process
    that sent it is killed. A prompt in `fails_once` gets one status 500 first.
    """

    daemon_threads = True

    def __init__(self, checkpoint: Path, seconds: float = 0.02) -> None:
        super().__init__(("127.0.0.1", 0), Completions)
        self.checkpoint = checkpoint
        self.seconds = seconds
        self.kills_at: int | None = None
        self.fails_once: set[str] = set()
        self.asked: Counter[str] = Counter()  # how often each prompt was
        self.askers: list[int] = []  # process ids, request by request
        self.killed: list[int] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def forget(self) -> None:
        """Start counting anew; nobody is killed and nothing fails any more."""
        self.kills_at = None
        self.fails_once.clear()
        self.asked.clear()
        self.askers.clear()
        self.killed.clear()

    def takes(self, prompt: str, asker: int) -> bool:
        """Whether to answer this request; when it is the one to kill at, its sender dies."""
        with self.lock:
            self.asked[prompt] += 1
            self.askers.append(asker)
            kill = len(self.askers) == self.kills_at
            fail = prompt in self.fails_once
            self.fails_once.discard(prompt)
            if kill:
                self.killed.append(asker)
        if kill:
            assert asker != os.getpid()
            os.kill(asker, signal.SIGKILL)
        return not (kill or fail)


class Completions(BaseHTTPRequestHandler):
    """The two paths that a sampler asks."""

    server: FakeEngine

    def do_GET(self) -> None:
        model = {"id": "student", "root": str(self.server.checkpoint), "parent": None}
        self._answer(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asker = process_at(self.client_address[1])
        time.sleep(self.server.seconds)
        if not self.server.takes(body["prompt"], asker):
            self._answer(500, {})
            return
        choices = [
            {
                "index": index,
                "text": f"{len(body['prompt'])} is {index}\n#### {index}",
                "finish_reason": "stop",
                "token_ids": [1, 2, 3, 0],  # the end token is among them
            }
            for index in range(body["n"])
        ]
        self._answer(200, {"choices": choices})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            assert self.server.killed  # whoever asked is dead

    def log_message(self, *_: object) -> None:
        """Quiet."""


def process_at(port: int) -> int:
    """Which process of this machine holds the local `port`."""
    for connection in psutil.net_connections("tcp4"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return connection.pid
    message = f"no process at port {port}"
    raise AssertionError(message)


@contextmanager
def fake_engine(checkpoint: Path) -> Iterator[FakeEngine]:
    """A running FakeEngine."""
    with FakeEngine(checkpoint) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
