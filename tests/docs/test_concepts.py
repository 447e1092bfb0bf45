"""The glossary and the tables of docs/concepts.md have every word that answers have."""

import re
from typing import get_args

import pytest

from glore.engines.ports import Role
from glore.refinement.types import Strategy
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+?) \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("strategy", Strategy)
def test_every_strategy_has_a_row(strategy: Strategy) -> None:
    assert f"`{strategy.value}`" in ROWS


@pytest.mark.parametrize("role", get_args(Role))
def test_every_role_has_a_row(role: str) -> None:
    assert role.replace("_", " ") in [row.partition(" (")[0].lower() for row in ROWS]


def test_a_term_has_one_row() -> None:
    terms = PAGE.partition("## Glossary")[2]
    names = re.findall(r"^\| ([^|]+?) \|", terms, re.MULTILINE)
    assert sorted(set(names) - {"Term", "---"}) == sorted(
        name for name in names if name not in {"Term", "---"}
    )
    assert len(names) > 50
