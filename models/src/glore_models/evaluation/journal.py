"""Every response in one JSONL file, so that a run can stop and go on.

A line is `{"problem": id, "strategy": ..., "result": {...}, "spent": seconds}`, or has `"failure"`
in place of `"result"`. Failures are asked again when the run goes on; the last line of a pair
counts. `spent` is the time on the wall of all attempts up to that line.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from glore_client import SolveResult
from glore_models.data.files import append_lines, drop_cut_line, parse_json
from glore_models.data.locks import InUseError, lock_file

_BEGIN = b'{"problem": '


class JournalError(Exception):
    """The file cannot be used; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One question asked one way: a result, or what failed (the name of the error)."""

    problem: str
    strategy: str
    result: SolveResult | None
    failure: str | None = None


@dataclass(slots=True)
class Journal:
    """The file and what it holds, by (problem, strategy); `before`: earlier attempts."""

    path: Path
    clock: Callable[[], float]  # monotonic seconds
    opened: float
    before: float = 0.0
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds of all attempts: each earlier one up to its last line, this one up to now."""
        return self.before + self.clock() - self.opened

    @property
    def results(self) -> Iterator[SolveResult]:
        """All that was answered."""
        return (entry.result for entry in self.entries.values() if entry.result is not None)

    def add(self, entry: Entry) -> None:
        """Append an entry; it is on the disk when this returns."""
        line: dict[str, object] = {"problem": entry.problem, "strategy": entry.strategy}
        line["spent"] = round(self.seconds, 3)
        if entry.result is not None:
            line["result"] = entry.result.model_dump(mode="json")
        else:
            line["failure"] = entry.failure
        append_lines(self.path, [line])
        self.entries[entry.problem, entry.strategy] = entry

    def answered(self, problem: str, strategy: str) -> bool:
        """Whether there is a result, so that nothing has to be asked."""
        entry = self.entries.get((problem, strategy))
        return entry is not None and entry.result is not None


@contextmanager
def open_journal(path: Path, clock: Callable[[], float] = time.monotonic) -> Iterator[Journal]:
    """The journal at `path`, made if need be, for this process alone.

    A last line cut off by a kill is taken out. Raises JournalError.
    """
    opened = clock()
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_file(path))
        except InUseError as error:
            message = f"another run is writing to {path}"
            raise JournalError(message) from error
        journal = Journal(path, clock, opened)
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        for number, text in enumerate(raw[:whole].splitlines(), start=1):
            try:
                line = parse_json(text, path.name)
                entry = _entry(line)
                journal.before = _seconds(line.get("spent", journal.before))
            except (ValueError, KeyError, TypeError, OverflowError, ValidationError) as error:
                message = f"{path}:{number} is not a line of this journal"
                raise JournalError(message) from error
            journal.entries[entry.problem, entry.strategy] = entry
        cut = raw[whole:]
        if cut[: len(_BEGIN)] != _BEGIN[: len(cut)]:  # somebody else's file is left as it is
            message = f"{path} does not end with a line of this journal"
            raise JournalError(message)
        drop_cut_line(path)
        yield journal


def _entry(line: dict[str, object]) -> Entry:
    result = SolveResult.model_validate(line["result"]) if "result" in line else None
    failure = None if result is not None else str(line["failure"])
    return Entry(str(line["problem"]), str(line["strategy"]), result, failure)


def _seconds(value: object) -> float:
    seconds = float(value) if isinstance(value, int | float) else math.nan
    if not math.isfinite(seconds):
        message = f"{value!r} is no time"
        raise ValueError(message)
    return seconds


@dataclass(frozen=True, slots=True)
class TotalUsage:
    """What all answers of a folder took; `seconds` on the wall, over all attempts."""

    seconds: float
    engine_calls: int
    prompt_tokens: int
    generated_tokens: int


def usage_of(journal: Journal) -> TotalUsage:
    """The sums over every stored answer; failures report no tokens."""
    used = [result.usage for result in journal.results]
    return TotalUsage(
        seconds=journal.seconds,
        engine_calls=sum(each.engine_calls for each in used),
        prompt_tokens=sum(each.prompt_tokens for each in used),
        generated_tokens=sum(each.generated_tokens for each in used),
    )
