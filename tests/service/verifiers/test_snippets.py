"""Steps in the styles of people and of chat models, written for this test.

`data/not_false.txt` holds solutions without a false equation, however odd they look;
`data/false.txt` holds solutions with one, then what it claims and what is right. A blank line
stands between solutions, a line is a step.
"""

from pathlib import Path

import pytest

from glore.verifiers.arithmetic import Arithmetic

DATA = Path(__file__).parent / "data"


def blocks(name: str) -> list[list[str]]:
    text = (DATA / name).read_text(encoding="utf-8")
    return [block.splitlines() for block in text.strip("\n").split("\n\n")]


@pytest.mark.parametrize("steps", blocks("not_false.txt"), ids=lambda steps: steps[0][:40])
def test_nothing_false_is_found_where_nothing_is(steps: list[str]) -> None:
    assert Arithmetic().check("", steps) == ()


@pytest.mark.parametrize("block", blocks("false.txt"), ids=lambda block: block[0][:40])
def test_what_is_certainly_false_is_found(block: list[str]) -> None:
    *steps, verdict = block
    found = Arithmetic().check("", steps)
    assert [f"=> {finding.claimed} | {finding.expected}" for finding in found] == [verdict]
    (finding,) = found
    assert steps[finding.step][finding.start : finding.end] == finding.claimed
