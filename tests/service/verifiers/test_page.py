"""docs/guides/verifiers.md: its example runs, and what it says is left alone is."""

import re
import sys
import types
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from glore.settings import Settings
from glore.verifiers import catalog
from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.catalog import GROUP, load_verifiers, verifier_names
from glore.verifiers.checking import check

PAGE = (Path(__file__).parents[3] / "docs/guides/verifiers.md").read_text(encoding="utf-8")


def test_the_example_gives_what_it_says() -> None:
    example, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own page
    said = [line.split("  # ") for line in example.splitlines() if "  # " in line]
    assert len(said) == 3
    for expression, value in said:
        assert repr(eval(expression, names)) == value  # noqa: S307 - our own page


async def test_the_verifier_of_ones_own_finds_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, example = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    package = types.ModuleType("my_package")
    exec(example, vars(package))  # noqa: S102 - our own page
    monkeypatch.setitem(sys.modules, "my_package", package)
    (line,) = re.findall(r'^prices = "(.*)"$', PAGE, re.MULTILINE)
    point = EntryPoint("prices", line, GROUP)
    monkeypatch.setattr(catalog, "entry_points", lambda **_: EntryPoints([point]))
    assert verifier_names() == ("arithmetic", "prices")
    settings = Settings.model_validate({"verifiers": "arithmetic,prices"})
    found = await check(load_verifiers(settings.verifiers), "", ["It costs -$5.", "1 + 1 = 3"])
    assert [(each.verifier, each.claimed, each.expected) for each in found] == [
        ("prices", "-$5", "$5"),
        ("arithmetic", "3", "2"),
    ]


def test_a_verifier_that_is_not_installed_ends_the_start() -> None:
    with pytest.raises(ValidationError, match="no verifier 'algebra'; there are arithmetic"):
        Settings.model_validate({"verifiers": "algebra"})
    with pytest.raises(LookupError, match="no verifier 'algebra' is installed"):
        load_verifiers(["algebra"])
    assert Settings.model_validate({"verifiers": "off"}).verifiers == ()


def test_what_the_table_says_is_left_alone_is() -> None:
    table = PAGE.partition("| what | examples |")[2].partition("\n\n")[0]
    examples = re.findall(r"`([^`]*=[^`]*)`", table)
    assert len(examples) > 30
    for example in examples:
        assert Arithmetic().check("", [example]) == (), example
