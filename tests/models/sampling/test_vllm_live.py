"""A vLLM server that the sampler starts itself: it computes a prefix once, by its own metric."""

import re
from pathlib import Path

import httpx2
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from glore.formats.prompts import continuation_prompt
from glore.formats.steps import closed, prefix_before
from glore_models.sampling.choice import SamplerChoice, make
from glore_models.sampling.vllm import VllmSampler

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]

K = 8
QUESTION = "How many pens are there in 12 boxes, if each holds 4 red and 3 blue ones? " * 8
SOLUTION = "".join(
    f"Line {i}: {i} + {i} = {2 * i} pens, which go to the others.\n" for i in range(6)
)


@pytest.fixture(scope="module")
def checkpoint(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy base with heads of 32 numbers: vLLM has no attention on a CPU for its 8."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run") / "merged_for_vllm"
    LlamaForCausalLM(LlamaConfig.from_pretrained(tiny_base, head_dim=32)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    return folder


def test_a_prefix_is_computed_once_for_its_rollouts_and_for_the_prefixes_that_go_on_from_it(
    checkpoint: Path,
) -> None:
    prompts = [
        continuation_prompt(QUESTION, closed(prefix_before(SOLUTION, stored)))
        for stored in range(1, 6)
    ]
    with make(SamplerChoice("vllm")) as make_sampler:
        sampler = make_sampler(checkpoint, 1)
        assert isinstance(sampler, VllmSampler)
        states = [_counted(sampler.url)]
        for prompt in prompts[:-1]:  # one rollout each: what is found is from the prefix before
            sampler.sample([prompt], n=1, temperature=0.8, max_tokens=4)
        states.append(_counted(sampler.url))
        sampler.sample(["Another one. " + prompts[-1]], n=K, temperature=0.8, max_tokens=4)
        states.append(_counted(sampler.url))
    block = states[0]["block"]  # tokens, which are bytes here; the cache holds whole blocks
    assert block == 32
    before, prefixes, rollouts = (state["hits"] for state in states)
    assert prefixes - before >= sum(len(p) // block * block for p in prompts[:-2])
    assert rollouts - prefixes >= (K - 1) * (len(prompts[-1]) // block * block)


def _counted(url: str) -> dict[str, float]:
    """Prompt tokens that the cache held when they were asked for, and the size of a block."""
    text = httpx2.get(f"{url}/metrics", timeout=600).text

    def number(pattern: str) -> float:
        (found,) = re.findall(pattern, text)
        return float(found)

    return {
        "hits": number(r"(?m)^vllm:prefix_cache_hits_total\{.*\} (\S+)$"),
        "block": number(r'vllm:cache_config_info\{.*block_size="(\d+)"'),
    }
