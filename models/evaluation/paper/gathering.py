"""Collects the records of every set and student that is asked for, and keeps them."""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.evaluation.paper.collect import Collector, Plan
from models.evaluation.paper.phases import Clock
from models.evaluation.paper.ports import Ports, RunModels
from models.evaluation.paper.records import Record, read_records, write_records
from models.evaluation.paper.sets import load_set


class MissingRecordsError(ValueError):
    """There is nothing to count yet; the text names what is missing."""


class InUseError(ValueError):
    """Another process collects in the same folder."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: a size per set, for each student. `gsm8k` is that set's file."""

    students: Sequence[str]
    sizes: Mapping[str, int]
    gsm8k: Path | None = None


def collect_all(
    models: RunModels,
    wanted: Wanted,
    plan: Plan,
    ports: Callable[[str], Ports],
    clock: Clock = time.process_time,
) -> dict[tuple[str, str], list[Record]]:
    """The records by (student, set), made where they are missing, and written.

    `clock` measures the engines' seconds: by default those of this process's processors, which
    do not depend on what else the machine does while the phases run, hours apart.

    All questions are loaded before the first model, so that a wrong file is known at once.
    Raises ValueError or OSError for those, OtherModelsError for rows of other models,
    InUseError when another process collects in the same folder.
    """
    with _alone(models.folder / "evaluation"):
        sets = {
            name: load_set(name, size, wanted.gsm8k, models.questions(name))
            for name, size in wanted.sizes.items()
        }
        made: dict[tuple[str, str], list[Record]] = {}
        for name, problems in sets.items():
            for student in wanted.students:
                phases = models.phases(student, name)
                collector = Collector(
                    name, student, problems, ports(student), plan, phases, clock=clock
                )
                made[student, name] = collector.run()
                write_records(models.records(student, name), made[student, name])
        return made


def read_all(models: RunModels, wanted: Wanted) -> dict[tuple[str, str], list[Record]]:
    """The records that are there, by (student, set), whatever their number.

    Raises MissingRecordsError when there are none, RecordError for a file of something else.
    """
    found: dict[tuple[str, str], list[Record]] = {}
    for name in wanted.sizes:
        for student in wanted.students:
            path = models.records(student, name)
            if path.exists():
                found[student, name] = list(read_records(path))
    if not found:
        message = f"{models.folder / 'evaluation'} holds no records of these sets and students"
        raise MissingRecordsError(message)
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another process collects in {folder}"
            raise InUseError(message) from error
        yield
