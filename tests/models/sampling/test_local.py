"""The local sampler against transformers' own generate, on a toy model."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.sampling.local import LocalSampler

PROMPTS = ["Question: a\nSolution:\n", "Question: much longer, 12 + 30?\nSolution:\n", "x"]


@pytest.fixture(scope="module")
def sampler(tiny_base: Path) -> LocalSampler:
    sampler = LocalSampler(tiny_base, seed=1, rows=4)
    sampler.model.float()
    return sampler


def test_greedy_rollouts_equal_generate(sampler: LocalSampler, tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    drawn = sampler.sample(PROMPTS, n=2, temperature=0.0, max_tokens=12)
    for prompt, rollouts in zip(PROMPTS, drawn, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
        )
        expected = tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
        assert [rollout.text for rollout in rollouts] == [expected, expected]


def test_draws_follow_the_models_distribution(sampler: LocalSampler) -> None:
    (rollouts,) = sampler.sample(PROMPTS[:1], n=400, temperature=1.0, max_tokens=1)
    ids = sampler.tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        chances = torch.softmax(sampler.model(input_ids=ids).logits[0, -1], -1)
    ends = sum(rollout.finished for rollout in rollouts) / 400
    end = sampler.tokenizer.eos_token_id
    assert abs(ends - float(chances[end])) < 0.05
    assert (
        len({rollout.text for rollout in rollouts}) > 50
    )  # nearly uniform; half of the 257 tokens are no text of their own


def test_an_ended_rollout_is_finished_and_a_cut_one_is_not(sampler: LocalSampler) -> None:
    (rollouts,) = sampler.sample(["x"], n=600, temperature=1.0, max_tokens=3)
    assert all(rollout.tokens == 3 for rollout in rollouts if not rollout.finished)
    assert all(rollout.tokens < 3 for rollout in rollouts if rollout.finished)
    assert any(rollout.finished for rollout in rollouts)


def test_the_seed_repeats_the_draws(tiny_base: Path) -> None:
    def draw(seed: int) -> list[str]:
        sampler = LocalSampler(tiny_base, seed=seed)
        (rollouts,) = sampler.sample(["x"], n=3, temperature=1.0, max_tokens=5)
        return [rollout.text for rollout in rollouts]

    assert draw(5) == draw(5) != draw(6)
