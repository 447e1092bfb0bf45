"""One loop for every adapter: batches in, loss out, checkpoints it can resume from."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from glore_models.training.batching import Encoded, batches

_CHECKPOINT_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How long and how fast.

    `batch_tokens` counts padding; `rate` is AdamW's peak rate, reached after `warmup` (a
    share of all steps) and falling linearly to a tenth.
    """

    epochs: int = 1
    batch_tokens: int = 2048
    rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class LoopReport:
    """What a run of the loop did. `losses` are (step, mean loss since the last entry)."""

    examples: int
    tokens: int
    steps: int
    seconds: float
    losses: tuple[tuple[int, float], ...]


def train(
    model: nn.Module,
    examples: Sequence[Encoded],
    loss_of: Callable[[list[Encoded]], torch.Tensor],
    config: LoopConfig,
    *,
    checkpoint: Path,
    name: str,
    begun: Sequence[object] = (),
    after_step: Callable[[int], None] = lambda _tokens: None,
) -> LoopReport:
    """Train the parameters of `model` that require a gradient; resume from `checkpoint`.

    `loss_of(batch)` gives a scalar. The checkpoint holds weights, optimiser and place, and is
    written every four minutes. One that was made with another configuration, on other examples
    or for a model that had `begun` otherwise (plain values: its rank, say) is a ValueError.
    `after_step` gets the number of tokens trained on so far.
    """
    torch.manual_seed(config.seed)
    plan = [
        batch
        for epoch in range(config.epochs)
        for batch in batches(examples, config.batch_tokens, config.seed, epoch)
    ]
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(
        trained.values(), lr=config.rate, weight_decay=config.weight_decay, betas=(0.9, 0.99)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _schedule(config, len(plan)))
    done, seconds_before, tokens = 0, 0.0, 0
    losses: list[tuple[int, float]] = []
    identity = json.dumps([asdict(config), _hash(examples), *begun])
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if saved["identity"] != identity:
            message = (
                f"{checkpoint} was made with another configuration or on other examples; "
                "delete it to start anew"
            )
            raise ValueError(message)
        for key, value in saved["weights"].items():
            trained[key].data.copy_(value)
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        done, seconds_before, tokens = saved["done"], saved["seconds"], saved["tokens"]
        losses = [(int(step), float(loss)) for step, loss in saved["losses"]]
    model.train()
    started = time.monotonic() - seconds_before
    last_save = time.monotonic()
    recent: list[float] = []
    with tqdm(total=len(plan), initial=done, desc=name, unit="step", mininterval=10) as bar:
        for step in range(done, len(plan)):
            loss = loss_of(plan[step])
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained.values(), config.clip)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            schedule.step()
            tokens += sum(len(example.ids) for example in plan[step])
            recent.append(float(loss.detach()))
            after_step(tokens)
            bar.update()
            if len(recent) == 20 or step + 1 == len(plan):  # noqa: PLR2004
                losses.append((step + 1, sum(recent) / len(recent)))
                bar.set_postfix(loss=f"{losses[-1][1]:.3f}", tokens=tokens)
                recent = []
                if time.monotonic() - last_save > _CHECKPOINT_SECONDS:
                    _save(
                        checkpoint,
                        identity=identity,
                        weights={n: p.detach() for n, p in trained.items()},
                        optimiser=optimiser.state_dict(),
                        schedule=schedule.state_dict(),
                        done=step + 1,
                        seconds=time.monotonic() - started,
                        tokens=tokens,
                        losses=[list(entry) for entry in losses],
                    )
                    last_save = time.monotonic()
    model.eval()
    return LoopReport(len(examples), tokens, len(plan), time.monotonic() - started, tuple(losses))


def _hash(examples: Sequence[Encoded]) -> str:
    """SHA-256 of all token ids and targets, in order."""
    seen = hashlib.sha256()
    for example in examples:
        seen.update(json.dumps([example.ids, example.targets]).encode())
    return seen.hexdigest()


def _schedule(config: LoopConfig, steps: int) -> Callable[[int], float]:
    warm = max(1, round(config.warmup * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 1.0 - 0.9 * (step - warm) / max(1, steps - warm)

    return factor


def _save(path: Path, **state: object) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
