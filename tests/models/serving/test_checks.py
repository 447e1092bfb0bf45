import socket
from importlib import metadata
from pathlib import Path

import pytest

from glore_models.serving import checks
from glore_models.serving.errors import ServingError


@pytest.fixture
def taken() -> int:
    """A port that is free when the test starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_free_port_passes(taken: int) -> None:
    checks.check_port("127.0.0.1", taken, "gateway", "--port")


def test_a_port_in_use_is_reported_with_a_way_out() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ServingError) as caught:
            checks.check_port("127.0.0.1", port, "scoring engine", "--scoring-port")
    assert f"Port {port} for the scoring engine" in caught.value.problem
    assert "--scoring-port" in caught.value.way_out


def test_a_host_that_is_not_ours_is_reported() -> None:
    with pytest.raises(ServingError, match="cannot be opened"):
        checks.check_port("192.0.2.1", 8000, "gateway", "--port")


def test_memory_is_counted_per_local_engine() -> None:
    checks.check_memory(2, available=9e9)
    checks.check_memory(1, available=5e9)
    with pytest.raises(ServingError) as caught:
        checks.check_memory(2, available=5e9)
    assert "5.0 GB" in caught.value.problem
    assert "GLORE_SCORING__URL" in caught.value.way_out


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    assert checks.available_memory(tmp_path) == 500000
    (tmp_path / "memory.max").write_text("max\n")
    assert checks.available_memory(tmp_path) > 1000000


def with_nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_largest_gpu_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_nvidia_smi(tmp_path, monkeypatch, "echo 24576; echo 81559")
    assert checks.gpu_memory() == 81559 * 2**20
    with_nvidia_smi(tmp_path, monkeypatch, "echo no devices were found; exit 6")
    assert checks.gpu_memory() == 0
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert checks.gpu_memory() == 0


def test_a_preset_needs_the_gpu_build_and_a_gpu_that_is_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(_name: str) -> str:
        return "0.32.0"

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    with_nvidia_smi(tmp_path, monkeypatch, "echo 24576")
    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ServingError, match="GPU build"):
        checks.check_gpu(1e9)
    monkeypatch.setattr(metadata, "version", found)
    checks.check_gpu(25e9)
    with pytest.raises(ServingError, match="38 GB of memory; the largest has 26 GB"):
        checks.check_gpu(38e9)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ServingError, match="nvidia-smi shows none"):
        checks.check_gpu(38e9)


def test_a_missing_program_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checks.check_programs()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServingError, match="util-linux"):
        checks.check_programs()
