"""A vLLM server of one checkpoint, started for sampling and ended with it."""

import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from glore_models.sampling.vllm import SamplingError
from glore_models.serving.checks import gpu_memory
from glore_models.serving.engines import (
    HERE,
    MAX_MODEL_LEN,
    SERVER,
    threads_per_engine,
    without_settings,
)
from glore_models.serving.errors import ServingError
from glore_models.serving.processes import PYTHON, Launch
from glore_models.serving.stack import Stack

_NAME = "sampling"
# Tokens that the cache keeps together: what does not fill a block is computed again for every
# rollout. On a CPU vLLM would take 128, more than most prompts have; it wants a multiple of 32.
_BLOCKS = ("--block-size", "32")


class OwnServer:
    """A server that starts when its port is first asked for, and again when it ended."""

    def __init__(self, checkpoint: Path, name: str, *, host: str, gpu: bool, api_key: str) -> None:
        """`name` is the model's in requests; `host` the address it listens on."""
        self._checkpoint = checkpoint
        self._served = name
        self._host = host
        self._gpu = gpu
        self._api_key = api_key
        self._logs = Path(tempfile.mkdtemp(prefix="glore-engine-"))
        self._stack = Stack(self._logs)

    def port(self) -> int:
        """Where it listens, once it answers. Raises SamplingError when it does not start."""
        running = self._stack.running.get(_NAME)
        if running is not None and running.status() is None:
            return running.launch.port
        try:
            launched = launch(
                self._checkpoint,
                self._served,
                self._host,
                free_port(),
                gpu=self._gpu,
                environment={**os.environ, "VLLM_API_KEY": self._api_key},
            )
            self._stack.start(launched)
            self._stack.wait_ready([_NAME], lambda _waiting, _line: None)
        except (OSError, ServingError) as error:
            self._end()
            raise SamplingError(str(error)) from None  # plain: it travels between processes
        return launched.port

    def stop(self) -> None:
        """End it and wait; its log goes too."""
        self._end()
        shutil.rmtree(self._logs, ignore_errors=True)

    def _end(self) -> None:
        self._stack.__exit__(None, None, None)
        self._stack.running.clear()


@contextmanager
def own_server(checkpoint: Path, name: str) -> Iterator[tuple[str, str]]:
    """The URL and the key of a server on this machine, on its GPU if there is one.

    Raises SamplingError when it does not start.
    """
    key = secrets.token_hex(16)
    server = OwnServer(checkpoint, name, host=HERE, gpu=gpu_memory() > 0, api_key=key)
    try:
        yield f"http://{HERE}:{server.port()}", key
    finally:
        server.stop()


def launch(
    checkpoint: Path,
    name: str,
    host: str,
    port: int,
    *,
    gpu: bool,
    environment: Mapping[str, str],
) -> Launch:
    """The command line: float32 without graph capture on a CPU, bfloat16 on a GPU.

    The rollouts of a prompt, and prompts that go on from it, share its keys and values, block
    by block.
    """
    kind = ("--dtype", "bfloat16") if gpu else ("--dtype", "float32", "--enforce-eager", *_BLOCKS)
    command = (
        *PYTHON, *SERVER, "--host", host, "--port", str(port),
        "--model", str(checkpoint), "--served-model-name", name,
        *kind, "--max-model-len", str(_context(checkpoint)), "--enable-prefix-caching",
        "--disable-uvicorn-access-log",
    )  # fmt: skip
    ours = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "TOKENIZERS_PARALLELISM": "false"}
    cpu = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(threads_per_engine()),
    }
    settings = {**without_settings(environment), **ours, **({} if gpu else cpu)}
    return Launch(_NAME, command, settings, port, "/health")


def _context(checkpoint: Path) -> int:
    """Tokens of a prompt and its rollout: what the service allows, or the model's own limit."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    return min(MAX_MODEL_LEN, int(config.get("max_position_embeddings", MAX_MODEL_LEN)))


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])
