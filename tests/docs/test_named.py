"""Commands that the pages name exist, whether they run in a test or not: their options too."""

import importlib.util
import re
import subprocess
from typing import Any

import pytest
import typer

from glore.cli import main
from tests.docs.blocks import BASH, blocks
from tests.docs.pages import ROOT, pages

TEXT = {page: page.read_text(encoding="utf-8") for page in pages()}
GROUP: Any = typer.main.get_command(main)
# A command at the beginning of a line or of a piece of code, with its settings before it.
_GLORE = re.compile(r"^(?:\w+=\S+ )*glore ([a-z]+)([^\n|;&#]*)", re.MULTILINE)
_MODULE = re.compile(r"python -m ((?:loadtest|tests|glore_models)[\w.]*)")
_TARGET = re.compile(r"`?\bmake ([a-z]+)\b(?=[ `\n])")
_CODE = re.compile(r"`([^`\n]+)`|^ *```(?:bash|text)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def code(text: str) -> str:
    """All code of a page, a piece in each line."""
    return "\n".join(short or block for short, block in _CODE.findall(text))


@pytest.mark.parametrize("page", TEXT, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Any) -> None:
    for name, rest in _GLORE.findall(code(TEXT[page])):
        assert name in GROUP.commands, name
        params = GROUP.commands[name].params
        known = {option for each in params for option in [*each.opts, *each.secondary_opts]}
        unknown = set(re.findall(r"(?<!\S)--[a-z0-9-]+", rest)) - known - {"--help"}
        assert not unknown, f"glore {name}{rest}"


def test_modules_and_targets_exist() -> None:
    every = "\n".join(code(text) for text in TEXT.values())
    modules = set(_MODULE.findall(every))
    assert len(modules) > 5
    for module in modules:
        assert importlib.util.find_spec(module), module
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(_TARGET.findall(every))
    assert len(targets) > 5
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_what_is_not_run_can_be_read_by_bash() -> None:
    for block in blocks():
        if block.language == BASH and not (block.said or {}).get("runs"):
            command = ["bash", "-n", "-c", block.text]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block.name}: {done.stderr}"
