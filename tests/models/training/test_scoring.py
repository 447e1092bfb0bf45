"""Batched scores against the plain forward pass of one solution after another."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from glore_models.data.examples import ScoreExample
from glore_models.training import scoring
from glore_models.training.adapters import AdapterConfig, encode_scores, train_scorer
from glore_models.training.loop import LoopConfig
from glore_models.training.scoring import LocalStepScorer, score_steps

CONFIG = AdapterConfig(rank=4, alpha=8, loop=LoopConfig(epochs=12, batch_tokens=64, rate=1e-2))
SOLUTIONS = [
    ("a longer question, 12 + 30?", ("12 + 30 = 42", "#### 42")),
    ("q", ("zz",)),
    ("q", ("x", "a much longer step that goes on", "y", "#### 7")),
    ("none", ()),
    ("q2", ("x", "y")),
]


@pytest.fixture(scope="module")
def adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scorer") / "sorm"
    examples = [ScoreExample(f"q{i}", ("2 + 2 = 4", "#### 4"), (1, 1)) for i in range(10)]
    examples += [ScoreExample(f"q{i}", ("zzzz", "zz"), (0, 0)) for i in range(10)]
    train_scorer(tiny_base, examples, CONFIG, folder, "sorm")
    return folder


def one_by_one(base: Path, adapter: Path) -> list[tuple[float, ...]]:
    """The adapter beside the weights, no batch, no padding."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    decoder = PeftModel.from_pretrained(model, adapter).eval().base_model.model.model
    weight = load_file(adapter / "head.safetensors")["score.weight"][0]
    scores = []
    for question, steps in SOLUTIONS:
        example = encode_scores(tokenizer, ScoreExample(question, steps, (1,) * len(steps)))
        indices = [i for i, target in enumerate(example.targets) if target == 1]
        with torch.inference_mode():
            hidden = decoder(input_ids=torch.tensor([example.ids]), use_cache=False)[0][0]
        scores.append(tuple(torch.sigmoid(hidden[indices] @ weight).tolist()))
    return scores


@pytest.mark.parametrize("tokens", [1, 200, 4096])
def test_batched_scores_are_those_of_one_solution_alone(
    tiny_base: Path, adapter: Path, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_BATCH_TOKENS", dict.fromkeys(("cpu", "cuda"), tokens))
    expected = one_by_one(tiny_base, adapter)
    found = score_steps(tiny_base, adapter, SOLUTIONS)
    assert [len(each) for each in found] == [2, 1, 4, 0, 2]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    flat = [score for each in expected for score in each]
    assert max(flat) - min(flat) > 1e-2  # a test that equal scores would pass shows nothing


def test_packs_and_batches_keep_their_bounds(
    tiny_base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_BATCH_TOKENS", dict.fromkeys(("cpu", "cuda"), 150))
    monkeypatch.setattr(scoring, "_PACK_TOKENS", 60)
    scorer = LocalStepScorer(tiny_base, adapter)
    solutions = [*SOLUTIONS, *[("q", ("one more", "#### 8"))] * 4]
    encoded = {
        index: scorer._encode(question, steps)
        for index, (question, steps) in enumerate(solutions)
        if steps
    }
    packs = scoring._packs(encoded)
    batches = scoring._batches(packs)
    assert sorted(index for pack in packs for index in pack.places) == list(encoded)
    assert max(len(pack.places) for pack in packs) > 1
    for pack in packs:
        requested = {encoded[index].question for index in pack.places}
        written = sum(len(encoded[index].solution) for index in pack.places)
        assert len(requested) == 1
        assert pack.length == written + len(requested.pop())
        assert len(pack.places) == 1 or pack.length <= 60
    assert [pack for batch in batches for pack in batch] == sorted(packs, key=lambda p: p.length)
    assert max(map(len, batches)) > 1
    for batch in batches:
        assert len(batch) == 1 or len(batch) * batch[-1].length <= 150


def test_a_question_is_computed_once_for_its_solutions(tiny_base: Path, adapter: Path) -> None:
    scorer = LocalStepScorer(tiny_base, adapter)
    computed = []
    scorer.decoder.register_forward_pre_hook(
        lambda _module, _given, named: computed.append(tuple(named["input_ids"].shape)),
        with_kwargs=True,
    )
    scorer.score([("q", ("1", "2")), ("q", ("3",)), ("other", ("4",)), ("q", ("5",))])
    assert computed == [(2, len("Question: q\nSolution:\n1\n2\n3\n5\n"))]


def test_bfloat16_scores_are_close(tiny_base: Path, adapter: Path) -> None:
    exact = score_steps(tiny_base, adapter, SOLUTIONS)
    rounded = LocalStepScorer(tiny_base, adapter, dtype=torch.bfloat16).score(SOLUTIONS)
    assert exact != rounded
    for ours, theirs in zip(rounded, exact, strict=True):
        assert ours == pytest.approx(theirs, abs=0.05)
