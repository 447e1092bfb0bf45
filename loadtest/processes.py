"""What starting processes of this checkout needs."""

import os
import socket
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_SOURCES: Final = ("", "service/src", "models/src", "clients/python/src")


def environment(folder: Path = ROOT) -> dict[str, str]:
    """The variables of this process without the gateway's settings, for a checkout's code."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("GLORE_")}
    found["PYTHONPATH"] = os.pathsep.join(str(folder / each) for each in _SOURCES)
    return found


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
