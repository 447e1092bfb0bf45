"""N-gram speculation on real vLLM changes no text, with adapters and without, in one batch.

Nor does it change how texts are sampled.

A tiny model with random weights writes four tokens mostly, so that its n-grams come again, and the
token after them does in part. `python -m loadtest.speculation` compares the real models' texts
(results/benchmarks.md).
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer, Qwen2ForCausalLM

from glore_models.serving.engines import SPECULATION

from . import tiny
from .servers import TinyServer, running, tiny_server

TOKENS = 64
FREQUENT = slice(100, 104)  # token ids
ADAPTERS = ("global_refiner", "local_refiner")
PROMPTS = [
    f"Tom has {n} boxes with 12 pens each. Tom has {n} x 12 = {12 * n} pens.\nTom has {n} boxes"
    for n in range(2, 36)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    checkpoint = tmp_path_factory.mktemp("student")
    tiny.save_chat(checkpoint)
    make_frequent(checkpoint, FREQUENT)
    for seed, (role, rank) in enumerate(zip(ADAPTERS, (4, 12), strict=True)):
        tiny.save_adapter(checkpoint, checkpoint / role, rank=rank, seed=seed)
    modules = [f"{role}={checkpoint / role}" for role in ADAPTERS]
    one = tiny_server(
        "student", checkpoint, "--speculative-config", json.dumps(dict(SPECULATION)),
        "--enable-lora", "--max-loras", "2", "--max-lora-rank", "16", "--lora-modules", *modules,
    )  # fmt: skip
    with running(tmp_path_factory.mktemp("logs"), one):
        yield one


def make_frequent(checkpoint: Path, token_ids: slice) -> None:
    """Raise the logits of these tokens in the model that is saved there."""
    model = Qwen2ForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    with torch.no_grad():
        model.lm_head.weight[token_ids] *= 10
    model.save_pretrained(checkpoint)


def written(server: TinyServer, model: str, prompt: str, **how: float) -> tuple[int, ...]:
    """Token ids: a text may end in the middle of a character. Greedy unless `how` says else."""
    requested = {"prompt": prompt, "temperature": 0, "max_tokens": TOKENS, "return_token_ids": True}
    answer = server.post("/v1/completions", **{"model": model, **requested, **how})
    return tuple(answer["choices"][0]["token_ids"])


@torch.no_grad()
def in_transformers(checkpoint: Path, role: str) -> list[tuple[int, ...]]:
    """What transformers writes, a token at a time."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = Qwen2ForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    if role in ADAPTERS:
        model = PeftModel.from_pretrained(model, checkpoint / role).eval()
    texts = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        whole = model.generate(input_ids=ids, max_new_tokens=TOKENS, do_sample=False)
        texts.append(tuple(whole[0, ids.shape[1] :].tolist()))
    return texts


def test_texts_are_those_of_one_token_at_a_time(server: TinyServer) -> None:
    requested = [(role, prompt) for prompt in PROMPTS for role in ("student", *ADAPTERS)]
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda each: written(server, *each), requested))
    assert len(texts) > 100
    for number, role in enumerate(("student", *ADAPTERS)):
        assert texts[number::3] == in_transformers(server.checkpoint, role), role
    assert len(set(texts)) > 60  # adapters and prompts make a difference
    accepted = [
        float(line.rpartition(" ")[2])
        for line in httpx2.get(f"{server.url}/metrics").text.splitlines()
        if line.startswith("vllm:spec_decode_num_accepted_tokens_total")
    ]
    assert sum(accepted) > 100


def test_sampling_parameters_hold(server: TinyServer) -> None:
    """The likeliest token alone is what greedy decoding takes, whatever else is in the batch."""
    narrow: list[dict[str, float]] = [
        {"temperature": 1.0, "top_p": 1e-6},
        {"temperature": 0.7, "top_p": 1e-6},
        {"temperature": 0},
    ]
    free = {"temperature": 1.0}
    requested = [(prompt, how) for prompt in PROMPTS for how in (*narrow, free)]
    with ThreadPoolExecutor(8) as pool:
        texts = list(
            pool.map(lambda each: written(server, "student", each[0], **each[1]), requested)
        )
    greedy = in_transformers(server.checkpoint, "student")
    for index, how in enumerate(narrow):
        assert texts[index :: len(narrow) + 1] == greedy, how
    assert texts[len(narrow) :: len(narrow) + 1] != greedy
