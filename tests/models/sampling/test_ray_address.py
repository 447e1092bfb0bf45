"""A Ray that runs already, in processes of its own: it is joined by its address and left alone."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from glore_models.sampling.server import free_port
from glore_models.serving.engines import HERE
from tests.models.sampling.fake_engine import fake_engine

pytestmark = pytest.mark.timeout(900)  # Ray takes seconds to start, minutes on a busy machine
PATIENCE = 400.0  # seconds


@dataclass(frozen=True, slots=True)
class Head:
    """`ray start --head --block`: the process, its address, and what it takes to join it."""

    process: subprocess.Popen[bytes]
    address: str
    environment: dict[str, str]


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    folder = Path(tempfile.mkdtemp(prefix="glore-head-"))  # short: Ray puts sockets in it
    port = free_port()
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_register_timeout_seconds": "600",
    }
    command = (
        "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address", HERE,
        "--port", str(port), "--num-cpus", "2", "--object-store-memory", str(100 * 2**20),
        "--include-dashboard", "false", "--temp-dir", str(folder),
    )  # fmt: skip
    with (tmp_path / "head.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait_for(tmp_path / "head.log", process)
        yield Head(process, f"{HERE}:{port}", environment)
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(log: Path, process: subprocess.Popen[bytes]) -> None:
    """Until Ray says that it runs."""
    until = time.monotonic() + PATIENCE
    while "Ray runtime started" not in (said := log.read_text(errors="replace")):
        assert process.poll() is None, said
        assert time.monotonic() < until, said
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The head and all that it started, whatever state it is in."""
    family = [psutil.Process(process.pid)] if process.poll() is None else []
    family += family[0].children(recursive=True) if family else []
    for terminate in (True, False):
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.terminate() if terminate else each.kill()
        _, family = psutil.wait_procs(family, timeout=20)
    process.wait(20)


def test_a_cluster_is_joined_by_its_address_and_outlives_the_run(
    head: Head, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "merged_0"
    checkpoint.mkdir()
    with fake_engine(checkpoint) as one, fake_engine(checkpoint) as other:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.models.sampling.by_address",
                head.address,
                str(checkpoint),
                one.url,
                other.url,
            ],
            check=False,
            capture_output=True,
            text=True,
            env=head.environment,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        requested = one.asked + other.asked
        assert one.asked
        assert other.asked
    reported = json.loads(done.stdout.splitlines()[-1])
    assert (
        reported["joined"].split(":")[1] == head.address.split(":")[1]
    )  # Ray names the host itself
    assert reported["left"]
    assert reported["alive"] == 1
    assert head.process.poll() is None
    assert requested == {f"prompt {number}": 1 for number in range(12)}
    assert reported["rollouts"] == [
        [
            {"text": f"{len(prompt)} is {i}\n#### {i}", "finished": True, "tokens": 3}
            for i in range(2)
        ]
        for prompt in (f"prompt {number}" for number in range(12))
    ]
