"""`glore eval --paper` and `--processbench`: what is printed, written and refused."""

import gzip
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from glore.cli import main
from glore_models.commands import paper
from glore_models.data.files import write_jsonl
from glore_models.data.run_folder import RunModels
from glore_models.evaluation import processbench_report
from glore_models.evaluation.paper import card
from glore_models.evaluation.provenance import HardwareLog, Machine
from glore_models.serving.bundle import chosen_bundle
from tests.models.evaluation.paper.builders import RIGHT, WRONG, record

NO_JSON = [b"[" * 100_000, b"\x00\n", gzip.compress(b"{}"), b"caf\xe9"]
THRESHOLDS = '{"first_error": 0.34, "orm_first_error": 0.52, "gate": 0.6}'


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with thresholds and with records of one set and student."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thresholds.json").write_text(THRESHOLDS)
    records = [record(whole=RIGHT), record(RIGHT), record(WRONG, labels=(0,))]
    write_jsonl(RunModels(folder).records("ei", "easy"), records)
    return folder


@pytest.fixture(autouse=True)
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds; what is drawn is tested where it is."""
    monkeypatch.setattr(card, "draw_tables", lambda _tables, out: out.write_bytes(b"a picture"))
    monkeypatch.setattr(
        processbench_report, "draw_processbench", lambda _judged, out: out.write_bytes(b"a picture")
    )


def glore_eval(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, arguments)], env={"COLUMNS": "200"})


def assert_one_line(result: Result, status: int, text: str) -> None:
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert text in result.stderr


def test_tables_of_what_was_collected(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["glore", "eval", "--paper", "--tables-only"])
    result = glore_eval("--paper", "--run-dir", run, "--tables-only")
    assert result.exit_code == 0, result.output
    assert "### D · ei · easy" in result.stdout
    assert "| greedy draft | 1 (1.00) | 1/3 | 33.3% |" in result.stdout
    assert "`glore eval --paper --tables-only`" in result.stdout
    assert (run / "paper" / "tables.md").read_text(encoding="utf-8") == result.stdout
    report = json.loads((run / "paper" / "tables.json").read_text(encoding="utf-8"))
    as_json = glore_eval("--paper", "--run-dir", run, "--tables-only", "--json")
    assert json.loads(as_json.stdout)["sections"] == report["sections"]


def test_a_card_and_curves_lie_beside_the_tables(run: Path) -> None:
    result = glore_eval("--paper", "--run-dir", run, "--tables-only")
    assert f"Tables and card: {run / 'paper'}" in result.stderr.replace("\n", "")
    text = (run / "paper" / "CARD.md").read_text(encoding="utf-8")
    assert "| ei, easy | 900001 | 3 | 3 | 2 | 1 | 1 | 0 |" in text
    assert "(curves.png)" in text
    assert (run / "paper" / "curves.png").exists()


def test_what_tables_and_card_leave_open_is_said(run: Path) -> None:
    write_jsonl(RunModels(run).records("ei", "templates_easy"), [record(set_="templates_easy")])
    result = glore_eval("--paper", "--run-dir", run, "--tables-only")
    assert "Note: this run folder has no record that whole templates" in result.stdout
    assert result.stdout.count("on which machine they were measured was not recorded") == 2
    easy = glore_eval("--paper", "--run-dir", run, "--tables-only", "--sets", "easy")
    assert "Note: this run folder" not in easy.stdout
    HardwareLog(RunModels(run).phases("ei", "easy")).note(
        "drafts.jsonl", Machine("a CPU", "float32")
    )
    (RunModels(run).phases("ei", "easy") / "drafts.jsonl").write_text("{}", encoding="utf-8")
    known = glore_eval("--paper", "--run-dir", run, "--tables-only", "--sets", "easy")
    assert "Seconds: a CPU, float32." in known.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--students", ","], ["--sets", ""], ["--sets", "easy", "--sizes", "gsm8k=20"]],
)
def test_what_asks_for_nothing_leaves_the_tables_as_they_are(
    run: Path, arguments: list[str]
) -> None:
    glore_eval("--paper", "--run-dir", run, "--tables-only")
    before = (run / "paper" / "tables.md").read_bytes()
    for more in ([], ["--tables-only"]):
        assert glore_eval("--paper", "--run-dir", run, *arguments, *more).exit_code == 2
    assert (run / "paper" / "tables.md").read_bytes() == before


def test_only_the_sets_and_students_requested(run: Path) -> None:
    records = RunModels(run).records("sft", "all")
    write_jsonl(records, [record(student="sft", set_="all")])
    both = glore_eval("--paper", "--run-dir", run, "--tables-only")
    assert "D · ei · easy" in both.stdout
    assert "D · sft · all" in both.stdout
    one = glore_eval("--paper", "--run-dir", run, "--tables-only", "--students", "sft")
    assert "ei · easy" not in one.stdout
    assert "sft · all" in one.stdout
    two = glore_eval("--paper", "--run-dir", run, "--tables-only", "--sets", "easy,gsm8k")
    missing = "easy (sft), gsm8k (sft), gsm8k (ei)"
    assert f"Note: not collected, and so not counted here: {missing}.\n" in two.stdout
    whole = ("--students", "ei", "--sets", "easy")
    assert "Note:" not in glore_eval("--paper", "--run-dir", run, "--tables-only", *whole).stdout
    none = glore_eval("--paper", "--run-dir", run, "--tables-only", "--sets", "gsm8k")
    assert_one_line(none, 1, "holds no records of these sets and students")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--paper"], "these tables need the folder of a run"),
        (["--paper", "--run-dir", "nowhere"], "there is no folder nowhere"),
        (["--paper", "--run-dir", ".", "--students", "base"], "no student 'base'"),
        (["--paper", "--run-dir", ".", "--sets", "hard"], "no set 'hard'"),
        (["--paper", "--run-dir", ".", "--sizes", "easy=0"], "is no size"),
        (["--paper", "--run-dir", ".", "--sizes", ""], "no set ''"),
        (["--paper", "--run-dir", ".", "--students", ","], "--students names none"),
        (["--paper", "--run-dir", ".", "--sets", ""], "--sets names none"),
        (
            ["--paper", "--run-dir", ".", "--sets", "easy", "--sizes", "gsm8k=20,easy=5"],
            "--sizes names gsm8k, which --sets leaves out",
        ),
        (["--paper", "--run-dir", ".", "--sets", "gsm8k"], "needs GSM8K's training file"),
        (["--paper", "--processbench", "x.json"], "ask for one of them"),
        (["--processbench", "nowhere.json"], "nowhere.json: No such file"),
        (["--processbench", "."], ".: Is a directory"),
        (["--run-dir", "."], "go with --paper, --selectors or --processbench"),
        (["--tables-only"], "go with --paper, --selectors or --processbench"),
        (["--verifiers"], "go with --paper, --selectors or --processbench"),
        (["--verifiers", "--paper"], "--verifiers goes with --processbench"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_one_line(glore_eval(*arguments), 2, text)


def test_a_run_without_thresholds_is_one_line(tmp_path: Path) -> None:
    result = glore_eval("--paper", "--run-dir", tmp_path, "--sets", "easy")
    assert_one_line(result, 1, "thresholds.json cannot be read")


def test_records_of_other_thresholds_are_one_line(run: Path) -> None:
    stale = record(WRONG, sorm=RIGHT)  # its draft has no step below the threshold of now
    write_jsonl(RunModels(run).records("ei", "easy"), [stale])
    result = glore_eval("--paper", "--run-dir", run, "--tables-only")
    assert_one_line(result, 1, "collected under other thresholds than those of now")


def test_records_that_are_broken_are_one_line(run: Path) -> None:
    RunModels(run).records("ei", "easy").write_text("{}\n", encoding="utf-8")
    result = glore_eval("--paper", "--run-dir", run, "--tables-only")
    assert_one_line(result, 1, "easy.jsonl:1 is not a record")


def test_collecting_without_the_training_extra_names_what_is_missing(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = glore_eval("--paper", "--run-dir", run, "--sets", "easy")
    assert_one_line(result, 1, "the tables need torch, which is not installed")


def test_the_command_loads_nothing_heavy_before_it_collects() -> None:
    import subprocess

    program = (
        "import sys\n"
        "import glore_models.commands.paper\n"
        "heavy = {'torch', 'transformers', 'vllm', 'peft', 'reasoning_gym'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


class FakeScorer:
    """Every step of a solution has the same score."""

    def __init__(self, score: float) -> None:
        self.value = score
        self.identity = f"weights_{score}"

    def load(self) -> None:
        """Nothing to load."""

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        return [(self.value,) * len(steps) for _, steps in solutions]


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    row = {"id": "a", "generator": "g", "problem": "1 + 1?", "steps": ["1 + 1 = 2"]}
    rows = [
        {**row, "label": -1, "final_answer_correct": True},
        {**row, "label": 0, "final_answer_correct": False},
    ]
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_processbench_prints_table_a(
    run: Path, bench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorers = {"sorm": FakeScorer(0.4), "orm": FakeScorer(0.4)}
    monkeypatch.setattr(paper, "run_scorers", lambda _models: scorers)
    result = glore_eval("--processbench", bench, "--run-dir", run)
    assert result.exit_code == 0, result.output
    assert "n = 2 solutions of bench.json" in result.stdout
    assert "| SORM | 0.34 | 1/2 50%" in result.stdout
    assert "| ORM | 0.52 | 1/2 50%" in result.stdout
    as_json = glore_eval("--processbench", bench, "--run-dir", run, "--json")
    sorm, orm = json.loads(as_json.stdout)["A"]
    assert (sorm["at"]["clean"], sorm["at"]["exact"]) == (1, 0)
    assert (orm["at"]["clean"], orm["at"]["exact"], orm["f1"]) == (0, 1, 0.0)


def test_processbench_leaves_scores_table_and_card(
    run: Path, bench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorers = {"sorm": FakeScorer(0.4), "orm": FakeScorer(0.4)}
    monkeypatch.setattr(paper, "run_scorers", lambda _models: scorers)
    result = glore_eval("--processbench", bench, "--run-dir", run)
    out = run / "processbench" / "bench"
    assert f"Table and card: {out}" in result.stderr.replace("\n", "")
    assert (out / "table.md").read_text(encoding="utf-8") == result.stdout
    sorm, _ = json.loads((out / "table.json").read_text(encoding="utf-8"))["A"]
    assert sorm["role"] == "sorm"
    text = (out / "CARD.md").read_text(encoding="utf-8")
    assert "| solutions | 2 |" in text
    assert "| different ones | 1 |" in text
    assert "| with an error | 1 |" in text
    assert "| SORM | 0 |" in text
    assert "(curves.png)" in text
    assert (out / "curves.png").read_bytes() == b"a picture"
    settings = json.loads(text.partition("```json\n")[2].partition("```")[0])
    assert settings["sha256"] == hashlib.sha256(bench.read_bytes()).hexdigest()
    assert settings["weights"] == {"sorm": "weights_0.4", "orm": "weights_0.4"}
    assert settings["thresholds"]["first_error"] == 0.34
    scorers["sorm"] = FakeScorer(0.3)  # trained again: what the other said is not its own
    again = glore_eval("--processbench", bench, "--run-dir", run, "--json")
    assert json.loads(again.stdout)["A"][0]["at"]["clean"] == 0


def test_processbench_questions_that_the_run_was_trained_on_are_refused(
    run: Path, bench: Path
) -> None:
    (run / "samples.jsonl").write_text(json.dumps({"question": " 1 +  1?"}) + "\n")
    result = glore_eval("--processbench", bench, "--run-dir", run)
    assert_one_line(result, 1, "holds 1 questions of the set bench.json")


def test_processbench_without_a_run_uses_the_bundle(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scorers = {"sorm": FakeScorer(0.9), "orm": FakeScorer(0.9)}
    monkeypatch.setattr(paper, "_bundled", lambda: scorers)
    result = glore_eval("--processbench", bench)
    assert result.exit_code == 0, result.output
    expected = json.loads(chosen_bundle().thresholds.read_text(encoding="utf-8"))
    assert f"| SORM | {expected['first_error']:.2f} |" in result.stdout
    assert (tmp_path / "runs" / "processbench" / "bench" / "CARD.md").exists()


def marked(name: str, steps: Sequence[str], label: int) -> dict[str, object]:
    return {"id": name, "generator": "g", "problem": "How many?", "steps": steps, "label": label}


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """Right and wrong solutions, some of whose steps are of several lines."""
    path = tmp_path / "sums.json"
    rows = [
        marked("clean", ["3 + 4 = 7", "So 7."], -1),
        marked("alarm", ["It begins.", "First 3 + 4 = 7,\nthen 7 + 1 = 9."], -1),
        marked("found", ["Let us see.\n3 + 4 = 8\n8 + 1 = 9", "So 9."], 0),
        marked("late", ["It is 9 of them.", "3 + 4 = 8"], 0),
        marked("early", ["3 + 4 = 8", "It is 9."], 1),
        marked("missed", ["It is 9."], 0),
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_verifiers_are_judged_without_models(sums: Path) -> None:
    result = glore_eval("--processbench", sums, "--verifiers")
    assert result.exit_code == 0, result.output
    assert "n = 6 solutions of sums.json, arithmetic." in result.stdout
    assert "| right solutions refuted | 1/2 50%" in result.stdout
    assert "| wrong solutions refuted | 3/4 75%" in result.stdout
    assert "| at the marked step | 1/4 25%" in result.stdout
    assert "| before it | 1/4 25%" in result.stdout
    assert "| after it | 1/4 25%" in result.stdout
    assert "| alarm | 1 | arithmetic: 7 + 1 = 9, not 8 |" in result.stdout
    as_json = glore_eval("--processbench", sums, "--verifiers", "--json")
    steps = [each["step"] for each in json.loads(as_json.stdout)["solutions"]]
    assert steps == [None, 1, 0, 1, 0, None]


def test_the_verifiers_that_are_judged_are_those_of_the_setting(
    sums: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLORE_VERIFIERS", "off")
    result = glore_eval("--processbench", sums, "--verifiers")
    assert "no verifier" in result.stdout
    assert "| wrong solutions refuted | 0/4 0%" in result.stdout
    monkeypatch.setenv("GLORE_VERIFIERS", "arithmetics")
    assert_one_line(glore_eval("--processbench", sums, "--verifiers"), 2, "no verifier 'arithm")


def test_a_file_in_another_format_is_one_line(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('[{"id": 1}]', encoding="utf-8")
    result = glore_eval("--processbench", path, "--run-dir", run)
    assert_one_line(result, 2, "other.json: solution 1 is not in ProcessBench's format")


@pytest.mark.parametrize("content", NO_JSON, ids=["deep", "nul", "gzip", "latin"])
def test_a_gsm8k_or_processbench_file_that_is_no_json_is_one_line(
    run: Path, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    result = glore_eval("--processbench", path, "--run-dir", run)
    assert_one_line(result, 2, "neither a JSON list nor JSON lines")
    result = glore_eval("--paper", "--run-dir", run, "--sets", "gsm8k", "--gsm8k", path)
    assert_one_line(result, 2, "other.json:1: not a GSM8K line: ")
    (run / "thresholds.json").write_bytes(content)
    result = glore_eval("--paper", "--run-dir", run, "--tables-only")
    assert_one_line(result, 1, "does not hold the thresholds")
