from pathlib import Path

import pytest

from glore_models.evaluation.paper import phases
from glore_models.evaluation.paper.phases import ProblemPrompt, generate, score
from glore_models.evaluation.provenance import OtherModelsError, Provenance
from glore_models.sampling.port import SamplingParams
from tests.models.evaluation.paper.fakes import Calls, FakeSampler, FakeScorer

PROMPTS = [ProblemPrompt(f"p{i}", 0, f"What is {i} + {i}?") for i in range(1, 6)]


def test_a_chunk_that_is_not_whole_is_drawn_again_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "BATCH_ROWS", 9)
    drawing = SamplingParams(3, 0.7, 10)
    sampler = FakeSampler("student", Calls())
    path = tmp_path / "samples.jsonl"
    whole = generate(path, PROMPTS, sampler, drawing, title="")
    assert len(sampler.calls.created) == 2
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:2]), encoding="utf-8")
    sampler.prompts.clear()
    again = generate(path, PROMPTS, sampler, drawing, title="")
    assert sampler.prompts == [prompt.text for prompt in PROMPTS]
    assert [row.texts for row in again.values()] == [row.texts for row in whole.values()]
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(PROMPTS)


def test_more_prompts_later_ask_for_those_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "BATCH_ROWS", 3)
    sampler = FakeSampler("student", Calls())
    drawing = SamplingParams(1, 0.0, 10)
    path = tmp_path / "drafts.jsonl"
    generate(path, PROMPTS[:3], sampler, drawing, title="")
    rows = generate(path, PROMPTS, sampler, drawing, title="")
    assert list(rows) == [(prompt.problem, 0) for prompt in PROMPTS]
    assert sampler.prompts == [prompt.text for prompt in PROMPTS]
    fewer = generate(path, PROMPTS[1:2], sampler, drawing, title="")
    assert list(fewer) == [("p2", 0)]


def test_a_model_is_loaded_once_before_the_clock_starts_and_only_for_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "BATCH_ROWS", 2)
    events: list[str] = []

    def clock() -> float:
        events.append("clock")
        return float(len(events))

    def draw() -> None:
        sampler = FakeSampler("student", Calls())
        generate(
            tmp_path / "drafts.jsonl",
            PROMPTS,
            sampler,
            SamplingParams(1, 0.0, 10),
            title="",
            load=lambda: events.append("load"),
            clock=clock,
        )

    draw()
    assert events == ["load", *["clock", "clock"] * 3]
    draw()
    assert events.count("load") == 1


def test_each_text_of_a_problem_is_scored_once_and_an_empty_one_never(tmp_path: Path) -> None:
    scorer = FakeScorer("sorm", Calls())
    texts = [("p1", "Q?", "a\nb"), ("p1", "Q?", ""), ("p1", "Q?", "a\nb"), ("p2", "Q?", "a\nb")]
    ticks = iter([0.0, 3.0])
    rows = score(tmp_path / "sorm.jsonl", texts, scorer, title="", clock=lambda: next(ticks))
    assert scorer.scored == [("Q?", ("a", "b"))] * 2
    assert rows["p1", ""].scores == ()
    assert rows["p1", ""].seconds == 0.0
    assert rows["p1", "a\nb"].seconds == rows["p2", "a\nb"].seconds == 1.5


def test_stamps_remember_what_a_file_was_created_with(tmp_path: Path) -> None:
    Provenance(tmp_path).check("a.jsonl", {"student": "one"})
    Provenance(tmp_path).check("a.jsonl", {"student": "one"})
    Provenance(tmp_path).check("b.jsonl", {"student": "two"})
    with pytest.raises(OtherModelsError, match="another student"):
        Provenance(tmp_path).check("a.jsonl", {"student": "two"})
