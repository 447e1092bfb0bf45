import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest

from glore.batches.opening import default_file
from glore.commands.errors import CommandFailedError
from glore.commands.serve import bind
from tests.service.processes import free_port


def test_a_socket_is_ready_for_connections() -> None:
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        pass


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(CommandFailedError, match="cannot listen on no such host:8000"):
        bind("no such host", 8000)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CommandFailedError, match="Cannot assign requested address"):
        bind("192.0.2.1", 8000)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - for a moment
def test_the_gateway_serves_without_engines_and_stops_at_ctrl_c(host: str) -> None:
    port = free_port()
    default_file().parent.mkdir(parents=True)
    default_file().write_bytes(b"no database" * 100)
    command = [sys.executable, "-m", "glore.cli", "serve", "--host", host, "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert _alive(port, process)
        finally:
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    first, *others = [json.loads(line) for line in log.splitlines()]
    assert (first["event"], first["host"], first["port"]) == ("settings", host, port)
    assert first["engines"]["orm"]["url"] == "http://127.0.0.1:8102/"
    (store,) = (line for line in others if line["logger"] == "glore.batches")
    assert "not a database" in store["reason"]
    open_to_all = [line for line in others if "asks for no key" in line["event"]]
    assert [line["level"] for line in open_to_all] == ["warning"] * (host == "0.0.0.0")  # noqa: S104


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("sqlite:////proc/none/batches.sqlite3", "GLORE_STORE: "),
        ("postgresql://someone:hidden@127.0.0.1:1/glore", "GLORE_STORE: "),
    ],
)
def test_a_store_that_cannot_be_opened_is_one_line(store: str, said: str) -> None:
    command = [sys.executable, "-m", "glore.cli", "serve", "--port", str(free_port())]
    ended = subprocess.run(
        command,
        env=os.environ | {"GLORE_STORE": store},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    for unwanted in ("Traceback", "hidden", '"level"'):
        assert unwanted not in ended.stderr


def _alive(port: int, process: subprocess.Popen[str]) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            answer = httpx2.get(f"http://127.0.0.1:{port}/livez", timeout=5, trust_env=False)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return answer.status_code == 200
    return False
