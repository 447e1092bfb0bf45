"""Records by models that answer by rule: what is in them, and that a kill changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from glore.formats.steps import prefix_before, split_steps
from glore_models.data.files import read_jsonl
from glore_models.data.labels import BAD, GOOD
from glore_models.evaluation.paper import phases
from glore_models.evaluation.paper.collector import Collector, CollectPlan
from glore_models.evaluation.paper.phases import TimedRollouts
from glore_models.evaluation.paper.records import Record, named_error, true_error
from glore_models.evaluation.provenance import HardwareLog, Machine, OtherModelsError
from tests.models.evaluation.paper.fakes import (
    PROBLEMS,
    Calls,
    FakeModels,
    FakeScorer,
    KilledError,
)

PLAN = CollectPlan(labelled=5, first_error=0.4, orm_first_error=0.5)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "BATCH_ROWS", 6)
    monkeypatch.setattr(phases, "BATCH_SCORES", 5)


def collect(models: FakeModels, folder: Path, plan: CollectPlan = PLAN) -> list[Record]:
    ticks = iter(range(10_000))
    return Collector(
        "easy", "ei", PROBLEMS, models.ports(), plan, folder, clock=lambda: float(next(ticks))
    ).run()


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def records(models: FakeModels, tmp_path: Path) -> list[Record]:
    return collect(models, tmp_path / "run")


def test_there_is_a_record_for_each_question_in_order(records: list[Record]) -> None:
    assert [record.problem for record in records] == [problem.id for problem in PROBLEMS]
    assert {len(record.samples) for record in records} == {3}
    assert all(record.global_refinement for record in records)
    assert {record.draft.right for record in records} == {True, False}


def test_the_first_questions_are_labelled_and_right_drafts_without_a_rollout(
    models: FakeModels, records: list[Record]
) -> None:
    assert [record.labels is not None for record in records] == [True] * 5 + [False] * 2
    for record in records[:5]:
        assert record.labels is not None
        assert len(record.labels) == len(split_steps(record.draft.text)) == 3
        assert (record.labels == (GOOD,) * 3) == record.draft.right
        assert (record.labels[-1] == BAD) == (not record.draft.right)
    wrong = [record for record in records[:5] if not record.draft.right]
    longer = [p for p in models.student.prompts if "\nso " in p]
    assert len(longer) == 2 * len(wrong) > 0
    assert all(any(record.question in prompt for record in wrong) for prompt in longer)


def test_a_local_refinement_keeps_what_comes_before_the_named_error(records: list[Record]) -> None:
    seen = set()
    for record in records:
        named = {
            "sorm": named_error(record.draft.sorm, PLAN.first_error),
            "orm": named_error(record.draft.orm, PLAN.orm_first_error),
            "oracle": true_error(record.labels),
        }
        refined = {
            "sorm": record.local_sorm,
            "orm": record.local_orm,
            "oracle": record.local_oracle,
        }
        for critique, index in named.items():
            created = refined[critique]
            assert (created is None) == (index is None)
            if created is None or index is None:
                continue
            seen.add((critique, index))
            stored = prefix_before(record.draft.text, index)
            assert created.first_error == index
            assert created.written.text.startswith(stored + "so ")
            assert created.written.tokens < len(created.written.text) - len(stored) + 5
    assert {critique for critique, _ in seen} == {"sorm", "orm", "oracle"}
    assert {index for _, index in seen} >= {0, 1}


def test_equal_critiques_share_one_refinement(models: FakeModels, records: list[Record]) -> None:
    assert len(models.local_refiner.prompts) == len(set(models.local_refiner.prompts))
    requested = sum(
        len(
            {
                refined.first_error
                for refined in (record.local_sorm, record.local_orm, record.local_oracle)
                if refined
            }
        )
        for record in records
    )
    assert len(models.local_refiner.prompts) == requested


def test_everything_that_is_ranked_has_scores_of_both(
    models: FakeModels, records: list[Record]
) -> None:
    for record in records:
        ranked = [record.draft, *record.samples, record.global_refinement, record.local("sorm")]
        for written in ranked:
            if written is not None:
                steps = len(split_steps(written.text))
                assert written.sorm is not None
                assert written.orm is not None
                assert len(written.sorm.steps) == len(written.orm.steps) == steps
    assert len(models.sorm.scored) == len(set(models.sorm.scored))


def test_a_scorer_that_is_compared_scores_the_drafts_alone(
    records: list[Record], tmp_path: Path
) -> None:
    """Where the others have done all of theirs; what it said stays when it is gone."""
    models = FakeModels(compared=("orm_matched",))
    again = collect(models, tmp_path / "run")
    assert set(models.calls.created) == {"orm_matched"}
    for one, before in zip(again, records, strict=True):
        assert replace(one, compared={}) == before
        steps = tuple(step.text for step in split_steps(one.draft.text))
        (requested,) = [each for each in models.others["orm_matched"].scored if each[1] == steps]
        assert requested[0] == one.question
        scores = FakeScorer("orm_matched", Calls()).score([requested])[0]
        assert one.compared["orm_matched"].steps == scores
    gone = FakeModels()
    assert collect(gone, tmp_path / "run") == again
    assert gone.calls.created == []


def test_rows_of_another_compared_scorer_are_refused(tmp_path: Path) -> None:
    collect(FakeModels(compared=("orm_matched",)), tmp_path)
    other = FakeModels(
        identity=lambda r: r if "matched" in r else f"{r} 1", compared=["orm_matched"]
    )
    with pytest.raises(OtherModelsError, match=r"orm_matched\.jsonl was made with another"):
        collect(other, tmp_path)


def test_the_seconds_of_a_batch_are_spread_by_tokens(records: list[Record]) -> None:
    # a clock that ticks once per reading: every batch of six drafts takes one second
    first = [record.draft for record in records[:6]]
    assert sum(draft.seconds for draft in first) == pytest.approx(1.0)
    assert first[0].seconds / first[1].seconds == pytest.approx(first[0].tokens / first[1].tokens)


def test_rollouts_have_seconds_too(records: list[Record], tmp_path: Path) -> None:
    assert records
    rows = list(read_jsonl(tmp_path / "run" / "rollouts.jsonl", TimedRollouts))
    assert rows
    assert all(row.seconds for row in rows)


def test_rows_of_before_rollouts_had_seconds_are_used_as_they_are(
    models: FakeModels, records: list[Record], tmp_path: Path
) -> None:
    path = tmp_path / "run" / "rollouts.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        del row["seconds"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    before = len(models.calls.created)
    assert collect(models, tmp_path / "run") == records
    assert len(models.calls.created) == before


def test_every_machine_that_created_rows_of_a_file_is_remembered(tmp_path: Path) -> None:
    one, other = Machine("a CPU", "float32"), Machine("a GPU", "bfloat16")
    collect(FakeModels(machine=one), tmp_path)
    stored = (tmp_path / "drafts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "drafts.jsonl").write_text("".join(stored[:2]), encoding="utf-8")
    collect(FakeModels(machine=other), tmp_path)
    assert HardwareLog(tmp_path).of("drafts.jsonl") == (one, other)
    for name in ("samples", "sorm", "orm", "rollouts", "global", "local"):
        assert HardwareLog(tmp_path).of(f"{name}.jsonl") == (one,)


def test_rows_from_before_machines_were_recorded_are_of_unknown_origin(tmp_path: Path) -> None:
    collect(FakeModels(), tmp_path)
    (tmp_path / "made_on.json").unlink()
    machine = Machine("a CPU", "float32")
    strict = CollectPlan(labelled=5, first_error=1.0, orm_first_error=0.5)
    collect(FakeModels(machine=machine), tmp_path, strict)
    assert HardwareLog(tmp_path).of("drafts.jsonl") == (None,)
    assert HardwareLog(tmp_path).of("local.jsonl") == (None, machine)
    assert HardwareLog(tmp_path).timed() == (None, machine)


def test_nothing_written_is_no_candidate(tmp_path: Path) -> None:
    models = FakeModels()
    models.global_refiner.silent = "What is 1 "
    models.local_refiner.silent = "What is 2 "
    models.student.silent = "What is 3 "
    records = collect(models, tmp_path)
    assert records[0].global_refinement is None
    assert records[1].global_refinement is not None
    assert (records[1].local_sorm, records[1].local_orm, records[1].local_oracle) == (None,) * 3
    empty = records[2]
    assert (empty.draft.text, empty.draft.answer, empty.draft.right) == ("", None, False)
    assert (empty.global_refinement, empty.local_sorm, empty.labels) == (None, None, None)


def test_a_kill_anywhere_gives_the_same_records(records: list[Record], tmp_path: Path) -> None:
    everything = FakeModels()
    collect(everything, tmp_path / "whole")
    names = set(everything.calls.created)
    assert names == {"student", "sorm", "orm", "global_refiner", "local_refiner"}
    for die_at in range(len(everything.calls.created)):
        folder = tmp_path / f"killed-{die_at}"
        with pytest.raises(KilledError):
            collect(FakeModels(Calls(die_at)), folder)
        for path in folder.glob("*.jsonl"):  # and a row was being written
            content = path.read_text(encoding="utf-8")
            path.write_text(content + '{"problem": "p', encoding="utf-8")
        again = collect(FakeModels(), folder)
        assert without_seconds(again) == without_seconds(records)


def without_seconds(records: list[Record]) -> list[str]:
    """The records but for times, which depend on what shared a batch."""
    import re

    return [re.sub(r"seconds=[0-9.e-]+", "seconds", repr(record)) for record in records]


def test_a_second_run_asks_nothing(
    models: FakeModels, records: list[Record], tmp_path: Path
) -> None:
    before = len(models.calls.created)
    assert collect(models, tmp_path / "run") == records
    assert len(models.calls.created) == before


def test_other_thresholds_ask_only_for_other_refinements(
    records: list[Record], tmp_path: Path
) -> None:
    models = FakeModels()
    strict = CollectPlan(labelled=5, first_error=1.0, orm_first_error=0.5)
    again = collect(models, tmp_path / "run", strict)
    assert set(models.calls.created) <= {"local_refiner", "sorm", "orm"}
    assert {r.local_sorm.first_error for r in again if r.local_sorm} == {0}
    assert [r.local_orm for r in again] == [r.local_orm for r in records]


def test_rows_of_other_models_are_refused(records: list[Record], tmp_path: Path) -> None:
    assert records
    retrained = FakeModels(identity=lambda role: "other" if role == "orm" else f"{role} 1")
    with pytest.raises(OtherModelsError, match=r"orm\.jsonl was made with another orm"):
        collect(retrained, tmp_path / "run")
