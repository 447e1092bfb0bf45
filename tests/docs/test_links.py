"""Every relative link in the pages, and every anchor of it, leads somewhere."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages, without_blocks

# [text](target) and ![text](target); a target has no blank and is no address of the Internet.
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")
_SOURCE = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.py)`")
_SOURCES = (ROOT, ROOT / "service/src/glore", ROOT / "tests/service")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    found: dict[str, int] = {}
    names = set()
    for heading in _HEADING.findall(without_blocks(page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        count = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def links(page: Path) -> list[str]:
    """The relative links of a page, but for those in code."""
    return _LINK.findall(_CODE.sub("", without_blocks(page.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.is_relative_to(ROOT), link
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_source_file_that_is_named_exists(page: Path) -> None:
    for name in _SOURCE.findall(without_blocks(page.read_text(encoding="utf-8"))):
        assert any((folder / name).exists() for folder in _SOURCES), name


def test_the_links_are_found() -> None:
    assert sum(len(links(page)) for page in pages()) > 40
