"""The real thing, once for all live tests: `glore up` with both vLLM servers and the models.

It is started as a user would start it and stopped by Ctrl-C; what it says while it starts is
passed on. GLORE_CACHE and GLORE_BUNDLE choose the model cache and the adapters. It runs under
a guard, so that nothing is left of it even when pytest is killed.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

START_SECONDS = 3000.0
STOP_SECONDS = 120.0
# a loaded machine is slow, not wrong
PATIENCE = {
    "GLORE_MAX_DEADLINE": "600",
    "GLORE_GENERATION__TIMEOUT": "500",
    "GLORE_SCORING__TIMEOUT": "500",
}


@dataclass(frozen=True, slots=True)
class Service:
    """Where everything is."""

    url: str
    generation: str
    scoring: str
    said: list[str]  # by `glore up`, line by line

    def client(self) -> httpx2.Client:
        """A client of the gateway that waits as long as a loaded machine needs."""
        return httpx2.Client(base_url=self.url, timeout=600)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here are live, and the first one waits for the start."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.timeout(START_SECONDS + 300))


@pytest.fixture(scope="session")
def service(pytestconfig: pytest.Config) -> Iterator[Service]:
    ports = _free_ports(3)
    options = ("--port", "--generation-port", "--scoring-port")
    arguments = [
        text for option, port in zip(options, ports, strict=True) for text in (option, str(port))
    ]
    up = [sys.executable, "-m", "glore.cli", "up"]
    process = subprocess.Popen(
        [sys.executable, "-m", "glore_models.serving.guard", *up, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.PIPE,
        env=os.environ | PATIENCE,
        text=True,
    )
    said: list[str] = []
    listener = threading.Thread(target=_collect, args=(process, said), daemon=True)
    listener.start()
    gateway, generation, scoring = (f"http://127.0.0.1:{port}" for port in ports)
    family: list[psutil.Process] = []
    try:
        _wait_ready(gateway, process, said, pytestconfig)
        family += psutil.Process(process.pid).children(recursive=True)
        yield Service(gateway, generation, scoring, said)
        family += psutil.Process(process.pid).children(recursive=True)
    finally:
        if process.poll() is None:
            for command in psutil.Process(process.pid).children():
                command.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)
        listener.join(STOP_SECONDS)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    assert process.returncode == 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _collect(process: subprocess.Popen[str], said: list[str]) -> None:
    for line in process.stdout or ():
        said.append(line)  # noqa: PERF402 - they are wanted one by one, as they come


def _wait_ready(
    url: str, process: subprocess.Popen[str], said: list[str], config: pytest.Config
) -> None:
    until, shown = time.monotonic() + START_SECONDS, 0
    while time.monotonic() < until:
        shown += _show(said[shown:], config)
        if process.poll() is not None:
            pytest.fail(f"`glore up` ended with status {process.poll()}:\n{''.join(said)}")
        try:
            if httpx2.get(f"{url}/readyz", timeout=10).status_code == 200:
                _show(said[shown:], config)
                return
        except httpx2.TransportError:
            pass
        time.sleep(1)
    pytest.fail(f"`glore up` was not ready after {START_SECONDS:.0f} s:\n{''.join(said)}")


def _show(lines: list[str], config: pytest.Config) -> int:
    """Pass lines on to the terminal, past pytest's capture; how many."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if lines and capture is not None:
        with capture.global_and_fixture_disabled():
            sys.stdout.write("\n" + "".join(lines))
            sys.stdout.flush()
    return len(lines)
