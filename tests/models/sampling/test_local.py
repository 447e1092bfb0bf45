"""The local sampler against transformers' own generate, on a toy model."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from glore_models.sampling.local import LocalSampler

PROMPTS = [
    "Question: a\nSolution:\n",
    "Question: much longer, 12 + 30?\nSolution:\n",
    "x",
    "Question: a\nSolution:\n2 + 2 = 4\n4 + 1 = 5\n",
    "Question: a\nSolution:\n2 + 2 = 4\n",
]


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


def test_a_prompt_that_another_begins_with_is_not_computed_again(tiny_base: Path) -> None:
    sampler = LocalSampler(tiny_base, seed=1)
    decoder = sampler.model.get_decoder()
    computed = []
    decoder.register_forward_pre_hook(
        lambda _module, _given, named: computed.append(tuple(named["input_ids"].shape)),
        with_kwargs=True,
    )
    sampler.sample(PROMPTS, n=8, temperature=1.0, max_tokens=2)
    longest = max(len(prompt) for prompt in PROMPTS)
    assert computed[0] == (3, longest)  # of five prompts, two are the beginnings of another
    assert all(length == 1 for _, length in computed[1:])
    # all rollouts of all prompts go together, but for the few that ended at once
    assert 7 * len(PROMPTS) < computed[1][0] <= 8 * len(PROMPTS)


def test_an_adapter_is_added_to_the_weights(tiny_base: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(tmp_path)
    plain = LocalSampler(tiny_base, seed=1)
    changed = LocalSampler(tiny_base, seed=1, adapter=tmp_path)
    merged = adapted.merge_and_unload().state_dict()
    for name, weight in changed.model.state_dict().items():
        torch.testing.assert_close(weight, merged[name].to(weight.dtype))
    assert any(
        not torch.equal(weight, plain.model.state_dict()[name])
        for name, weight in changed.model.state_dict().items()
    )


def test_draws_follow_the_models_distribution(sampler: LocalSampler) -> None:
    (rollouts,) = sampler.sample(PROMPTS[:1], n=400, temperature=1.0, max_tokens=1)
    ids = sampler.tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        chances = torch.softmax(sampler.model(input_ids=ids).logits[0, -1], -1)
    logits = torch.log(torch.tensor([0.5, 0.0, 0.2, 0.3, 0.0])).repeat(20_000, 1)
    shares = torch.bincount(sampler._draw(logits, 1.0), minlength=5) / 20_000
    assert shares[1] == shares[4] == 0
    torch.testing.assert_close(shares[[0, 2, 3]], torch.tensor([0.5, 0.2, 0.3]), atol=0.02, rtol=0)
    colder = torch.bincount(sampler._draw(logits, 0.5), minlength=5) / 20_000
    assert abs(float(colder[0]) - 0.25 / 0.38) < 0.02
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
