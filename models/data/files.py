"""What every stage reads and writes: JSONL files of frozen dataclasses, JSON, and whole files."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")


class InUseError(ValueError):
    """Another process works in the same folder."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder, made if need be, for this process. Raises InUseError, or OSError.

    However the process ends, the folder is free again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another process works in {folder}"
            raise InUseError(message) from error
        yield


def write_whole(path: Path, text: str) -> None:
    """Write all of `text`, or leave what was there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one when there is no file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON, or leave what was there. Raises OSError."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: "Iterable[DataclassInstance]") -> int:
    """Write all rows, or nothing at all: the file appears when it is whole. Returns the count."""
    partial = path.with_suffix(path.suffix + ".partial")
    count = 0
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return count


def append_jsonl(path: Path, rows: "Iterable[DataclassInstance]") -> None:
    """Append rows, after taking away a last line that a kill cut off."""
    _drop_cut_line(path)
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_jsonl(path: Path, kind: type[T]) -> Iterator[T]:
    """The rows of a file as `kind`; a last line without its newline is not yet a row.

    Lists become tuples, one level deep, so that rows stay hashable.
    """
    with path.open("rb") as file:  # a line may be cut off inside a character
        for line in file:
            if not line.endswith(b"\n"):
                return
            row = json.loads(line)
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
            yield kind(**values)


def _drop_cut_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return
        file.seek(-1, os.SEEK_END)
        if file.read() == b"\n":
            return
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
