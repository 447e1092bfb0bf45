"""What must be true before anything is started; each check raises ServingError or passes."""

import importlib.util
import shutil
import socket
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from glore.installation import installing
from glore_models.serving.errors import ServingError

ENGINE_MEMORY = 4.3e9  # bytes of one vLLM server with the small base
GATEWAY_MEMORY = 0.3e9
_CGROUP = Path("/sys/fs/cgroup")


def check_port(host: str, port: int, name: str, option: str) -> None:
    """The port is free. `option` is how another one is chosen."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServingError(
                problem=(
                    f"Port {port} for the {name} cannot be opened on {host}: "
                    f"{error.strerror or error}{_holder(port)}."
                ),
                way_out=f"Stop what uses it, or choose another with {option}.",
            ) from error


def check_memory(engines: int, available: float | None = None) -> None:
    """There is memory (bytes) for this many local engines and the gateway."""
    needed = engines * ENGINE_MEMORY + GATEWAY_MEMORY
    if available is None:
        available = available_memory()
    if available < needed:
        raise ServingError(
            problem=(
                f"{available / 1e9:.1f} GB of memory are available; {engines} engine(s) and the "
                f"gateway need {needed / 1e9:.1f} GB."
            ),
            way_out=(
                "Close other programs, or let an engine run elsewhere: set GLORE_GENERATION__URL "
                "or GLORE_SCORING__URL to its address."
            ),
        )


def check_vllm() -> None:
    """The packages of the CPU engine are installed."""
    missing = [name for name in ("torch", "vllm") if importlib.util.find_spec(name) is None]
    if missing:
        raise ServingError(
            problem=f"{' and '.join(missing)} not installed in this environment.",
            way_out=(
                f"The CPU engine is glore's extra `cpu`; {installing('cpu')}. Or set "
                "GLORE_GENERATION__URL and GLORE_SCORING__URL to engines that run elsewhere."
            ),
        )


def check_gpu(needed: float) -> None:
    """The GPU build of vLLM is installed, and a GPU has `needed` bytes of memory."""
    try:
        metadata.version("vllm")
    except metadata.PackageNotFoundError:
        raise ServingError(
            problem="A preset needs vLLM's GPU build; this environment has the CPU build or none.",
            way_out=(
                "In an environment of its own, in a clone: pip install vllm==0.32.0 "
                "-e clients/python -e service -e models (docs/guides/own-models.md). "
                "`--dry-run` shows the commands without a GPU."
            ),
        ) from None
    memory = gpu_memory()
    if memory < needed:
        found = f"the largest has {memory / 1e9:.0f} GB" if memory else "nvidia-smi shows none"
        raise ServingError(
            problem=f"This preset needs a GPU with {needed / 1e9:.0f} GB of memory; {found}.",
            way_out="Let some of its models run elsewhere: "
            "docs/guides/own-models.md names the settings.",
        )


def gpu_memory() -> float:
    """Bytes of the largest NVIDIA GPU; 0 when there is none or no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0.0
    asked = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]  # MiB
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    sizes = [line.strip() for line in done.stdout.splitlines()]
    return max((float(size) * 2**20 for size in sizes if size.isdigit()), default=0.0)


def check_programs() -> None:
    """The programs that vLLM calls on a CPU are there."""
    if shutil.which("lscpu") is None:
        raise ServingError(
            problem="The program lscpu was not found; vLLM asks it for the machine's cores.",
            way_out="Install util-linux: apt-get install util-linux, or dnf install util-linux.",
        )


def available_memory(cgroup: Path = _CGROUP) -> float:
    """Bytes that may still be used: the machine's, or a container's where that is less."""
    free = float(psutil.virtual_memory().available)
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        used = float((cgroup / "memory.current").read_text(encoding="ascii"))
        reclaimable = _stat(cgroup / "memory.stat").get("inactive_file", 0.0)
        return min(free, float(limit) - used + reclaimable)  # "max" is no number
    except (OSError, ValueError):
        return free


def _stat(file: Path) -> dict[str, float]:
    pairs = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {name: float(value) for name, value in pairs}


def _holder(port: int) -> str:
    """Which process listens on the port, where the system lets us see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            at = connection.laddr
            if connection.status == psutil.CONN_LISTEN and at and at.port == port:
                if connection.pid is None:
                    break
                return f" ({psutil.Process(connection.pid).name()}, process {connection.pid})"
    except psutil.Error:
        pass
    return ""
