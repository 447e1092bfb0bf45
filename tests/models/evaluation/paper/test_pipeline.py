"""Collecting several students with fake models, and refusals."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from glore_models.data.run_folder import RunModels, Thresholds
from glore_models.evaluation.paper.collector import CollectPlan
from glore_models.evaluation.paper.pipeline import (
    OtherThresholdsError,
    RecordKeys,
    check_thresholds,
    collect_all,
    read_records_of,
)
from glore_models.evaluation.paper.sets import TrainedOnError
from tests.models.evaluation.paper.fakes import FakeModels, write_gsm8k

PLAN = CollectPlan(labelled=3, first_error=0.4, orm_first_error=0.5)


@pytest.fixture
def wanted(tmp_path: Path) -> RecordKeys:
    return RecordKeys(("sft", "ei"), {"gsm8k": 4}, write_gsm8k(tmp_path / "gsm8k.jsonl"))


def test_a_scorer_that_is_compared_is_collected_too(wanted: RecordKeys, tmp_path: Path) -> None:
    run, models = RunModels(tmp_path / "run"), FakeModels(compared=("orm_matched",))
    records = collect_all(run, wanted, PLAN, lambda _: models.ports(), lambda: 0.0)
    assert read_records_of(run, wanted) == records
    assert all("orm_matched" in each.compared for rows in records.values() for each in rows)


def test_a_run_that_was_trained_on_a_question_is_refused_before_anything_is_requested(
    wanted: RecordKeys, tmp_path: Path
) -> None:
    run, models = RunModels(tmp_path / "run"), FakeModels()
    run.folder.mkdir()
    assert wanted.gsm8k is not None
    rows = [json.loads(line) for line in wanted.gsm8k.read_text(encoding="utf-8").splitlines()]
    seen = "".join(json.dumps({"question": row["question"]}) + "\n" for row in rows)
    (run.folder / "samples.jsonl").write_text(seen, encoding="utf-8")
    with pytest.raises(TrainedOnError, match=r"samples\.jsonl holds 4 questions of the set gsm8k"):
        collect_all(run, wanted, PLAN, lambda _: models.ports())
    assert models.calls.created == []


@pytest.mark.parametrize("phases", [True, False])
def test_refinements_of_other_thresholds_are_not_counted_as_those_of_now(
    wanted: RecordKeys, tmp_path: Path, *, phases: bool
) -> None:
    """With the files of the phases, or with the records alone."""
    run = RunModels(tmp_path / "run")
    records = collect_all(run, wanted, PLAN, lambda _: FakeModels().ports(), lambda: 0.0)
    local = run.phases("ei", "gsm8k") / "local.jsonl"
    assert local.stat().st_size
    if not phases:
        for student in wanted.students:
            (run.phases(student, "gsm8k") / "local.jsonl").unlink()
    now = Thresholds(PLAN.first_error, PLAN.orm_first_error, gate=None)
    check_thresholds(run, records, now)
    others = [replace(now, first_error=0.0), replace(now, orm_first_error=0.0)]
    if phases:  # where nothing was written, they alone tell whether something was asked for
        others += [replace(now, first_error=1.0), replace(now, orm_first_error=1.0)]
    for other in others:
        with pytest.raises(OtherThresholdsError, match="under other thresholds than those of now"):
            check_thresholds(run, records, other)


def test_a_step_named_now_that_was_never_refined_is_noticed(
    wanted: RecordKeys, tmp_path: Path
) -> None:
    run = RunModels(tmp_path / "run")
    plan = replace(PLAN, first_error=0.0)  # names nothing; the ORM does
    records = collect_all(run, wanted, plan, lambda _: FakeModels().ports(), lambda: 0.0)
    assert all(record.local_sorm is None for rows in records.values() for record in rows)
    with pytest.raises(OtherThresholdsError):
        check_thresholds(run, records, Thresholds(0.9, plan.orm_first_error, gate=None))
