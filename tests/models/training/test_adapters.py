"""Adapters on a toy base: what carries loss, that they learn, that they resume."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from glore_models.data.examples import CompletionExample, ScoreExample
from glore_models.training import loop
from glore_models.training.adapters import (
    AdapterConfig,
    encode_completion,
    encode_scores,
    merge,
    train_generator,
    train_scorer,
)
from glore_models.training.batching import Encoded, batches
from glore_models.training.loop import LoopConfig
from glore_models.training.scoring import score_steps

FAST = AdapterConfig(rank=4, alpha=8, loop=LoopConfig(epochs=12, batch_tokens=64, rate=1e-2))
GOOD, BAD = ("2 + 2 = 4", "#### 4"), ("zzzz", "zz")


def test_loss_stands_on_the_completion_and_its_end_only(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    encoded = encode_completion(tokenizer, CompletionExample("ab", "cd"))
    ids = tokenizer("abcd")["input_ids"]
    assert encoded.ids == tuple(ids)
    assert encoded.targets == (-100, ids[2], ids[3], tokenizer.eos_token_id)


def test_labels_stand_on_the_newline_of_their_step(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    encoded = encode_scores(tokenizer, ScoreExample("q", ("a", "bc", "d"), (1, -1, 0)))
    (newline,) = tokenizer("\n")["input_ids"]
    labelled = [(i, t) for i, t in enumerate(encoded.targets) if t != -100]
    assert [target for _, target in labelled] == [1, 0]
    assert all(encoded.ids[i] == newline for i, _ in labelled)
    assert list(encoded.ids).count(newline) == 2 + 3


def test_a_tokenizer_that_merges_the_newline_is_refused(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    vocabulary = {**tokenizer.get_vocab(), ".Ċ": len(tokenizer)}  # how a newline is written there
    merging = Tokenizer(models.BPE(vocab=vocabulary, merges=[(".", "Ċ")]))
    merging.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    other = PreTrainedTokenizerFast(tokenizer_object=merging)
    assert encode_scores(other, ScoreExample("q", ("4", "no stop"), (1, 0))).targets[-1] == 0
    with pytest.raises(ValueError, match=r"merges the newline .* in 'a stop\.'"):
        encode_scores(other, ScoreExample("q", ("4", "a stop."), (1, 0)))


def test_a_generator_learns_and_is_merged(tiny_base: Path, tmp_path: Path) -> None:
    examples = [CompletionExample(f"{i}?\n", "yes") for i in range(20)]
    report = train_generator(tiny_base, examples, FAST, tmp_path / "role", "role")
    assert report.losses[-1][1] < report.losses[0][1]
    merge(tiny_base, tmp_path / "role", tmp_path / "merged")
    before = AutoModelForCausalLM.from_pretrained(tiny_base).state_dict()
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").state_dict()
    assert before.keys() == after.keys()
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert changed
    assert all("proj" in key for key in changed)


def test_an_adapter_is_trained_on_from_another(tiny_base: Path, tmp_path: Path) -> None:
    examples = [CompletionExample(f"{i}?\n", "yes") for i in range(20)]
    first = train_generator(tiny_base, examples, FAST, tmp_path / "first", "first")
    still = dataclasses.replace(FAST, loop=LoopConfig(epochs=1, batch_tokens=64, rate=0.0))
    start = tmp_path / "first"
    second = train_generator(tiny_base, examples, still, tmp_path / "on", "on", start=start)
    before, after = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("first", "on"))
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert second.losses[0][1] == pytest.approx(first.losses[-1][1], rel=0.5)
    other = dataclasses.replace(still, rank=2)
    with pytest.raises(ValueError, match="another shape"):
        train_generator(tiny_base, examples, other, tmp_path / "no", "no", start=start)


def test_a_scorer_tells_apart_what_it_was_shown(tiny_base: Path, tmp_path: Path) -> None:
    examples = [ScoreExample(f"q{i}", GOOD, (1, 1)) for i in range(10)]
    examples += [ScoreExample(f"q{i}", BAD, (0, 0)) for i in range(10)]
    train_scorer(tiny_base, examples, FAST, tmp_path / "sorm", "sorm")
    good, bad = score_steps(tiny_base, tmp_path / "sorm", [("q3", GOOD), ("q3", BAD)])
    assert len(good) == len(bad) == 2
    assert min(good) > max(bad)


def test_a_killed_training_goes_on_from_its_checkpoint(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(FAST, loop=LoopConfig(epochs=60, batch_tokens=64, rate=1e-3))
    examples = [CompletionExample(f"{i}?\n", "yes") for i in range(6)]
    whole = train_generator(tiny_base, examples, config, tmp_path / "whole", "whole")

    monkeypatch.setattr(loop, "_CHECKPOINT_SECONDS", 0.0)
    save = loop._save

    def killed(path: Path, **state: object) -> None:
        save(path, **state)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        train_generator(tiny_base, examples, config, tmp_path / "killed", "killed")
    monkeypatch.setattr(loop, "_save", save)
    resumed = train_generator(tiny_base, examples, config, tmp_path / "killed", "killed")
    assert resumed.steps == whole.steps
    assert resumed.tokens == whole.tokens
    assert [loss for _, loss in resumed.losses] == pytest.approx(
        [loss for _, loss in whole.losses], rel=1e-2
    )


def test_a_checkpoint_of_another_configuration_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    torch.save({"identity": "other"}, tmp_path / "role.checkpoint")
    with pytest.raises(ValueError, match="another configuration"):
        train_generator(tiny_base, [CompletionExample("a", "b")], FAST, tmp_path / "role", "role")


def test_a_checkpoint_of_other_weights_to_begin_with_is_refused(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rank, or another adapter to start from, with the same examples."""
    examples = [CompletionExample(f"{i}?\n", "yes") for i in range(20)]
    short = dataclasses.replace(FAST, loop=LoopConfig(epochs=4, batch_tokens=64, rate=1e-2))
    for name, seed in (("one", 1), ("two", 2)):
        seeded = dataclasses.replace(short, loop=dataclasses.replace(short.loop, seed=seed))
        train_generator(tiny_base, examples, seeded, tmp_path / name, name)
    one, two, on = (tmp_path / name for name in ("one", "two", "on"))

    def killed(path: Path, **state: object) -> None:
        save(path, **state)
        raise KeyboardInterrupt

    save = loop._save
    monkeypatch.setattr(loop, "_CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        train_generator(tiny_base, examples, short, on, "on", start=one)
    monkeypatch.setattr(loop, "_save", save)
    for config, start in (
        (short, two),
        (short, None),
        (dataclasses.replace(short, alpha=16), one),
        (dataclasses.replace(short, rank=2), None),
    ):
        with pytest.raises(ValueError, match="another configuration"):
            train_generator(tiny_base, examples, config, on, "on", start=start)
    assert train_generator(tiny_base, examples, short, on, "on", start=one).steps > 0


def test_batches_hold_every_example_once_and_keep_their_bound() -> None:
    examples = [Encoded(tuple(range(i % 17 + 1)), ()) for i in range(200)]
    created = list(batches(examples, 64, seed=1, epoch=0))
    assert sorted(id(e) for batch in created for e in batch) == sorted(id(e) for e in examples)
    assert all(len(batch) * max(len(e.ids) for e in batch) <= 64 for batch in created)
    assert created == list(batches(examples, 64, seed=1, epoch=0))
    assert created != list(batches(examples, 64, seed=1, epoch=1))
