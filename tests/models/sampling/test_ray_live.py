"""A local Ray that starts a real vLLM server itself; the server is killed once."""

import os
import signal
from pathlib import Path

import psutil
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from glore_models.sampling.choice import SamplerChoice, make
from glore_models.sampling.local import LocalSampler

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]

PROMPTS = ["Question: a\nSolution:\n", "Question: 12 + 30?\nSolution:\n", "x"]


@pytest.fixture(scope="module")
def checkpoint(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy base with heads of 32 numbers: vLLM has no attention on a CPU for its 8."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run") / "merged_for_ray"
    config = LlamaConfig.from_pretrained(tiny_base, head_dim=32)
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    return folder


def test_a_server_of_rays_own_draws_as_transformers_does_and_ends(checkpoint: Path) -> None:
    local = LocalSampler(checkpoint, seed=1)
    local.model.float()
    expected = local.sample(PROMPTS, n=2, temperature=0.0, max_tokens=12)
    with make(SamplerChoice("ray", engines=1)) as make_sampler:
        sampler = make_sampler(checkpoint, 1)
        drawn = sampler.sample(PROMPTS, n=2, temperature=0.0, max_tokens=12)
        (server,) = _servers()
        os.kill(server.pid, signal.SIGKILL)
        again = sampler.sample(PROMPTS, n=2, temperature=0.0, max_tokens=12)
        (other,) = _servers()
        assert other != server
        del sampler
        assert not _servers()  # it goes with its sampler, not only with the run
    assert again == drawn
    for (first, second), (like, _) in zip(drawn, expected, strict=True):
        assert first == second
        assert (first.finished, first.tokens) == (like.finished, like.tokens)
        # vLLM keeps bytes back that are no whole character yet
        assert first.text.startswith(like.text.split("\N{REPLACEMENT CHARACTER}")[0])


def _servers() -> list[psutil.Process]:
    """The vLLM servers of the checkpoint, without the guards that watch them."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "vllm.entrypoints.openai.api_server" in (command := process.info["cmdline"] or [])
        and "glore_models.serving.guard" not in command
        and any("merged_for_ray" in part for part in command)
    ]
