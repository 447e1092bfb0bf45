"""docs/verifiers.md: its example runs, and what it says is left alone is."""

import re
from pathlib import Path
from typing import Any

from service.verifiers.arithmetic import Arithmetic

PAGE = (Path(__file__).parents[3] / "docs/verifiers.md").read_text(encoding="utf-8")


def test_the_example_gives_what_it_says() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own page
    said = [line.split("  # ") for line in example.splitlines() if "  # " in line]
    assert len(said) == 3
    for expression, value in said:
        assert repr(eval(expression, names)) == value  # noqa: S307 - our own page


def test_what_the_table_says_is_left_alone_is() -> None:
    table = PAGE.partition("| what | examples |")[2].partition("\n\n")[0]
    examples = re.findall(r"`([^`]*=[^`]*)`", table)
    assert len(examples) > 30
    for example in examples:
        assert Arithmetic().check("", [example]) == (), example
