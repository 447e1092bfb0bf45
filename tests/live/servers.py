"""vLLM servers on tiny checkpoints, with the families' flags as the presets set them."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from glore_models.serving.engines import HERE, SERVER, cpu_environment
from glore_models.serving.processes import Launch
from glore_models.serving.stack import Stack

PATIENCE = 600.0  # seconds for one answer of a loaded machine


@dataclass(frozen=True, slots=True)
class TinyServer:
    """A server to be started: its name, which its model bears too, and its checkpoint."""

    name: str
    checkpoint: Path
    flags: tuple[str, ...]
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HERE}:{self.port}"

    @property
    def launch(self) -> Launch:
        """Its command: float32, and no more memory than a tiny model needs."""
        command = (
            sys.executable, *SERVER, "--host", HERE, "--port", str(self.port),
            "--model", str(self.checkpoint), "--served-model-name", self.name,
            "--dtype", "float32", "--enforce-eager", "--max-model-len", "1024",
            "--max-num-seqs", "8", *self.flags,
        )  # fmt: skip
        return Launch(self.name, command, cpu_environment(os.environ), self.port, "/health")

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """What it answers to JSON, which must be a success."""
        payload = {"model": self.name, **body}
        response = httpx2.post(self.url + path, json=payload, timeout=PATIENCE)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


def tiny_server(name: str, checkpoint: Path, *flags: str) -> TinyServer:
    """A server on a port that is free now."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return TinyServer(name, checkpoint, flags, probe.getsockname()[1])


@contextmanager
def running(logs: Path, *servers: TinyServer) -> Iterator[None]:
    """The servers, started together and ready, for as long as the block runs."""
    with Stack(logs) as stack:
        for server in servers:
            stack.start(server.launch)
        stack.wait_ready([server.name for server in servers], lambda _what, _detail: None)
        yield
