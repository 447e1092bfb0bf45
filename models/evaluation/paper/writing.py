"""Files that appear when they are whole."""

import json
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """Write all of `text`, or leave what was there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one when there is no file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON, or leave what was there. Raises OSError."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
