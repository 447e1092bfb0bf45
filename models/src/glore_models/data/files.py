"""What every stage reads and writes: JSONL files of frozen dataclasses, JSON, and whole files."""

import codecs
import json
import os
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")


_GZIP = b"\x1f\x8b"


class FormatError(ValueError):
    """A user's file is not in its format; the text names it, and the line, in one line."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to. What stands there at the end is `path`; without an end, `path` stays.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    yield partial
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def write_whole(path: Path, text: str) -> None:
    """Write all of `text`, or leave what was there. Raises OSError."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one when there is no file."""
    content: dict[str, Any] = parse_json(path.read_bytes(), path.name) if path.exists() else {}
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON, or leave what was there. Raises OSError."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: "Iterable[DataclassInstance]") -> int:
    """Write all rows, or nothing at all: the file appears when it is whole. Returns the count."""
    count = 0
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(_line(asdict(row)))
            count += 1
    return count


def append_jsonl(path: Path, rows: "Iterable[DataclassInstance]") -> None:
    """Append rows, after taking away a last line that a kill cut off; on the disk at the end."""
    append_lines(path, map(asdict, rows))


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """As `append_jsonl`, of plain values."""
    drop_cut_line(path)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(map(_line, rows))
        file.flush()
        os.fsync(file.fileno())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_user_rows(
    path: Path, what: str, counted: Counter[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a user's JSONL file with the numbers of their lines; `what` names a line.

    A byte order mark may begin the file. `counted` gets the `blank_lines`, which are left out.
    Raises OSError or FormatError.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not content.strip():
                counted["blank_lines"] += 1
                continue
            where = f"{path.name}:{number}: not {what}"
            row = parse_json(content, where)
            if not isinstance(row, dict):
                message = f"{where}: not a JSON object but {reprlib.repr(row)}"
                raise FormatError(message)
            yield number, row


def parse_json(content: bytes, where: str) -> Any:
    """The value of a JSON text in UTF-8. Raises FormatError, which begins with `where`."""
    try:
        return json.loads(content.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        packed = content.startswith(_GZIP)
        reason = "compressed; unpack it first" if packed else f"not UTF-8 ({error.reason})"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = f"not JSON: {error}"
    message = f"{where}: {reason}"
    raise FormatError(message)


def text_in(row: dict[str, Any], name: str, where: str) -> str:
    """A field that has to hold text. Raises FormatError, which begins with `where`."""
    value = row.get(name)
    if name not in row:
        reason = f"no {name!r}"
    elif not isinstance(value, str):
        reason = f"{name!r} is {'null' if value is None else reprlib.repr(value)} and no text"
    elif not value.strip():
        reason = f"{name!r} is blank"
    elif not is_unicode(value):
        reason = f"{name!r} has half of a surrogate pair"
    else:
        return value
    message = f"{where}: {reason}"
    raise FormatError(message)


def is_unicode(text: str) -> bool:
    """Whether the text can be written down: JSON may hold halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_jsonl(path: Path, kind: type[T]) -> Iterator[T]:
    """The rows of a file as `kind`. Lists become tuples, one level deep, so that rows are hashable.

    A last line without its newline is not yet a row. Raises OSError or FormatError.
    """
    for _, row in read_lines(path):
        yield kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The values of the whole lines of a file with their numbers. Raises OSError or FormatError."""
    with path.open("rb") as file:  # a line may be cut off inside a character
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            yield number, parse_json(line, f"{path.name}:{number}")


def drop_cut_line(path: Path) -> None:
    """Take away a last line that a kill cut off, if there is a file with one."""
    if not path.exists():
        return
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return
        file.seek(-1, os.SEEK_END)
        if file.read() == b"\n":
            return
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
