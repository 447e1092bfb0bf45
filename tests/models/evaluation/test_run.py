import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from glore_client import APIConnectionError, APITimeoutError, GloreError, Sampling
from glore_models.evaluation import run
from glore_models.evaluation.journal import JournalError
from glore_models.evaluation.plots import draw_evaluation
from glore_models.evaluation.report import EvaluationRow
from glore_models.evaluation.run import STRATEGIES, EvaluationReport, evaluate
from tests.models.evaluation.fakes import PROBLEMS, FakeSolver, plan


@pytest.fixture(autouse=True)
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes a second; what is drawn is tested where it is."""
    monkeypatch.setattr(run, "draw_evaluation", lambda _rows, _seconds, out: out.write_bytes(b"a"))


def row(report: EvaluationReport, name: str) -> EvaluationRow:
    return next(row for row in report.rows if row.name == name)


async def test_every_strategy_is_requested_and_counted(tmp_path: Path) -> None:
    solver = FakeSolver()
    report = await evaluate(solver, PROBLEMS, plan(concurrency=3), tmp_path, command="glore eval")
    assert len(solver.requested) == 24
    assert solver.most_running == 3
    assert row(report, "glore").correct == 4
    assert row(report, "draft").correct == 2
    assert row(report, "best_of_n").correct == 2
    assert row(report, "perfect selector of best_of_n").correct == 4
    assert row(report, "perfect selector").derived_from == "glore"
    assert row(report, "draft").derived_from is None
    assert (row(report, "gated").correct, row(report, "gated").tokens) == (4, 130)
    assert ("gated", 0, 0) in [(p.against, p.only_glore, p.only_other) for p in report.paired]
    assert not solver.running


async def test_only_best_of_n_is_reported_how_many_candidates(tmp_path: Path) -> None:
    solver = FakeSolver()
    await evaluate(solver, PROBLEMS[:1], plan(candidates=5, max_tokens=9), tmp_path)
    one = Sampling(temperature=0.0, max_tokens=9)
    several = Sampling(temperature=0.0, max_tokens=9, n=5)
    assert solver.samplings == {
        name: several if name == "best_of_n" else one for name in STRATEGIES
    }


async def test_adaptive_is_requested_with_rounds_and_verifiers_as_they_are_named(
    tmp_path: Path,
) -> None:
    solver = FakeSolver()
    report = await evaluate(solver, PROBLEMS, plan(strategies=("adaptive",)), tmp_path / "plain")
    assert row(report, "adaptive").n == 4
    assert solver.options[-1] == {"rounds": None, "verify": None, "correct": None}
    named = {"rounds": 2, "verify": False, "correct": True}
    chosen = plan(strategies=("adaptive",), **named)
    await evaluate(solver, PROBLEMS, chosen, tmp_path / "named")
    assert solver.options[-1] == named
    with pytest.raises(JournalError, match="another rounds, verify, correct"):
        await evaluate(solver, PROBLEMS, chosen, tmp_path / "plain")


async def test_one_pass_asks_three_times_and_says_what_it_derived(tmp_path: Path) -> None:
    solver = FakeSolver()
    report = await evaluate(solver, PROBLEMS, plan(one_pass=True), tmp_path)
    assert {strategy for _, strategy in solver.requested} == {"glore", "gated", "best_of_n"}
    assert len(solver.requested) == 12
    for name in ("draft", "global", "local", "perfect selector"):
        assert row(report, name).derived_from == "glore"
    assert row(report, "draft").correct == 2
    assert row(report, "global").correct == 4
    assert row(report, "draft").tokens == 70
    for name in ("best_of_n", "gated"):
        assert row(report, name).derived_from is None


async def test_the_report_holds_everything(tmp_path: Path) -> None:
    await evaluate(FakeSolver(), PROBLEMS, plan(), tmp_path, command="glore eval --n 4")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["command"] == "glore eval --n 4"
    assert report["n"] == 4
    assert report["plan"]["seed"] == 7
    assert [row["strategy"] for row in report["strategies"]][:2] == ["draft", "global"]
    against_draft = next(pair for pair in report["mcnemar"] if pair["against"] == "draft")
    assert (against_draft["only_glore"], against_draft["only_other"]) == (2, 0)
    assert against_draft["p"] == 0.5
    assert (tmp_path / "table.md").read_text(encoding="utf-8").startswith("| strategy |")
    card = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    assert "seed 7" in card
    assert "| glore | 4 | 4 | 0 |" in card
    assert "(curves.png)" in card
    assert (tmp_path / "curves.png").exists()
    used = report["spent"]
    assert (used["engine_calls"], used["generated_tokens"]) == (54, 2400)
    assert "2,400 tokens generated and 2,700 read,\nin 54 engine calls" in card


async def test_the_latencies_are_those_of_what_was_answered(tmp_path: Path) -> None:
    def fault(strategy: str, question: str) -> GloreError | None:
        late = strategy == "draft" and question == "Question 1?"
        return APITimeoutError("no answer within 125.0 s", request_id="r") if late else None

    both = plan(strategies=("draft", "glore"))
    report = await evaluate(FakeSolver(fault), PROBLEMS, both, tmp_path)
    assert report.seconds == {"draft": (1.0,) * 3, "glore": (3.25,) * 4}
    one_pass = plan(strategies=("draft", "glore"), one_pass=True)
    report = await evaluate(FakeSolver(), PROBLEMS, one_pass, tmp_path / "one")
    assert report.seconds["draft"] == (1.0,) * 4


async def test_without_matplotlib_the_card_says_that_the_plot_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "draw_evaluation", draw_evaluation)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    (tmp_path / "curves.png").write_bytes(b"of an earlier attempt")
    await evaluate(FakeSolver(), PROBLEMS, plan(), tmp_path)
    card = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    assert "The plot was left out: matplotlib is not installed" in card
    assert not (tmp_path / "curves.png").exists()


async def test_a_second_run_asks_nothing_that_is_answered(tmp_path: Path) -> None:
    await evaluate(FakeSolver(), PROBLEMS[:2], plan(strategies=("glore",)), tmp_path)
    solver = FakeSolver()
    progress: list[tuple[int, int]] = []
    report = await evaluate(
        solver,
        PROBLEMS,
        plan(strategies=("draft", "glore"), concurrency=1),
        tmp_path,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert len(solver.requested) == 6
    assert ("Question 0?", "glore") not in solver.requested
    assert progress[0] == (2, 8)
    assert progress[-1] == (8, 8)
    assert row(report, "glore").n == 4


async def test_a_question_that_fails_is_wrong_and_requested_again_next_time(tmp_path: Path) -> None:
    def fault(_strategy: str, question: str) -> GloreError | None:
        if question == "Question 1?":
            return APITimeoutError("no answer within 125.0 s", request_id="r")
        return None

    only_glore = plan(strategies=("glore",))
    report = await evaluate(FakeSolver(fault), PROBLEMS, only_glore, tmp_path)
    assert row(report, "glore").failures == 1
    assert row(report, "glore").correct == 3
    assert row(report, "glore").tokens == 190
    solver = FakeSolver()
    report = await evaluate(solver, PROBLEMS, only_glore, tmp_path)
    assert solver.requested == [("Question 1?", "glore")]
    assert row(report, "glore").failures == 0


async def test_a_service_that_is_gone_ends_the_run_and_keeps_what_came(tmp_path: Path) -> None:
    def fault(_strategy: str, question: str) -> GloreError | None:
        if question == "Question 2?":
            return APIConnectionError("cannot connect: refused", request_id="r")
        return None

    only_glore = plan(strategies=("glore",), concurrency=1)
    with pytest.raises(APIConnectionError):
        await evaluate(FakeSolver(fault), PROBLEMS, only_glore, tmp_path)
    solver = FakeSolver()
    await evaluate(solver, PROBLEMS, only_glore, tmp_path)
    assert [question for question, _ in solver.requested] == ["Question 2?", "Question 3?"]


async def test_the_time_of_all_attempts_is_reported(tmp_path: Path) -> None:
    def fault(_strategy: str, question: str) -> GloreError | None:
        if question == "Question 2?":
            return APIConnectionError("cannot connect: refused", request_id="r")
        return None

    def clock() -> float:
        return float(next(ticks))

    only_glore = plan(strategies=("glore",), concurrency=1)
    ticks = itertools.count(1000, 60)
    with pytest.raises(APIConnectionError):
        await evaluate(FakeSolver(fault), PROBLEMS, only_glore, tmp_path, clock=clock)
    ticks = itertools.count(0, 60)  # started again, perhaps on another day
    report = await evaluate(FakeSolver(), PROBLEMS, only_glore, tmp_path, clock=clock)
    assert report.usage.seconds == 120 + 180  # two answers; two answers and the end
    assert "5.0 minutes over all attempts" in (tmp_path / "CARD.md").read_text(encoding="utf-8")
    reported = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert reported["spent"]["seconds"] == 300


async def test_answers_of_other_models_are_not_joined(tmp_path: Path) -> None:
    await evaluate(FakeSolver(), PROBLEMS[:1], plan(serves="a1"), tmp_path)
    await evaluate(FakeSolver(), PROBLEMS, plan(serves="a1"), tmp_path)
    for other in ("b2", None):
        solver = FakeSolver()
        message = r"reported a1, now (b2|nothing)\); serve those again, "
        with pytest.raises(JournalError, match=message):
            await evaluate(solver, PROBLEMS, plan(serves=other), tmp_path)
        assert solver.requested == []


async def test_models_that_nobody_names_are_taken_for_the_same(tmp_path: Path) -> None:
    await evaluate(FakeSolver(), PROBLEMS[:1], plan(), tmp_path)
    await evaluate(FakeSolver(), PROBLEMS, plan(), tmp_path)
    stored = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert stored.pop("serves", "absent") is None
    (tmp_path / "plan.json").write_text(json.dumps(stored), encoding="utf-8")  # as it once was
    await evaluate(FakeSolver(), PROBLEMS, plan(serves="a1"), tmp_path)


async def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    await evaluate(FakeSolver(), PROBLEMS, plan(), tmp_path)
    with pytest.raises(JournalError, match="another seed"):
        await evaluate(FakeSolver(), PROBLEMS, plan(seed=8), tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(JournalError, match=r"plan\.json cannot be read"):
        await evaluate(FakeSolver(), PROBLEMS, plan(), tmp_path)


async def test_a_folder_without_answers_takes_any_plan(tmp_path: Path) -> None:
    def fault(_strategy: str, _question: str) -> GloreError:
        return APIConnectionError("cannot connect: refused", request_id="r")

    with pytest.raises(APIConnectionError):
        await evaluate(FakeSolver(fault), PROBLEMS, plan(seed=8), tmp_path)
    report = await evaluate(FakeSolver(), PROBLEMS, plan(), tmp_path)
    assert report.plan.seed == 7


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"strategies": ()}, "no strategy to evaluate"),
        ({"strategies": ("greedy",)}, "no strategy 'greedy'"),
        ({"strategies": ("draft", "draft")}, "named twice"),
        ({"strategies": ("draft",), "one_pass": True}, "one pass"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(parts: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        plan(**parts)
