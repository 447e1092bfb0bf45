"""The engines that workers ask: named by their URL, or hosted on Ray's own nodes.

Nothing here imports torch: a host starts vLLM as a process of its own.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ray

from glore_models.sampling.server import OwnServer
from glore_models.sampling.vllm import SamplingError
from glore_models.serving.engines import HERE

_STOPPING = 30.0  # seconds that a server may take to end

EVERYWHERE = "0.0.0.0"  # noqa: S104 - workers on other nodes ask too; the server wants a key


class SamplingServer(Protocol):
    """A vLLM server that workers may ask."""

    @property
    def model(self) -> str:
        """The name it serves the checkpoint under."""
        ...

    @property
    def api_key(self) -> str | None:
        """What it wants to be shown, if anything."""
        ...

    def address(self) -> str:
        """Its URL, once it answers. Raises SamplingError."""
        ...


@dataclass(frozen=True, slots=True)
class UrlEngine:
    """A server that runs elsewhere."""

    url: str
    model: str
    api_key: str | None = None

    def address(self) -> str:
        """Its URL, as it was given."""
        return self.url


@dataclass(frozen=True, slots=True)
class HostedEngine:
    """A server that an `EngineHost` runs on one of Ray's nodes."""

    host: Any  # the handle of the actor
    model: str
    api_key: str | None

    def address(self) -> str:
        """Where it is now: a host that died is started again, perhaps on another node."""
        return str(ray.get(self.host.address.remote()))


class EngineHost:
    """An actor that runs a vLLM server of `checkpoint` on its node, on its GPU if it has one.

    `checkpoint` has to be there on every node. With `alone`, only this machine can ask.
    """

    def __init__(self, checkpoint: Path, name: str, api_key: str, *, alone: bool) -> None:
        self._here = HERE if alone else str(ray.util.get_node_ip_address())
        self._server = OwnServer(
            checkpoint,
            name,
            host=HERE if alone else EVERYWHERE,
            gpu=bool(ray.get_gpu_ids()),
            api_key=api_key,
        )

    def address(self) -> str:
        """The server's URL, once it answers; one that ended is started again.

        Raises SamplingError.
        """
        return f"http://{self._here}:{self._server.port()}"

    def stop(self) -> None:
        """End the server, and wait until it has ended."""
        self._server.stop()


def hosted(checkpoint: Path, count: int, *, gpus: int, alone: bool) -> list[HostedEngine]:
    """Hosts of `count` servers, a GPU each where Ray has any; they start when they are first asked.

    `gpus` is how many Ray has. Raises SamplingError for more servers than those: Ray would
    wait for GPUs that never come.
    """
    if 0 < gpus < count:
        there = "1 GPU" if gpus == 1 else f"{gpus} GPUs"
        message = f"{count} engines were asked for, and the cluster has {there}"
        raise SamplingError(message)
    key = secrets.token_hex(16)
    maker = ray.remote(EngineHost).options(
        num_cpus=0,
        num_gpus=1 if gpus else 0,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy="SPREAD",
    )
    return [
        HostedEngine(
            maker.remote(checkpoint, checkpoint.name, key, alone=alone), checkpoint.name, key
        )
        for _ in range(count)
    ]


def stop(engines: Sequence[HostedEngine]) -> None:
    """End the servers, wait for that, and end their hosts."""
    if not ray.is_initialized():
        return
    asked = [engine.host.stop.remote() for engine in engines]
    ray.wait(asked, num_returns=len(asked), timeout=_STOPPING)
    for engine in engines:
        ray.kill(engine.host)
