"""The command line of a sampling server, and one that cannot start."""

import json
from pathlib import Path

import pytest

from glore_models.sampling.server import OwnServer, free_port, launch
from glore_models.sampling.vllm import SamplingError
from glore_models.serving.engines import HERE


def _checkpoint(folder: Path, positions: int) -> Path:
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": positions}))
    return folder


@pytest.mark.parametrize(
    ("gpu", "dtype", "threads"), [(False, "float32", True), (True, "bfloat16", False)]
)
def test_a_cpu_gets_float32_and_few_threads(
    tmp_path: Path, *, gpu: bool, dtype: str, threads: bool
) -> None:
    checkpoint = _checkpoint(tmp_path, 8192)
    created = launch(checkpoint, "student", HERE, 9, gpu=gpu, environment={"PATH": "p"})
    command = list(created.command)
    assert command[command.index("--dtype") + 1] == dtype
    assert command[command.index("--model") + 1] == str(checkpoint)
    assert ("--enforce-eager" in command) is not gpu
    assert ("OMP_NUM_THREADS" in created.environment) is threads
    assert created.environment["PATH"] == "p"
    assert (created.port, created.ready) == (9, "/health")
    assert "--enable-prefix-caching" in command
    assert ("--block-size" in command) is not gpu
    assert "--seed" not in command


def test_the_context_is_the_models_own_where_that_is_shorter(tmp_path: Path) -> None:
    created = launch(_checkpoint(tmp_path, 512), "s", HERE, 9, gpu=False, environment={})
    assert created.command[created.command.index("--max-model-len") + 1] == "512"


def test_a_server_that_cannot_start_is_an_error_and_leaves_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "glore_models.sampling.server.SERVER", ("-c", "raise ValueError('no such thing')")
    )
    server = OwnServer(_checkpoint(tmp_path, 512), "s", host=HERE, gpu=False, api_key="k")
    logs = server._logs
    with pytest.raises(SamplingError, match="no such thing"):
        server.port()
    server.stop()
    assert not logs.exists()


def test_a_checkpoint_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    server = OwnServer(tmp_path / "none", "s", host=HERE, gpu=False, api_key="k")
    with pytest.raises(SamplingError, match=r"config\.json"):
        server.port()
    server.stop()


def test_a_free_port_can_be_listened_on() -> None:
    assert 0 < free_port() < 65536
