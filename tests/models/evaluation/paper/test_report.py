"""Sections, pools, and both written forms."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glore_models.evaluation.markdown import share
from glore_models.evaluation.paper.records import TimedStepScores
from glore_models.evaluation.paper.report import (
    Tables,
    as_json,
    as_markdown,
    make_tables,
    write_report,
)
from glore_models.evaluation.provenance import Machine, Machines
from tests.models.evaluation.paper.builders import RIGHT, THRESHOLDS, WRONG, record, written

COMMAND = "glore eval --paper --run-dir run_1"
NEARLY = written(right=False, sorm=(0.9, 0.1), orm=(0.9, 0.8))
EASY = [record(NEARLY, whole=RIGHT, sorm=WRONG, oracle=RIGHT, labels=(1, 0))] * 3
CPU, GPU = Machine("a CPU", "float32"), Machine("a GPU", "bfloat16")
ALL = [record(RIGHT, labels=(1,), set_="all")] * 2


def tables() -> Tables:
    return make_tables(
        {("ei", "easy"): EASY, ("ei", "all"): ALL, ("sft", "easy"): EASY}, THRESHOLDS
    )


def test_there_is_a_section_for_each_set_and_student_and_one_for_a_whole_pool() -> None:
    created = {(s.student, s.name): s for s in tables().sections}
    assert set(created) == {
        ("ei", "easy"), ("ei", "all"), ("ei", "unseen numbers"), ("sft", "easy")
    }  # fmt: skip
    pool = created["ei", "unseen numbers"]
    assert (pool.questions, pool.labelled) == (5, 5)
    assert pool.strategies.rows[0].right == 2
    assert pool.fixed[0].drafts == 3
    assert pool.scorers[0].at.wrong_solutions == 3


def test_a_pool_says_how_many_questions_stand_in_both_of_its_sets() -> None:
    pool = next(s for s in tables().sections if s.name == "unseen numbers")
    assert pool.of == "the sets easy and all together (1 questions stand in both)"
    apart = [replace(each, question=f"{each.question} And {i}?") for i, each in enumerate(ALL)]
    created = make_tables({("ei", "easy"): EASY, ("ei", "all"): apart}, THRESHOLDS)
    assert created.sections[-1].of == "the sets easy and all together"


def test_the_markdown_says_for_every_table_what_it_was_counted_from() -> None:
    lines = as_markdown(tables(), COMMAND).splitlines()
    headings = [i for i, line in enumerate(lines) if line.startswith("### ")]
    assert len(headings) == 4 * 4
    for position in headings:
        source = lines[position + 2]
        assert source.startswith("n = ")
        assert "labelled" in source
        assert "first error 0.50 (SORM), 0.40 (ORM); gate 0.60." in source
        assert f"`{COMMAND}`" in source
        assert lines[position + 4].startswith("| ")
    assert "seed 900001" in lines[headings[0] + 2]


def test_every_line_of_a_table_has_as_many_cells_as_its_heading() -> None:
    width = 0
    for line in as_markdown(tables(), COMMAND).splitlines():
        if not line.startswith("|"):
            width = 0
        else:
            width = width or line.count("|")
            assert line.count("|") == width > 2


def test_differences_have_intervals_over_questions_and_over_templates() -> None:
    accused = written(right=True, sorm=(0.9, 0.1), orm=(0.9, 0.8))
    records = [
        record(draft, labels=labels, whole=RIGHT, source=f"gsm_symbolic/{i}")
        for i in range(20)
        for draft, labels in ((NEARLY, (1, 0)), (accused, (1, 1)))
    ]
    created = make_tables({("ei", "easy"): records}, THRESHOLDS)
    (section,) = created.sections
    assert section.templates == 20
    text = as_markdown(created, COMMAND)
    assert "n = 40 questions from 20 templates (40 labelled)" in text
    steps = "+0.0 (-15.7 to +15.7)"  # the SORM is wrong where the ORM is right, and the other way
    assert f"| SORM minus ORM | questions | {steps} | +100.0 (+100.0 to +100.0) |" in text
    in_each = "+0.0 (+0.0 to +0.0)"  # both kinds stand in every template
    assert f"| SORM minus ORM | templates | {in_each} |" in text
    row = as_json(created, COMMAND)["sections"][0]
    assert (row["templates"], row["A_differences"][0]["than"]) == (20, "orm")
    reported = row["A_differences"][0]["measures"]["steps"]
    assert reported["value"] == 0.0
    assert reported["interval95"] == pytest.approx([-0.157, 0.157], abs=0.001)
    assert reported["interval95_by_template"] == pytest.approx([0, 0])
    measured = row["A"][0]["measures"]["steps"]
    assert measured["value"] == 0.75
    (low, high) = measured["interval95"]
    assert f"| SORM | 0.50 | 60/80 75% ({100 * low:.0f}-{100 * high:.0f}) |" in text
    assert "| perfect selector of GLoRe | greedy draft | no | 20 : 0 | 1.9e-06 | +50.0" in text
    pairs = {(each["name"], each["against"]): each for each in row["D"]["mcnemar"]}
    found = pairs["perfect selector of GLoRe", "greedy draft"]["difference"]
    assert found["value"] == 0.5
    assert found["interval95_by_template"] == pytest.approx([0.5, 0.5])


def test_intervals_are_left_out_where_there_are_too_few_questions() -> None:
    text = as_markdown(tables(), COMMAND)
    assert "SORM minus ORM" not in text
    assert "| draft + global | greedy draft | no | 0 : 0 | 1 | - | - |" in text


def test_figures_of_the_markdown() -> None:
    text = as_markdown(tables(), COMMAND)
    assert "| SORM | 0.50 | 6/6 100%" in text
    assert "| offset | +0 |" in text
    assert "| all drafts | SORM | 3 | 3 | 3/3 100% (44-100) | 0/3 0% (0-56) | 3/3" in text
    assert (
        "| all drafts | global | 3 | 3 | 0/3 0% (0-56) | 3 | 0 | 3/3 100% (44-100) | 0.25 |" in text
    )
    assert "| greedy draft | 1 (1.00) | 0/3 | 0.0% |" in text
    assert "| GLoRe | ORM best of 3 | yes | 0 : 0 | 1 |" in text


def section_d(machines: Machines | None) -> tuple[str, dict[str, Any]]:
    """The heading of table D with what follows, and the section as JSON."""
    where = {} if machines is None else {("ei", "easy"): machines}
    created = make_tables({("ei", "easy"): EASY}, THRESHOLDS, where)
    text = as_markdown(created, COMMAND)
    return text[text.index("### D") :], as_json(created, COMMAND)["sections"][0]


def test_seconds_of_one_known_machine_stand_in_table_d() -> None:
    text, section = section_d((CPU,))
    assert "Seconds: a CPU, float32." in text
    assert "| greedy draft | 1 (1.00) | 0/3 | 0.0% | 0.0 - 56.1% | 10 | 1.00 | 0.00 |" in text
    assert section["machines"] == [{"processor": "a CPU", "dtype": "float32"}]
    assert section["D"]["rows"][0]["seconds"] == 1.0


@pytest.mark.parametrize(
    ("machines", "why"),
    [
        (None, "on which machine they were measured was not recorded."),
        ((None,), "on which machine they were measured was not recorded."),
        (
            (None, CPU),
            "some are of a machine that was not recorded (not recorded; a CPU",
        ),
        ((CPU, GPU), "of more than one kind of machine (a CPU, float32; a GPU, bfloat16)."),
    ],
)
def test_seconds_that_do_not_compare_are_left_out(machines: Machines | None, why: str) -> None:
    text, section = section_d(machines)
    assert "Seconds are left out: " in text
    assert why in text
    assert "| greedy draft | 1 (1.00) | 0/3 | 0.0% | 0.0 - 56.1% | 10 | - | 0.00 |" in text
    assert {row["seconds"] for row in section["D"]["rows"]} == {None}


def test_a_pool_has_the_machines_of_all_its_sets() -> None:
    created = make_tables(
        {("ei", "easy"): EASY, ("ei", "all"): ALL},
        THRESHOLDS,
        {("ei", "easy"): (CPU,), ("ei", "all"): (GPU,)},
    )
    assert {s.name: s.machines for s in created.sections}["unseen numbers"] == (CPU, GPU)


def test_notes_stand_above_the_tables() -> None:
    created = make_tables({("ei", "easy"): EASY}, THRESHOLDS, notes=("mind this.",))
    assert "Note: mind this." in as_markdown(created, COMMAND).partition("## ")[0]
    assert as_json(created, COMMAND)["notes"] == ["mind this."]


def test_a_third_row_of_table_a_where_every_draft_has_its_scores() -> None:
    """A set without them, and so its pool, has the two rows that it always had."""
    thresholds = replace(THRESHOLDS, compared={"orm_matched": 0.7})
    scored = [
        replace(each, compared={"orm_matched": TimedStepScores((0.9, 0.65), 0.5)}) for each in EASY
    ]
    created = make_tables({("ei", "easy"): scored, ("ei", "all"): ALL}, thresholds)
    roles = {section.name: [row.role for row in section.scorers] for section in created.sections}
    two = ["sorm", "orm"]
    assert roles == {"easy": [*two, "orm_matched"], "all": two, "unseen numbers": two}
    row = created.sections[0].scorers[2]
    assert (row.at.threshold, row.at.exact, row.at.wrong_solutions) == (0.7, 3, 3)
    assert row.final.judged == 3
    text = as_markdown(created, COMMAND)
    assert "| ORM_MATCHED | 0.70 | 6/6 100% | 3/3 100% (44-100) |" in text
    rows = as_json(created, COMMAND)["sections"][0]["A"]
    assert [row["role"] for row in rows] == [*two, "orm_matched"]
    partly = make_tables({("ei", "easy"): [*scored, EASY[0]]}, thresholds)
    assert [row.role for row in partly.sections[0].scorers] == two
    unchosen = make_tables({("ei", "easy"): scored}, THRESHOLDS)
    assert [row.role for row in unchosen.sections[0].scorers] == two


def test_shares() -> None:
    assert share(3, 4) == "3/4 75% (30-95)"
    assert share(0, 0) == "-"


def test_both_forms_are_written_and_agree(tmp_path: Path) -> None:
    text = write_report(tmp_path / "paper", tables(), COMMAND)
    assert (tmp_path / "paper" / "tables.md").read_text(encoding="utf-8") == text
    report = json.loads((tmp_path / "paper" / "tables.json").read_text(encoding="utf-8"))
    assert report["command"] == COMMAND
    thresholds = {"first_error": 0.5, "orm_first_error": 0.4, "gate": 0.6, "compared": {}}
    assert report["thresholds"] == thresholds
    pool = next(s for s in report["sections"] if s["set"] == "unseen numbers")
    greedy = pool["D"]["rows"][0]
    assert (greedy["name"], greedy["right"], greedy["n"], greedy["accuracy"]) == (
        "greedy draft", 2, 5, 0.4
    )  # fmt: skip
    assert greedy["interval95"][0] < 0.4 < greedy["interval95"][1]
    assert pool["B"][0]["by_either"] == 3
    assert pool["C"][0]["right_after"] == 5
    assert pool["A"][0]["f1"] == 1.0
    assert pool["D"]["mcnemar"][0]["against"] == "ORM best of 3"
    assert {row["against"] for row in pool["D"]["mcnemar"]} >= {"greedy draft", "ORM best of 2"}
