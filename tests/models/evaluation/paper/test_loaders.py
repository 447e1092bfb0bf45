"""The real models behind the ports, on a toy base: from a run folder to tables."""

import json
import shutil
from pathlib import Path

import pytest

from glore_models.data.locks import InUseError, lock_folder
from glore_models.data.run_folder import RunModels, Thresholds, compared_file
from glore_models.evaluation.paper.collector import CollectPlan
from glore_models.evaluation.paper.loaders import (
    Identities,
    ModelLoader,
    bundle_scorers,
    run_scorers,
    this_machine,
    weights_hash,
)
from glore_models.evaluation.paper.pipeline import (
    MissingRecordsError,
    RecordKeys,
    collect_all,
    read_records_of,
)
from glore_models.evaluation.paper.report import make_tables
from glore_models.evaluation.provenance import HardwareLog
from glore_models.sampling.port import SamplingParams
from glore_models.serving.bundle import Bundle

THRESHOLDS = Thresholds(first_error=0.5, orm_first_error=0.5, gate=0.5)
PLAN = CollectPlan(
    labelled=2,
    first_error=0.5,
    orm_first_error=0.5,
    samples=SamplingParams(3, 0.7, 40),
    rollouts=SamplingParams(2, 0.8, 10),
    greedy=SamplingParams(1, 0.0, 40),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> RunModels:
    """A run folder: two students, four adapters that have seen a few lines."""
    from glore_models.data.examples import CompletionExample, ScoreExample
    from glore_models.training.adapters import (
        AdapterConfig,
        train_generator,
        train_scorer,
    )
    from glore_models.training.loop import LoopConfig

    folder = tmp_path_factory.mktemp("run")
    for number in (0, 1):
        shutil.copytree(tiny_base, folder / f"merged_{number}")
    config = AdapterConfig(rank=2, alpha=4, loop=LoopConfig(epochs=2, batch_tokens=64, rate=1e-2))
    for text, role in (("one", "global_refiner"), ("two", "local_refiner")):
        texts = [CompletionExample(f"{i}?\n", f"{text}\n#### {i}") for i in range(4)]
        train_generator(tiny_base, texts, config, folder / role, role)
    for label, role in ((0, "sorm"), (1, "orm")):
        scored = [ScoreExample(f"{i}?", ("a", "b"), (1, label)) for i in range(4)]
        train_scorer(tiny_base, scored, config, folder / role, role)
    return RunModels(folder)


@pytest.fixture(scope="module")
def gsm8k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "gsm8k.jsonl"
    rows = [{"question": f"{i} + 1?", "answer": f"{i} + 1\n#### {i + 1}"} for i in range(100)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_from_a_run_folder_to_tables(models: RunModels, gsm8k: Path) -> None:
    wanted = RecordKeys(("sft", "ei"), {"gsm8k": 3}, gsm8k)
    with pytest.raises(MissingRecordsError, match="holds no records"):
        read_records_of(models, wanted)
    records = collect_all(models, wanted, PLAN, ModelLoader(models).ports)
    assert list(records) == [("sft", "gsm8k"), ("ei", "gsm8k")]
    assert read_records_of(models, wanted) == records
    assert HardwareLog(models.phases("ei", "gsm8k")).timed() == (this_machine(),)
    tables = make_tables(records, THRESHOLDS)
    assert [section.questions for section in tables.sections] == [3, 3]
    # the same weights under two names: the same drafts, by sampler and seed
    first, second = records.values()
    assert [r.draft.text for r in first] == [r.draft.text for r in second]
    assert [[s.text for s in r.samples] for r in first] == [
        [s.text for s in r.samples] for r in second
    ]
    assert all(r.draft.tokens > 0 and r.draft.seconds > 0 for r in first)


def test_a_scorer_is_compared_once_it_is_trained_and_has_a_threshold(
    models: RunModels, gsm8k: Path, tmp_path: Path
) -> None:
    run = RunModels(tmp_path / "run")
    shutil.copytree(models.folder, run.folder, ignore=shutil.ignore_patterns("evaluation"))
    shutil.copytree(run.adapter("orm"), run.adapter("orm_matched"))
    assert not run.compared
    compared_file(run.folder, "orm_matched").write_text('{"first_error": 0.4}')
    assert run.compared == ("orm_matched",)
    (record,) = collect_all(
        run, RecordKeys(("ei",), {"gsm8k": 1}, gsm8k), PLAN, ModelLoader(run).ports
    )["ei", "gsm8k"]
    assert record.draft.orm is not None
    assert record.compared["orm_matched"].steps == record.draft.orm.steps
    assert set(Identities(run, "ei")) == {*Identities(models, "ei"), "orm_matched"}
    scorers = run_scorers(run)
    assert list(scorers) == ["sorm", "orm", "orm_matched"]
    solutions = [("4?", ("a", "bc"))]
    assert scorers["orm_matched"].score(solutions) == scorers["orm"].score(solutions)


def test_draws_depend_on_the_prompts_alone(models: RunModels) -> None:
    student = ModelLoader(models).ports("ei").student

    def draw(*prompts: str) -> list[str]:
        drawn = student.sample(prompts, n=2, temperature=1.0, max_tokens=8)
        return [rollout.text for rollouts in drawn for rollout in rollouts]

    first = draw("a", "b")
    other = draw("c")
    assert draw("a", "b") == first
    assert draw("c") == other


def test_one_process_collects_in_a_folder(models: RunModels, gsm8k: Path) -> None:
    with (
        lock_folder(models.folder / "evaluation"),
        pytest.raises(InUseError, match="another process"),
    ):
        collect_all(
            models, RecordKeys(("ei",), {"gsm8k": 1}, gsm8k), PLAN, ModelLoader(models).ports
        )


def test_who_a_role_is_follows_its_weights(models: RunModels, tmp_path: Path) -> None:
    ids = Identities(models, "ei")
    assert set(ids) == {"student", "sorm", "orm", "global_refiner", "local_refiner"}
    assert len({ids[role] for role in ids}) == len(ids) == 5
    assert ids["student"] == weights_hash(models.student("sft"))  # the same toy
    with pytest.raises(FileNotFoundError, match="holds no model"):
        weights_hash(tmp_path)


def test_where_the_models_run_has_a_name_and_a_dtype(models: RunModels) -> None:
    from glore_models.training.precision import fast_dtype

    machine = ModelLoader(models).ports("ei").machine()
    assert machine is not None
    assert machine.processor
    assert f"torch.{machine.dtype}" == str(fast_dtype())


def test_the_last_merged_student_carries_the_adapters(tmp_path: Path) -> None:
    for name in ("merged_0", "merged_1", "merged_10", "merged_of_old"):
        (tmp_path / name).mkdir()
    run = RunModels(tmp_path)
    assert run.student("sft") == tmp_path / "merged_0"
    assert run.student("ei") == run.adapted == tmp_path / "merged_10"
    with pytest.raises(KeyError):
        run.student("base")


def test_the_bundles_head_has_a_row_for_each_scorer(
    models: RunModels, tmp_path: Path, tiny_base: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    rows = []
    for role in ("sorm", "orm"):
        shutil.copytree(models.adapter(role), tmp_path / role)
        rows.append(load_file(tmp_path / role / "head.safetensors")["score.weight"])
        (tmp_path / role / "head.safetensors").unlink()
    save_file({"score.weight": torch.cat(rows)}, tmp_path / "head.safetensors")
    solutions = [("4?", ("a", "bc")), ("5?", ("d",))]
    bundled = bundle_scorers(tiny_base, Bundle(tmp_path))
    of_run = run_scorers(models)
    scorers = [*bundled.values(), *of_run.values()]
    assert len({scorer.identity for scorer in scorers}) == len(scorers) == 4
    for role in ("sorm", "orm"):
        assert bundled[role].score(solutions) == of_run[role].score(solutions)
    assert bundled["sorm"].score([]) == []
