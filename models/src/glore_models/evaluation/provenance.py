"""What the rows of a folder were made with (`made_with.json`) and on (`made_on.json`).

Seconds of two machines do not compare, so `made_on.json` names them; it refuses nothing:

```
{"drafts.jsonl": [null, {"processor": "NVIDIA H100", "dtype": "bfloat16"}], ...}
```
`null` stands for rows that were there before anything was written down.
"""

import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from glore_models.data.files import read_json, write_json


class OtherModelsError(ValueError):
    """Rows were made by other models or settings; the text names the file."""


class Provenance:
    """Which models and settings the files of a folder were made with."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "made_with.json"

    def check(self, file: str, made_with: dict[str, Any]) -> None:
        """Remember what `file` is made with. Raises OtherModelsError when it was something else."""
        known = read_json(self.path)
        if file in known and known[file] != made_with:
            differing = [key for key in made_with if known[file].get(key) != made_with[key]]
            message = (
                f"{self.path.parent / file} was made with another {', '.join(differing)}; "
                f"remove {self.path.parent} to make it again"
            )
            raise OtherModelsError(message)
        if file not in known:
            write_json(self.path, {**known, file: made_with})


TIMED = ("drafts", "samples", "sorm", "orm", "global", "local")  # files that table D counts
_CPUS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of machine: the processor or GPU that multiplies, and in which dtype."""

    processor: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.processor}, {self.dtype}"


Machines: TypeAlias = tuple[Machine | None, ...]  # each kind once; None: not known


class HardwareLog:
    """On which machines the files of a folder were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "made_on.json"

    def note(self, file: str, machine: Machine | None) -> None:
        """Remember, before rows are added to `file`, that this machine makes them."""
        before = self.of(file)
        known = read_json(self.path)
        if machine not in before or file not in known:
            kinds = _different((*before, machine))
            known[file] = [None if kind is None else asdict(kind) for kind in kinds]
            write_json(self.path, known)

    def of(self, file: str) -> Machines:
        """Where the rows of a file were made; nothing for a file without rows."""
        path = self.folder / file
        if not path.exists() or path.stat().st_size == 0:
            return ()
        kinds = read_json(self.path).get(file, [None])
        return tuple(None if kind is None else Machine(**kind) for kind in kinds)

    def timed(self) -> Machines:
        """Where the rows whose seconds are counted were made; (None,) without any."""
        kinds = _different(kind for name in TIMED for kind in self.of(f"{name}.jsonl"))
        return kinds or (None,)


def merge_machines(several: Iterable[Machines]) -> Machines:
    """The machines of several folders."""
    return _different(kind for machines in several for kind in machines)


def is_single(machines: Machines) -> bool:
    """Whether everything was made on one known kind of machine, so that seconds compare."""
    return len(machines) == 1 and machines[0] is not None


def describe_machines(machines: Machines) -> str:
    """The kinds of machines in words."""
    return "; ".join("not recorded" if kind is None else str(kind) for kind in machines)


def cpu_name() -> str:
    """The model name of the processor, as far as the system tells it."""
    try:
        lines = _CPUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _different(kinds: Iterable[Machine | None]) -> Machines:
    return tuple(dict.fromkeys(kinds))
