"""The pages that people read, and the blocks in them."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_FOLDERS: Final = ("docs", "results")
_SINGLE: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "clients/python/README.md",
    "service/README.md",
    "models/README.md",
    "models/kept/README.md",
)
_BLOCK: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page, in order."""
    found = [ROOT / name for name in _SINGLE]
    found += [page for folder in _FOLDERS for page in sorted((ROOT / folder).rglob("*.md"))]
    return found


def without_blocks(text: str) -> str:
    """The text without fenced blocks."""
    return _BLOCK.sub("", text)
