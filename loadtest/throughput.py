"""Sampling and training throughput against the plain transformers loop, in the same run.

`python -m loadtest.throughput MODEL` (a checkpoint folder; `make environment` and one start of
`glore up` leave the student in the model cache). Problems come from gsm_symbolic. Prints
generated tokens per second of K rollouts of every prefix of worked solutions, and trained
tokens per second of LoRA on the same solutions; the rounds alternate between the two ways, and
the ratio is that of their medians. Both ways multiply in the same precision; where that is
bfloat16, training is compared with the plain loop in float32 as well. To try it on busy cores:
`--problems 4 --rollouts 2 --max-tokens 16 --rounds 1`, 80 seconds of one core for the student;
training is then a single batch, and its ratio says little.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from glore.formats.prompts import continuation_prompt, student_prompt
from glore.formats.steps import closed, prefix_before, split_steps
from glore_models.data import sources
from glore_models.data.examples import CompletionExample
from glore_models.data.problems import Problem
from glore_models.sampling.local import LocalSampler
from glore_models.training.adapters import AdapterConfig, train_generator
from glore_models.training.loop import LoopConfig
from glore_models.training.precision import device, fast_dtype

_ROWS = 128  # rollouts at a time, both ways
_TEMPERATURE = 0.8


@dataclass(frozen=True, slots=True)
class Compared:
    """Tokens per second of both ways, one entry a round."""

    name: str
    ours: tuple[float, ...]
    plain: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as fast ours is, by the medians."""
        return statistics.median(self.ours) / statistics.median(self.plain)

    def row(self) -> str:
        """A row of the table that is printed."""
        return (
            f"| {self.name} | {statistics.median(self.ours):.0f} "
            f"| {statistics.median(self.plain):.0f} | {self.ratio:.2f} |"
        )


def compare(
    name: str, ours: Callable[[], float], plain: Callable[[], float], rounds: int
) -> Compared:
    """Each way once a round, by turns; each gives its tokens per second."""
    pairs = [(ours(), plain()) for _ in range(rounds)]
    return Compared(name, tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def prefix_prompts(problems: list[Problem]) -> list[str]:
    """What a rollout stage asks: every prefix of every solution, the empty one too."""
    return [
        continuation_prompt(problem.question, closed(prefix_before(problem.solution, kept)))
        for problem in problems
        for kept in range(len(split_steps(problem.solution)))
    ]


def our_sampling(sampler: LocalSampler, prompts: list[str], n: int, most: int) -> float:
    """Generated tokens per second of `n` rollouts of each prompt, at most `most` tokens each."""
    started = time.perf_counter()
    drawn = sampler.sample(prompts, n=n, temperature=_TEMPERATURE, max_tokens=most)
    tokens = sum(rollout.tokens for rollouts in drawn for rollout in rollouts)
    return tokens / (time.perf_counter() - started)


@torch.inference_mode()
def plain_sampling(model: Path, prompts: list[str], n: int, most: int) -> float:
    """The same with `generate`, as many rollouts at a time, prompts of like length together."""
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    causal = AutoModelForCausalLM.from_pretrained(model, dtype=fast_dtype()).to(device()).eval()
    ordered = sorted(prompts, key=len)
    started, tokens = time.perf_counter(), 0
    for start in range(0, len(ordered), _ROWS // n):
        batch = tokenizer(
            ordered[start : start + _ROWS // n],
            return_tensors="pt",
            padding=True,
            add_special_tokens=False,
        ).to(device())
        drawn = causal.generate(
            **batch,
            do_sample=True,
            temperature=_TEMPERATURE,
            top_k=0,
            num_return_sequences=n,
            max_new_tokens=most,
            pad_token_id=tokenizer.eos_token_id,
        )
        written = drawn[:, batch["input_ids"].shape[1] :]
        tokens += int((written != tokenizer.eos_token_id).sum())
    return tokens / (time.perf_counter() - started)


def our_training(model: Path, examples: list[CompletionExample], rank: int) -> float:
    """Trained tokens per second, padding not counted."""
    loop = LoopConfig(epochs=1, batch_tokens=1024, rate=1e-4)
    config = AdapterConfig(rank=rank, alpha=2 * rank, loop=loop)
    with TemporaryDirectory() as folder:
        report = train_generator(model, examples, config, Path(folder) / "adapter", "ours")
    return report.tokens / report.seconds


def plain_training(
    model: Path, examples: list[CompletionExample], rank: int, dtype: torch.dtype
) -> float:
    """The same as a first script does it, in `dtype`: eight a batch, a loss over all logits."""
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="right")
    tokenizer.pad_token = tokenizer.eos_token
    causal = AutoModelForCausalLM.from_pretrained(model, dtype=dtype).to(device())
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    adapted = get_peft_model(causal, lora).train()
    optimiser = torch.optim.AdamW((p for p in adapted.parameters() if p.requires_grad), lr=1e-4)
    started, tokens = time.perf_counter(), 0
    for start in range(0, len(examples), 8):
        texts = [each.prompt + each.completion for each in examples[start : start + 8]]
        batch = tokenizer(texts, return_tensors="pt", padding=True).to(device())
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        with torch.autocast(device().type, dtype=dtype, enabled=dtype != torch.float32):
            loss = adapted(**batch, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        tokens += int(batch["attention_mask"].sum())
    return tokens / (time.perf_counter() - started)


def compare_training(
    model: Path, examples: list[CompletionExample], rank: int, rounds: int
) -> list[Compared]:
    """Ours against the plain loop in the same precision, and in float32 if that is another."""
    names = {fast_dtype(): "training"}
    names.setdefault(torch.float32, "training, plain in float32")
    ours = partial(our_training, model, examples, rank)
    return [
        compare(name, ours, partial(plain_training, model, examples, rank, dtype), rounds)
        for dtype, name in names.items()
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m loadtest.throughput")
    parser.add_argument("model", type=Path)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=120)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    problems = sources.load("all", given.problems, seed=77, split="train")
    prompts = prefix_prompts(problems)
    examples = [CompletionExample(student_prompt(p.question), p.solution) for p in problems]
    sampler = LocalSampler(given.model, seed=1, rows=_ROWS)
    n, most = given.rollouts, given.max_tokens
    compared = [
        compare(
            "sampling",
            lambda: our_sampling(sampler, prompts, n, most),
            lambda: plain_sampling(given.model, prompts, n, most),
            given.rounds,
        ),
        *compare_training(given.model, examples, given.rank, given.rounds),
    ]
    threads = torch.get_num_threads()
    lines = [
        (
            f"{len(prompts)} prefixes of {len(problems)} solutions x {n} rollouts; "
            f"{given.rounds} rounds; {threads} threads on {device()}; "
            f"{str(fast_dtype()).removeprefix('torch.')}"
        ),
        "",
        "| | GLoRe, tokens/s | plain transformers, tokens/s | times as fast |",
        "|---|---:|---:|---:|",
        *(each.row() for each in compared),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
