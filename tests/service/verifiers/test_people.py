"""Solutions that people wrote: GSM8K's training set has 7,473.

`data/gsm8k.jsonl` lists every equation that is found false in them, and why it is: all of them
are. It holds no text of GSM8K but the equations.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from glore.verifiers.arithmetic import Arithmetic
from tests.service.verifiers.figures import gsm8k, human_findings, read

GSM8K = gsm8k()  # tests have no settings in their environment
LISTED = list(read(Path(__file__).parent / "data/gsm8k.jsonl"))


@pytest.mark.parametrize("listed", LISTED, ids=lambda row: f"{row['row']}-{row['expression']}")
def test_what_is_listed_is_found_in_the_equation_alone(listed: dict[str, Any]) -> None:
    (finding,) = Arithmetic().check("", [f"{listed['expression']} = {listed['claimed']}"])
    assert (finding.claimed, finding.expected) == (listed["claimed"], listed["expected"])


@pytest.mark.skipif(GSM8K is None, reason="GLORE_GSM8K names no file, and none is beside us")
@pytest.mark.parametrize("annotated", [True, False], ids=["annotated", "stripped"])
def test_nothing_else_is_found_in_gsm8k(annotated: bool) -> None:
    assert GSM8K is not None
    questions = [row["question"] for row in read(GSM8K)]
    found = [
        {
            "row": row,
            "question": hashlib.sha256(questions[row].encode()).hexdigest()[:16],
            "step": finding.step,
            "expression": finding.expression,
            "claimed": finding.claimed,
            "expected": finding.expected,
        }
        for row, finding in human_findings(GSM8K, annotated=annotated)
    ]
    assert found == [{k: v for k, v in row.items() if k != "why"} for row in LISTED]


def test_annotations_are_read_and_then_left_out() -> None:
    steps = [
        "48/2 = <<48/2=25>>24 clips",
        "48/2 = <<48/2=24>>25 clips",
        "12/60 = $<<12/60=0.2>>0.2",
    ]
    found = Arithmetic().check("", steps)
    assert [(each.step, each.start, each.claimed) for each in found] == [
        (0, 14, "25"),
        (1, 18, "25"),
    ]
    assert json.dumps([each.expected for each in found]) == '["24", "24"]'
