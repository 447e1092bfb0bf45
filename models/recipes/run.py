"""One run folder: which stages are done, what each one counted, and how long it took."""

import json
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from models.data.files import write_whole

Counts: TypeAlias = dict[str, Any]

_TELL_SECONDS = 600.0
_GSM8K = {"gsm8k", "gsm8k_sha256"}  # the settings that GLORE_GSM8K decides


class OtherRecipeError(ValueError):
    """A run folder was made with other settings."""


class Clock:
    """The time a stage takes, over all its attempts: kept in a file, every few seconds.

    `tell` is called every `tell_every` seconds, on a thread of the clock's own.
    """

    def __init__(
        self,
        file: Path,
        every: float = 5.0,
        tell: Callable[[], None] | None = None,
        tell_every: float = _TELL_SECONDS,
    ) -> None:
        self.file = file
        self.every = every
        self.tell = tell
        self.tell_every = tell_every
        self._before = _number(file)
        self._started = time.monotonic()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        """Start, from what earlier attempts took."""
        self._started = time.monotonic()
        self._keeper.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        self.seconds = self._passed()
        self._over.set()
        self._keeper.join()
        _write(self.file, self.seconds)

    def _passed(self) -> float:
        return self._before + time.monotonic() - self._started

    def _keep(self) -> None:
        told = time.monotonic()
        while not self._over.wait(self.every):
            _write(self.file, self._passed())
            if self.tell and time.monotonic() - told >= self.tell_every:
                told = time.monotonic()
                self.tell()


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

    def stage(
        self, name: str, work: Callable[[], Counts], tell: Callable[[], None] | None = None
    ) -> Counts:
        """Do `work` unless it was done before; remember what it counted and its seconds.

        `tell` is called every ten minutes while it works. A checkpoint of the stage goes when
        its counts are kept, so that a kill between the two costs minutes at most.
        """
        done = self.path(f"{name}.done.json")
        if done.exists():
            counts: Counts = json.loads(done.read_text(encoding="utf-8"))
            return counts
        self.folder.mkdir(parents=True, exist_ok=True)
        clock = self.path(f"{name}.clock")
        with Clock(clock, tell=tell) as spent:
            counts = work()
        counts["seconds"] = round(spent.seconds, 1)
        write_whole(done, json.dumps(counts, indent=1))
        for left_over in (clock, self.path(f"{name}.checkpoint")):
            left_over.unlink(missing_ok=True)
        return counts

    def spent(self, name: str) -> float:
        """The seconds that a stage which is not finished has had already."""
        return _number(self.path(f"{name}.clock"))

    def seconds(self) -> float:
        """What all finished stages took."""
        return sum(float(values["seconds"]) for values in self.counts().values())

    def counts(self, order: Sequence[str] = ()) -> dict[str, Counts]:
        """What every finished stage counted, by stage: those in `order` first, others by name.

        The files' times say nothing: in a run that was unpacked they are all about the same.
        """
        done = {path.name.removesuffix(".done.json") for path in self.folder.glob("*.done.json")}
        names = [*(name for name in order if name in done), *sorted(done.difference(order))]
        return {
            name: json.loads(self.path(f"{name}.done.json").read_text(encoding="utf-8"))
            for name in names
        }


def _without(settings: str, names: Collection[str]) -> Counts:
    return {name: value for name, value in json.loads(settings).items() if name not in names}


def _differing(theirs: Counts, ours: Counts) -> str:
    """The settings in which a run that was begun and one of now differ."""
    none = object()
    names = [name for name in {**theirs, **ours} if theirs.get(name, none) != ours.get(name, none)]
    told = ", ".join(names)
    if _GSM8K.intersection(names):
        told += f" (GLORE_GSM8K named {theirs.get('gsm8k') or 'no file'} then)"
    return told


def _number(file: Path) -> float:
    """What a clock's file holds; 0 without one, or for one cut off by a kill."""
    try:
        return float(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def _write(file: Path, seconds: float) -> None:
    write_whole(file, f"{seconds:.1f}")
