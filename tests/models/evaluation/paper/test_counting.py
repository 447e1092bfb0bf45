"""Rows of the phases, counted from the files as they are."""

import json
from pathlib import Path
from typing import Any

from glore_models.evaluation.paper.counting import count_phases, funnel
from glore_models.evaluation.paper.machines import Machine, MadeOn
from tests.models.evaluation.paper.builders import RIGHT, WRONG, record


def write(folder: Path, phase: str, *rows: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{phase}.jsonl").write_text(lines, encoding="utf-8")


def test_rows_tokens_and_seconds_of_each_phase(tmp_path: Path) -> None:
    drafts = {"problem": "p1", "texts": ["a", "b"], "tokens": [3, 4], "seconds": [0.5, 1.0]}
    write(tmp_path, "samples", drafts, {**drafts, "problem": "of a larger set"})
    write(tmp_path, "sorm", {"problem": "p1", "text": "a", "scores": [0.5], "seconds": 2.0})
    old = {"problem": "p1", "continuations": ["a"], "tokens": 7}
    write(tmp_path, "rollouts", old, {**old, "seconds": 3.0})
    MadeOn(tmp_path).note("sorm.jsonl", Machine("a CPU", "float32"))
    found = count_phases(tmp_path, {"p1"})
    samples, sorm, rollouts = found["samples"], found["sorm"], found["rollouts"]
    assert (samples.rows, samples.written, samples.tokens, samples.seconds) == (1, 1, 7, 1.5)
    assert samples.machines == (None,)
    assert (sorm.rows, sorm.tokens, sorm.seconds) == (1, 0, 2.0)
    assert sorm.machines == (None, Machine("a CPU", "float32"))
    assert (rollouts.rows, rollouts.timed, rollouts.tokens, rollouts.seconds) == (2, 1, 14, 3.0)
    assert (found["local"].rows, found["local"].machines) == (0, ())


def test_a_scorer_that_is_compared_counts_where_it_has_scored(tmp_path: Path) -> None:
    assert "orm_matched" not in count_phases(tmp_path, {"p1"})
    row = {"problem": "p1", "text": "a", "scores": [0.5], "seconds": 2.0}
    write(tmp_path, "orm_matched", row)
    found = count_phases(tmp_path, {"p1"})["orm_matched"]
    assert (found.rows, found.seconds) == (1, 2.0)


def test_the_funnel_counts_what_is_left_at_each_step(tmp_path: Path) -> None:
    nothing = {"problem": "p1", "texts": [" "], "tokens": [1], "seconds": [0.1]}
    write(tmp_path, "global", nothing, {**nothing, "texts": ["a"]})
    write(tmp_path, "rollouts", {"problem": "p1", "continuations": ["a"], "tokens": 7})
    write(tmp_path, "orm", *[{"problem": "p1", "text": "a", "seconds": 0.1}] * 2)
    write(tmp_path, "sorm", *[{"problem": "p1", "text": "a", "seconds": 0.1}] * 4)
    records = [record(WRONG, labels=(1, 0)), record(RIGHT, labels=(1,)), record(WRONG)]
    found = funnel(records, count_phases(tmp_path, {"p1"}))
    assert (found.asked, found.with_steps, found.wrong) == (3, 3, 2)
    assert (found.labelled, found.labelled_wrong, found.prefixes) == (2, 1, 1)
    assert (found.refined_globally, found.refined_locally, found.scored) == ((2, 1), (0, 0), 4)
