"""One run folder: which stages are done, what each one counted, and how long it took."""

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from glore_models.data.files import read_json, write_whole

Counts: TypeAlias = dict[str, Any]

_GSM8K = {"gsm8k", "gsm8k_sha256"}  # the settings that GLORE_GSM8K decides


class OtherRecipeError(ValueError):
    """A run folder was made with other settings."""


@dataclass(frozen=True, slots=True)
class Run:
    """A folder that stages read from and write to."""

    folder: Path

    def path(self, name: str) -> Path:
        """A file or folder of the run."""
        return self.folder / name

    def remember(
        self, settings: Counts, adding: Collection[str] = (), later: Collection[str] = ()
    ) -> None:
        """Write the run's whole configuration, seeds included, to `recipe.json`.

        A run that differs in settings named in `adding` alone, or was begun before there were
        such, goes on with those of now; so does one that was begun before there were settings
        named in `later`. Raises OtherRecipeError, which names the settings that differ, when the
        folder holds a run with another configuration.
        """
        text = json.dumps(settings, indent=1, default=str) + "\n"
        path = self.path("recipe.json")
        known = path.read_text(encoding="utf-8") if path.exists() else None
        if known == text:
            return
        if known is not None:
            unknown = set(later) - json.loads(known).keys()
            theirs, ours = _without(known, adding), _without(text, {*adding, *unknown})
            if theirs != ours:
                message = (
                    f"{self.folder} holds a run with other settings: it differs in "
                    f"{_differing(theirs, ours)}; name another folder, or go on with its settings, "
                    "without --start-from"
                )
                raise OtherRecipeError(message)
        write_whole(path, text)

    def is_done(self, name: str) -> bool:
        """Whether a stage was finished before."""
        return self.path(f"{name}.done.json").exists()

    def stage(self, name: str, work: Callable[[], Counts]) -> Counts:
        """Do `work` unless it was done before; remember what it counted and its seconds.

        The seconds are those of the attempt that finished it. A checkpoint of the stage goes
        when its counts are kept, so that a kill between the two costs minutes at most.
        """
        done = self.path(f"{name}.done.json")
        if done.exists():
            return read_json(done)
        self.folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        counts = work()
        counts["seconds"] = round(time.monotonic() - started, 1)
        write_whole(done, json.dumps(counts, indent=1))
        self.path(f"{name}.checkpoint").unlink(missing_ok=True)
        return counts

    def seconds(self) -> float:
        """What all finished stages took."""
        return sum(float(values["seconds"]) for values in self.counts().values())

    def counts(self, order: Sequence[str] = ()) -> dict[str, Counts]:
        """What every finished stage counted, by stage: those in `order` first, others by name.

        The files' times say nothing: in a run that was unpacked they are all about the same.
        """
        done = {path.name.removesuffix(".done.json") for path in self.folder.glob("*.done.json")}
        names = [*(name for name in order if name in done), *sorted(done.difference(order))]
        return {name: read_json(self.path(f"{name}.done.json")) for name in names}


def _without(settings: str, names: Collection[str]) -> Counts:
    return {name: value for name, value in json.loads(settings).items() if name not in names}


def _differing(theirs: Counts, ours: Counts) -> str:
    """The settings in which a run that was begun and one of now differ."""
    none = object()
    names = [name for name in {**theirs, **ours} if theirs.get(name, none) != ours.get(name, none)]
    text = ", ".join(names)
    if _GSM8K.intersection(names):
        text += f" (GLORE_GSM8K named {theirs.get('gsm8k') or 'no file'} then)"
    return text
