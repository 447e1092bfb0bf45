"""The fenced blocks of the pages, and what is said of how each is tested.

A block of `bash` or `python` has a comment in the line before it:

    <!-- runs -->                       tests/docs/test_commands.py runs it
    <!-- runs; prints: TEXT -->         the same, and what it prints has this text in it
    <!-- runs in tests/FILE.py -->      that test runs it
    <!-- not run: REASON -->            no test runs it
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT, pages

BASH: Final = "bash"
COMMANDS: Final = frozenset({BASH, "python"})
SHOWN: Final = frozenset({"json", "mermaid", "nginx", "text", "toml", "yaml"})  # nothing to run
_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK: Final = re.compile(
    r"<!-- (?:(?P<runs>runs)(?:; prints: (?P<prints>.+))?"
    r"|runs in (?P<elsewhere>tests/\S+\.py)|not run: (?P<reason>.+)) -->"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is that of its first fence, from 1."""

    page: Path
    line: int
    language: str
    text: str
    mark: str  # the line before it

    @property
    def name(self) -> str:
        """For the name of a test."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def said(self) -> dict[str, str] | None:
        """What its mark says; None where it is none."""
        found = _MARK.fullmatch(self.mark)
        return {key: value for key, value in found.groupdict().items() if value} if found else None


def blocks() -> Iterator[Block]:
    """All blocks of all pages."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            indent, language, content = found.groups()
            lines = [line.removeprefix(indent) for line in content.splitlines(keepends=True)]
            before = text[: found.start()].splitlines()
            mark = before[-1].strip() if before else ""
            yield Block(page, len(before) + 1, language, "".join(lines), mark)
