"""Sampling in process with transformers: for machines without vLLM.

transformers' own `generate` copies keys and values once per query head and keeps finished
rows in the batch; here the three query heads of a group share one copy, finished rows
leave, and a prompt is computed once for all its rollouts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from models.sampling.port import Rollout

_ATTENTION = "glore_grouped"


class LocalSampler:
    """A causal model on the CPU or an accelerator, drawing up to `rows` rollouts at a time."""

    def __init__(self, model: Path, *, seed: int, rows: int = 128) -> None:
        """Loads `model` in bfloat16. `seed` fixes the draws on one machine."""
        _register()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(
            model, dtype=torch.bfloat16, attn_implementation=_ATTENTION
        ).to(self.device)
        self.model.eval()
        self.rows = rows
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        """`n` rollouts for each prompt, in order; temperature 0 is greedy."""
        lengths = [len(prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lengths.__getitem__)
        results: list[list[Rollout]] = [[] for _ in prompts]
        at_once = max(1, self.rows // n)
        for start in range(0, len(order), at_once):
            places = order[start : start + at_once]
            texts = [prompts[place] for place in places]
            drawn = self._batch(texts, n, temperature, max_tokens)
            for row, rollout in enumerate(drawn):
                results[places[row // n]].append(rollout)
        return results

    @torch.inference_mode()
    def _batch(
        self, prompts: list[str], n: int, temperature: float, max_tokens: int
    ) -> list[Rollout]:
        encoded = self.tokenizer(
            prompts, return_tensors="pt", padding=True, add_special_tokens=False
        ).to(self.device)
        mask: torch.Tensor = encoded["attention_mask"]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache: Any = DynamicCache(config=self.model.config)
        out = self.model(
            input_ids=encoded["input_ids"],
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            logits_to_keep=1,
        )
        cache.batch_repeat_interleave(n)
        mask = mask.repeat_interleave(n, 0)
        position = positions[:, -1].repeat_interleave(n)
        logits = out.logits[:, -1].repeat_interleave(n, 0)
        tokens: list[list[int]] = [[] for _ in range(len(prompts) * n)]
        finished = [False] * len(tokens)
        rows = list(range(len(tokens)))  # which rollout stands in each row of the batch
        for _ in range(max_tokens):
            drawn = self._draw(logits, temperature)
            keep: list[int] = []
            for row, token in enumerate(drawn.tolist()):
                if token == self.tokenizer.eos_token_id:
                    finished[rows[row]] = True
                else:
                    tokens[rows[row]].append(token)
                    keep.append(row)
            if not keep:
                break
            if len(keep) < len(rows):
                chosen = torch.tensor(keep, device=self.device)
                cache.batch_select_indices(chosen)
                mask, position, drawn = mask[chosen], position[chosen], drawn[chosen]
                rows = [rows[row] for row in keep]
            mask = functional.pad(mask, (0, 1), value=1)
            position = position + 1
            out = self.model(
                input_ids=drawn[:, None],
                attention_mask=mask,
                position_ids=position[:, None],
                past_key_values=cache,
            )
            logits = out.logits[:, -1]
        return [
            Rollout(self.tokenizer.decode(ids), done, len(ids))
            for ids, done in zip(tokens, finished, strict=True)
        ]

    def _draw(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        if temperature == 0.0:
            return logits.argmax(-1)
        chances = torch.softmax(logits.float() / temperature, -1)
        return torch.multinomial(chances, 1, generator=self.generator)[:, 0]


def _register() -> None:
    AttentionInterface.register(_ATTENTION, _grouped)
    AttentionMaskInterface.register(_ATTENTION, sdpa_mask)


def _grouped(  # noqa: PLR0913 - the shape transformers' attention interface asks for
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float = 1.0,
    dropout: float = 0.0,
    **more: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, None]:
    """Grouped-query attention for one new token per row, without repeating keys and values.

    query: rows x heads x 1 x size; key, value: rows x groups x length x size. Longer
    queries (prompts) go to PyTorch's own attention.
    """
    rows, heads, length, size = query.shape
    if length > 1:
        result, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **more
        )
        return result, None
    groups = key.shape[1]
    shared = query.reshape(rows, groups, heads // groups, size)
    scores = torch.matmul(shared, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        visible = attention_mask[:, :, :, : key.shape[2]]
        scores = (
            scores.masked_fill(~visible, float("-inf"))
            if visible.dtype == torch.bool
            else scores + visible
        )
    weights = torch.softmax(scores.float(), -1).to(query.dtype)
    return torch.matmul(weights, value).reshape(rows, 1, heads, size), None
