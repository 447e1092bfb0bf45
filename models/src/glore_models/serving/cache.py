"""The model cache: made from the base and the bundle, checked at every start, never half there.

```
<cache>/base     the base as a plain checkpoint       <- the GGUF file
<cache>/student  the base with the student merged     <- base, bundle/student
<cache>/scorer   the student under the reward head    <- student, bundle/head.safetensors
<cache>/downloads, <cache>/logs, <cache>/lock
```
Each part holds `glore.json`: the key, a hash over what it was made from, and the SHA-256 of
each of its files. A part is made in a folder beside it and renamed, so it is whole or absent.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from glore_models.data.locks import lock_folder
from glore_models.serving import base
from glore_models.serving.bundle import Bundle
from glore_models.serving.errors import ServingError

FORMAT = 1  # raised when the same inputs are to give another result
Part: TypeAlias = Literal["base", "student", "scorer"]
Builder: TypeAlias = Callable[[Path], None]  # fills the folder it is given
Report: TypeAlias = Callable[[str], None]

_MANIFEST = "glore.json"
_PARTIAL = ".partial-"
_GB = 1e9
_DISK_NEEDED = 3 * _GB  # three checkpoints of 0.54 GB, the wheel, one part twice while it is made


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """GLORE_CACHE, or else ~/.cache/glore."""
    return Path(environment.get("GLORE_CACHE") or "~/.cache/glore").expanduser().resolve()


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache in the folder `root` for one bundle."""

    root: Path
    bundle: Bundle

    def part(self, part: Part) -> Path:
        """The folder of a part, whether it exists or not."""
        return self.root / part

    @property
    def downloads(self) -> Path:
        """Where the base model's wheel is kept."""
        return self.root / "downloads"

    @property
    def logs(self) -> Path:
        """Where the logs of the processes go."""
        return self.root / "logs"

    def key(self, part: Part) -> str:
        """A hash over everything `part` is made from. Raises OSError when the bundle lacks it."""
        seen = hashlib.sha256(f"{FORMAT} {base.SHA256}".encode())
        files: tuple[Path, ...] = ()
        if part != "base":
            files += self.bundle.adapter_files("student")
        if part == "scorer":
            files += (self.bundle.head,)
        for file in files:
            seen.update(file.read_bytes())
        return seen.hexdigest()

    def problem(self, part: Part) -> str | None:
        """Why `part` has to be made, in a few words; None when it is whole and up to date."""
        folder = self.part(part)
        if not folder.exists():
            return "not made yet"
        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            key, files = manifest["key"], dict(manifest["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return "broken: its list of files cannot be read"
        if key != self.key(part):
            return "made from other adapters or by another version"
        for name, expected in files.items():
            if not (folder / name).is_file():
                return f"broken: {name} is missing"
            if _sha256(folder / name) != expected:
                return f"broken: {name} is not what was written"
        return None

    def to_make(self) -> dict[Part, str]:
        """The parts that have to be made before serving, in order, and why.

        The base is only looked at when the student is to be made from it.
        """
        wanted: dict[Part, str] = {}
        if (problem := self.problem("student")) is not None:
            if (of_base := self.problem("base")) is not None:
                wanted["base"] = of_base
            wanted["student"] = problem
        if (problem := self.problem("scorer")) is not None:
            wanted["scorer"] = problem
        return wanted

    def make(self, builders: Mapping[Part, Builder], report: Report) -> None:
        """Make what is missing, broken or out of date. Raises ServingError.

        Another process that makes the same cache is waited for.
        """
        self.bundle.check()
        with self._locked(report):
            for part, problem in self.to_make().items():
                report(f"{part}: {problem}; making it")
                self._make_part(part, builders[part])
                report(f"{part}: done")

    def make_base(self, builder: Builder, report: Report) -> Path:
        """The base alone, made if need be: what training starts from. Raises ServingError."""
        with self._locked(report):
            if (problem := self.problem("base")) is not None:
                report(f"base: {problem}; making it")
                self._make_part("base", builder)
        return self.part("base")

    def _make_part(self, part: Part, builder: Builder) -> None:
        folder = self.part(part)
        partial = self.root / f"{_PARTIAL}{part}"
        partial.mkdir()
        builder(partial)
        (partial / _MANIFEST).unlink(missing_ok=True)  # of the part it was copied from
        files = sorted(file for file in partial.rglob("*") if file.is_file())
        sums = {str(file.relative_to(partial)): _sha256(file) for file in files}
        manifest = json.dumps({"key": self.key(part), "files": sums}, indent=1)
        (partial / _MANIFEST).write_text(manifest, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)

    @contextmanager
    def _locked(self, report: Report) -> Iterator[None]:
        """The cache to ourselves, leftovers swept away, and room on the disk."""
        try:
            with lock_folder(
                self.root,
                lambda: report("waiting for another process that makes the same cache"),
            ):
                for leftover in self.root.glob(f"{_PARTIAL}*"):
                    shutil.rmtree(leftover)
                yield
        except OSError as error:
            raise ServingError(
                problem=f"The model cache in {self.root} cannot be written: {error}.",
                way_out=(
                    "Make room or set GLORE_CACHE to a folder of yours on a disk with 3 GB to "
                    "spare."
                ),
            ) from error


def check_disk(cache: Cache) -> None:
    """Raise ServingError when the disk has no room for a new cache."""
    existing = next(folder for folder in [cache.root, *cache.root.parents] if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < _DISK_NEEDED:
        raise ServingError(
            problem=(
                f"{free / _GB:.1f} GB are free on the disk of {cache.root}; the models need "
                f"{_DISK_NEEDED / _GB:.0f} GB."
            ),
            way_out="Make room, or set GLORE_CACHE to a folder on a larger disk.",
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
