"""A Ray to sample on: a small one of our own on this machine, or a cluster that is there.

Ray counts its users and writes a token to the home folder by default; here it does neither.
Its environment has to be set before it is imported, so it is imported when it is asked for.
"""

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glore_models.sampling.vllm import SamplingError

_OBJECT_STORE = 100 * 2**20  # bytes: prompts and rollouts are small; Ray's least is 75 MiB
_LONGEST_DIR = 40  # characters: Ray puts sockets in it, whose paths may have 107
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # the stage has its own
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what will be the default; else a warning each
    "RAY_worker_niceness": "0",  # engines started by workers would inherit Ray's 15
    "RAY_worker_register_timeout_seconds": "600",  # a busy machine is slow, not broken
}


@contextmanager
def connected(address: str | None, *, actors: int, folder: Path | None) -> Iterator[None]:
    """Join the Ray at `address`, or start one for `actors` actors; leave or end it afterwards.

    The one of our own keeps its files below `folder` (else the system's folder for temporary
    files) and takes them away. Raises SamplingError.
    """
    os.environ.update(_QUIET)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else an [E] line for each call
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    import ray

    temp = _folder(folder) if address is None else None
    try:
        _init(address, actors, temp)
        yield
    finally:
        ray.shutdown()
        if temp is not None:
            shutil.rmtree(temp, ignore_errors=True)


def _init(address: str | None, actors: int, temp: str | None) -> None:
    import ray

    own: dict[str, Any] = {
        "num_cpus": actors,  # by Ray's counting: actors only wait for HTTP
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE,
        "_temp_dir": temp,
    }
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else own),
        )
    except Exception as error:  # Ray raises bare exceptions when it does not start
        message = f"no Ray at {address or 'this machine'}: {error}"
        raise SamplingError(message) from error


def _folder(below: Path | None) -> str:
    temp = tempfile.mkdtemp(prefix="glore-ray-", dir=below)
    if len(temp) > _LONGEST_DIR:
        Path(temp).rmdir()
        message = f"{temp} is too long a path for Ray's sockets; name a shorter --ray-dir"
        raise SamplingError(message)
    return temp


def gpus() -> int:
    """How many GPUs the joined Ray has in all."""
    import ray

    return int(ray.cluster_resources().get("GPU", 0))
