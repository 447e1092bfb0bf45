"""Where rows were made: written down before they are, and never refused."""

from pathlib import Path

import pytest

from glore_models.evaluation import provenance
from glore_models.evaluation.provenance import (
    HardwareLog,
    Machine,
    cpu_name,
    describe_machines,
    is_single,
    merge_machines,
)

CPU, GPU = Machine("a CPU", "float32"), Machine("a GPU", "bfloat16")


def add_row(folder: Path, file: str) -> None:
    with (folder / file).open("a", encoding="utf-8") as lines:
        lines.write("{}\n")


def test_a_file_remembers_each_machine_once_in_order(tmp_path: Path) -> None:
    made_on = HardwareLog(tmp_path)
    for machine in (CPU, CPU, GPU, CPU):
        made_on.note("drafts.jsonl", machine)
        add_row(tmp_path, "drafts.jsonl")
    assert HardwareLog(tmp_path).of("drafts.jsonl") == (CPU, GPU)


def test_a_machine_is_known_before_its_first_row(tmp_path: Path) -> None:
    HardwareLog(tmp_path).note("drafts.jsonl", CPU)
    assert HardwareLog(tmp_path).of("drafts.jsonl") == ()
    add_row(tmp_path, "drafts.jsonl")
    assert HardwareLog(tmp_path).of("drafts.jsonl") == (CPU,)


def test_rows_that_were_there_before_are_of_unknown_origin(tmp_path: Path) -> None:
    add_row(tmp_path, "orm.jsonl")
    assert HardwareLog(tmp_path).of("orm.jsonl") == (None,)
    HardwareLog(tmp_path).note("orm.jsonl", CPU)
    assert HardwareLog(tmp_path).of("orm.jsonl") == (None, CPU)


def test_rollouts_do_not_count_where_seconds_do(tmp_path: Path) -> None:
    assert HardwareLog(tmp_path).timed() == (None,)
    for file, machine in (("drafts.jsonl", CPU), ("rollouts.jsonl", GPU)):
        HardwareLog(tmp_path).note(file, machine)
        add_row(tmp_path, file)
    assert HardwareLog(tmp_path).timed() == (CPU,)


def test_only_one_known_machine_is_one() -> None:
    assert is_single((CPU,))
    assert not is_single((None,))
    assert not is_single((CPU, GPU))
    assert merge_machines([(CPU,), (None, CPU), (GPU,)]) == (CPU, None, GPU)
    assert describe_machines((CPU, None)) == "a CPU, float32; not recorded"


def test_the_processor_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Some CPU\nmodel name\t: Some CPU\n")
    monkeypatch.setattr(provenance, "_CPUS", info)
    assert cpu_name() == "Some CPU"
    monkeypatch.setattr(provenance, "_CPUS", tmp_path / "nowhere")
    assert cpu_name()
