"""LoRA adapters on a frozen base: one for each generating role, one for each reward model.

LoRA: Hu et al. 2022. The frozen weights are kept in `fast_dtype` while training; adapters and head
are trained in float32. Serving merges and runs in float32.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from glore.formats.prompts import student_prompt
from glore_models.data.examples import CompletionExample, ScoreExample, ScorePair
from glore_models.training.batching import Encoded, EncodedPair
from glore_models.training.loop import LoopConfig, LoopReport, train
from glore_models.training.precision import device, fast_dtype

_NO_LOSS = -100
# Of each (question, steps), a score per step.
ScoresOf: TypeAlias = Callable[[Sequence[tuple[str, tuple[str, ...]]]], list[tuple[float, ...]]]


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """The shape of an adapter on all linear layers; it is scaled by alpha / rank."""

    rank: int = 16
    alpha: int = 32
    loop: LoopConfig = field(default_factory=LoopConfig)


def encode_completion(tokenizer: PreTrainedTokenizerBase, example: CompletionExample) -> Encoded:
    """Token ids of prompt, completion and end mark; targets shifted by one to the left."""
    prompt = tokenizer(example.prompt, add_special_tokens=False)["input_ids"]
    rest = tokenizer(example.completion, add_special_tokens=False)["input_ids"]
    ids = [*prompt, *rest, tokenizer.eos_token_id]
    targets = [_NO_LOSS] * (len(prompt) - 1) + ids[len(prompt) :]
    return Encoded(tuple(ids[:-1]), tuple(targets))


def encode_scores(
    tokenizer: PreTrainedTokenizerBase, example: ScoreExample, *, every_token: bool = False
) -> Encoded:
    """Token ids of question and steps; the target of a step stands at its newline.

    With `every_token` it stands at each of the step's tokens.

    Raises ValueError when the newline is no token of its own there, as with a tokenizer that
    makes one token of a full stop and a newline: scores are read at newlines.
    """
    newline = tokenizer("\n", add_special_tokens=False)["input_ids"][-1]
    ids = list(tokenizer(student_prompt(example.question), add_special_tokens=False)["input_ids"])
    targets = [_NO_LOSS] * len(ids)
    for step, label in zip(example.steps, example.labels, strict=True):
        tokens = tokenizer(f"{step}\n", add_special_tokens=False)["input_ids"]
        if tokens[-1] != newline:
            message = f"the tokenizer merges the newline with what is before it in {step!r}"
            raise ValueError(message)
        ids += tokens
        target = label if label >= 0 else _NO_LOSS
        targets += [target if every_token else _NO_LOSS] * (len(tokens) - 1) + [target]
    return Encoded(tuple(ids), tuple(targets))


def train_generator(
    base: Path,
    examples: Sequence[CompletionExample],
    config: AdapterConfig,
    out: Path,
    name: str,
    *,
    start: Path | None = None,
) -> LoopReport:
    """An adapter that continues prompts as in `examples`, written to `out` (PEFT's format).

    It begins as the adapter `start` (of the same rank), or as one that changes nothing. The
    logits (vocabulary 49,152) are computed only where there is a target. Checkpoints are written
    beside `out`, with the suffix `.checkpoint`; the last one stays.
    """
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = _with_adapter(base, config)
    if start is not None:
        _take_weights(model, start)
    causal = model.base_model.model

    def loss_of(batch: list[Encoded]) -> torch.Tensor:
        ids, mask, targets = _padded(batch, tokenizer.eos_token_id)
        with _autocast(ids.device.type):
            hidden = causal.model(input_ids=ids, attention_mask=mask, use_cache=False)[0]
            wanted = targets != _NO_LOSS
            logits = causal.lm_head(hidden[wanted])
        return functional.cross_entropy(logits.float(), targets[wanted])

    encoded = [encode_completion(tokenizer, example) for example in examples]
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out.with_suffix(".checkpoint")
    begun = (config.rank, config.alpha, _hash(start) if start else None)
    report = train(
        model, encoded, loss_of, config.loop, checkpoint=checkpoint, name=name, begun=begun
    )
    _save_adapter(model, out)
    return report


def train_scorer(
    base: Path, examples: Sequence[ScoreExample], config: AdapterConfig, out: Path, name: str
) -> LoopReport:
    """A reward model: an adapter and one row of a head, written to `out`.

    Binary cross-entropy at the newline that ends each labelled step. The row is saved as
    `head.safetensors` with `score.weight`, float32, 1 x hidden size.
    """
    tokenizer = AutoTokenizer.from_pretrained(base)
    model, head = _new_scorer(base, config)
    decoder = model.base_model.model.model
    both = nn.ModuleList([model, head])

    def loss_of(batch: list[Encoded]) -> torch.Tensor:
        ids, mask, targets = _padded(batch, tokenizer.eos_token_id)
        with _autocast(ids.device.type):
            hidden = decoder(input_ids=ids, attention_mask=mask, use_cache=False)[0]
        wanted = targets != _NO_LOSS
        logits = head(hidden[wanted].float())[:, 0]
        return functional.binary_cross_entropy_with_logits(logits, targets[wanted].float())

    encoded = [encode_scores(tokenizer, example) for example in examples]
    encoded = [example for example in encoded if any(t != _NO_LOSS for t in example.targets)]
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out.with_suffix(".checkpoint")
    begun = (config.rank, config.alpha)
    report = train(
        both, encoded, loss_of, config.loop, checkpoint=checkpoint, name=name, begun=begun
    )
    _save_scorer(model, head, out)
    return report


def train_pair_scorer(
    base: Path,
    pairs: Sequence[ScorePair],
    config: AdapterConfig,
    out: Path,
    name: str,
    *,
    pair_weight: float = 1.0,
    every_token: bool = False,
    measure: Callable[[int, ScoresOf], None] = lambda _tokens, _scores: None,
) -> LoopReport:
    """A reward model as `train_scorer`'s, from pairs of solutions of one question.

    The loss is the binary cross-entropy at labelled steps, and `pair_weight` times that of the
    right solution's last step being above the wrong one's (Bradley and Terry 1952). With
    `every_token` it is the joint loss of Cobbe et al. 2021 instead: each token of a solution has
    the label of its step, and the next token is predicted too. `measure` gets, after each step, the
    tokens trained on and what gives the scores of solutions now.
    """
    tokenizer = AutoTokenizer.from_pretrained(base)
    model, head = _new_scorer(base, config)
    decoder = model.base_model.model.model
    both = nn.ModuleList([model, head])

    def run(batch: Sequence[Encoded]) -> tuple[torch.Tensor, ...]:
        """Ids, mask, targets and hidden states of the last layer, each batch x longest."""
        ids, mask, targets = _padded(list(batch), tokenizer.eos_token_id)
        with _autocast(ids.device.type):
            hidden = decoder(input_ids=ids, attention_mask=mask, use_cache=False)[0]
        return ids, mask, targets, hidden

    def joint_loss(parts: list[Encoded]) -> torch.Tensor:
        ids, _, targets, hidden = run(parts)
        wanted = targets != _NO_LOSS
        outcome = functional.binary_cross_entropy_with_logits(
            head(hidden[wanted].float())[:, 0], targets[wanted].float()
        )
        written = wanted[:, 1:]  # the question is not learnt
        with _autocast(ids.device.type):
            logits = model.base_model.model.lm_head(hidden[:, :-1][written])
        return outcome + functional.cross_entropy(logits.float(), ids[:, 1:][written])

    def loss_of(batch: list[Encoded]) -> torch.Tensor:
        parts = [part for pair in batch if isinstance(pair, EncodedPair) for part in pair.parts]
        if every_token:
            return joint_loss(parts)
        _, mask, targets, hidden = run(parts)
        logits, last = head(hidden.float())[..., 0], mask.sum(1) - 1
        ends = logits[torch.arange(len(parts), device=logits.device), last]
        loss = -pair_weight * functional.logsigmoid(ends[0::2] - ends[1::2]).mean()
        wanted = targets != _NO_LOSS
        if wanted.any():
            loss = loss + functional.binary_cross_entropy_with_logits(
                logits[wanted], targets[wanted].float()
            )
        return loss

    @torch.inference_mode()
    def scores(solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        """A logit for each step."""
        unlabelled = [
            ScoreExample(question, steps, (1,) * len(steps)) for question, steps in solutions
        ]
        _, _, targets, hidden = run([encode_scores(tokenizer, each) for each in unlabelled])
        logits = head(hidden.float())[..., 0]
        return [
            tuple(row[labels != _NO_LOSS].tolist())
            for row, labels in zip(logits, targets, strict=True)
        ]

    encoded = [_encode_pair(tokenizer, pair, every_token=every_token) for pair in pairs]
    out.mkdir(parents=True, exist_ok=True)
    report = train(
        both,
        encoded,
        loss_of,
        config.loop,
        checkpoint=out.with_suffix(".checkpoint"),
        name=name,
        begun=(config.rank, config.alpha, pair_weight, every_token),
        after_step=lambda tokens: measure(tokens, scores),
    )
    _save_scorer(model, head, out)
    return report


def _encode_pair(
    tokenizer: PreTrainedTokenizerBase, pair: ScorePair, *, every_token: bool
) -> EncodedPair:
    right, wrong = (
        encode_scores(tokenizer, each, every_token=every_token) for each in (pair.right, pair.wrong)
    )
    return EncodedPair(right.ids + wrong.ids, right.targets + wrong.targets, len(right.ids))


def _new_scorer(base: Path, config: AdapterConfig) -> tuple[PeftModel, nn.Linear]:
    """An adapter on `base` and a head of one row, which gives every step the same score."""
    model = _with_adapter(base, config)
    head = nn.Linear(
        model.base_model.model.model.config.hidden_size, 1, bias=False, device=device()
    )
    nn.init.zeros_(head.weight)
    return model, head


def _save_scorer(model: PeftModel, head: nn.Linear, out: Path) -> None:
    _save_adapter(model, out)
    weight = head.weight.detach().float().cpu().contiguous()
    save_file({"score.weight": weight}, out / "head.safetensors")


def merge(base: Path, adapter: Path, out: Path) -> None:
    """The base with an adapter added to its weights, float32, as a plain checkpoint."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    merged.save_pretrained(out)
    AutoTokenizer.from_pretrained(base).save_pretrained(out)


def _autocast(device_type: str) -> torch.autocast:
    return torch.autocast(device_type, dtype=torch.bfloat16, enabled=fast_dtype() == torch.bfloat16)


def _with_adapter(base: Path, config: AdapterConfig) -> PeftModel:
    torch.manual_seed(config.loop.seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=fast_dtype()).to(device())
    lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules="all-linear")
    adapted = get_peft_model(model, lora)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted


def _hash(adapter: Path) -> str:
    return hashlib.sha256((adapter / "adapter_model.safetensors").read_bytes()).hexdigest()


def _take_weights(model: PeftModel, adapter: Path) -> None:
    """Raises ValueError when the adapter has other matrices than the model's."""
    taken = load_file(adapter / "adapter_model.safetensors")
    own = get_peft_model_state_dict(model)
    shapes = {name: weight.shape for name, weight in taken.items()}
    if shapes != {name: weight.shape for name, weight in own.items()}:
        message = f"the adapter in {adapter} has another shape: it cannot be trained on from there"
        raise ValueError(message)
    set_peft_model_state_dict(model, {name: weight.float() for name, weight in taken.items()})


def _padded(batch: list[Encoded], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, mask and targets, each batch x longest, padded on the right."""
    longest = max(len(example.ids) for example in batch)
    ids = torch.full((len(batch), longest), pad)
    mask = torch.zeros((len(batch), longest), dtype=torch.long)
    targets = torch.full((len(batch), longest), _NO_LOSS)
    for row, example in enumerate(batch):
        size = len(example.ids)
        ids[row, :size] = torch.tensor(example.ids)
        mask[row, :size] = 1
        targets[row, :size] = torch.tensor(example.targets)
    where = device()
    return ids.to(where), mask.to(where), targets.to(where)


def _save_adapter(model: Any, out: Path) -> None:
    """Saved in bfloat16: half the size, and what a LoRA delta needs."""
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    path = out / "adapter_model.safetensors"
    tensors = {key: value.to(torch.bfloat16) for key, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
