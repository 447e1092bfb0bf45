"""One run folder: which stages are done, what each one counted, and how long it took."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Counts: TypeAlias = dict[str, Any]


class OtherRecipeError(ValueError):
    """A run folder was made with other settings."""


@dataclass(frozen=True, slots=True)
class Run:
    """A folder that stages read from and write to."""

    folder: Path

    def path(self, name: str) -> Path:
        """A file or folder of the run."""
        return self.folder / name

    def remember(self, settings: Counts) -> None:
        """Write the run's whole configuration, seeds included, to `recipe.json`.

        Raises OtherRecipeError when the folder holds a run with another one.
        """
        text = json.dumps(settings, indent=1, default=str) + "\n"
        path = self.path("recipe.json")
        if path.exists() and path.read_text(encoding="utf-8") != text:
            message = f"{self.folder} holds a run with other settings; name another folder"
            raise OtherRecipeError(message)
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def stage(self, name: str, work: Callable[[], Counts]) -> Counts:
        """Do `work` unless it was done before; remember what it counted and its seconds."""
        done = self.path(f"{name}.done.json")
        if done.exists():
            counts: Counts = json.loads(done.read_text(encoding="utf-8"))
            return counts
        self.folder.mkdir(parents=True, exist_ok=True)
        print(f"stage {name}", flush=True)  # noqa: T201 - progress of a command
        started = time.monotonic()
        counts = work()
        counts["seconds"] = round(time.monotonic() - started, 1)
        partial = done.with_suffix(".partial")
        partial.write_text(json.dumps(counts, indent=1), encoding="utf-8")
        partial.replace(done)
        return counts

    def counts(self) -> dict[str, Counts]:
        """What every finished stage counted, by stage."""
        return {
            path.name.removesuffix(".done.json"): json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(self.folder.glob("*.done.json"))
        }
