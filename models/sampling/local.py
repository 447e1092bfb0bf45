"""Sampling in process with transformers: for machines without vLLM.

What transformers' own `generate` does twice is done once here: a prompt is computed once for
all its rollouts, and not at all when a longer prompt of the same call begins with it; the
query heads of a group share one copy of keys and values; finished rows leave the batch; and a
token is drawn with one random number per row, not one per word of the vocabulary.
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
from models.sampling.prefixes import Family, families

_ATTENTION = "glore_grouped"


class LocalSampler:
    """A causal model on the CPU or an accelerator, drawing up to `rows` rollouts at a time."""

    def __init__(
        self, model: Path, *, seed: int, rows: int = 128, adapter: Path | None = None
    ) -> None:
        """Loads `model` in bfloat16, with the LoRA `adapter` added to its weights.

        `seed` fixes the draws on one machine.
        """
        _register()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        loaded = AutoModelForCausalLM.from_pretrained(
            model, dtype=torch.float32, attn_implementation=_ATTENTION
        )
        if adapter is not None:
            from peft import PeftModel  # noqa: PLC0415 - only where there is an adapter

            loaded = PeftModel.from_pretrained(loaded, adapter).merge_and_unload()
        self.model = loaded.to(torch.bfloat16).to(self.device).eval()
        self.rows = rows
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        """`n` rollouts for each prompt, in order; temperature 0 is greedy."""
        encoded: list[list[int]] = self.tokenizer(list(prompts), add_special_tokens=False)[
            "input_ids"
        ]
        results: list[list[Rollout]] = [[] for _ in prompts]
        batch: list[Family] = []
        waiting = sorted(families(encoded), key=lambda family: len(family.ids))
        for family in waiting:
            if batch and n * sum(len(f.members) for f in [*batch, family]) > self.rows:
                self._batch(batch, encoded, results, n, temperature, max_tokens)
                batch = []
            batch.append(family)
        if batch:
            self._batch(batch, encoded, results, n, temperature, max_tokens)
        return results

    @torch.inference_mode()
    def _batch(  # noqa: PLR0913 - one step of `sample`
        self,
        batch: Sequence[Family],
        encoded: Sequence[list[int]],
        results: list[list[Rollout]],
        n: int,
        temperature: float,
        max_tokens: int,
    ) -> None:
        """Draws the rollouts of all members of the families and puts them into `results`."""
        places = [member for family in batch for member in family.members]
        cache, logits, mask = self._read(batch, [len(encoded[place]) for place in places])
        cache.batch_repeat_interleave(n)
        logits, mask = logits.repeat_interleave(n, 0), mask.repeat_interleave(n, 0)
        position = mask.sum(-1) - 1
        tokens: list[list[int]] = [[] for _ in range(len(places) * n)]
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
        for row, (ids, done) in enumerate(zip(tokens, finished, strict=True)):
            rollout = Rollout(self.tokenizer.decode(ids), done, len(ids))
            results[places[row // n]].append(rollout)

    def _read(
        self, batch: Sequence[Family], lengths: Sequence[int]
    ) -> tuple[Any, torch.Tensor, torch.Tensor]:
        """Each family's longest prompt once; keys and values of its members are cut from it.

        `lengths` are those of the members in order. Returns the cache (members x groups x
        longest x size, padded on the left), the logits after each member (members x
        vocabulary) and the mask (members x longest).
        """
        longest = max(len(family.ids) for family in batch)
        padding = self.tokenizer.eos_token_id
        ids = [[*family.ids, *[padding] * (longest - len(family.ids))] for family in batch]
        seen = [[1] * len(family.ids) + [0] * (longest - len(family.ids)) for family in batch]
        cache: Any = DynamicCache(config=self.model.config)
        hidden = self.model.get_decoder()(
            input_ids=torch.tensor(ids, device=self.device),
            attention_mask=torch.tensor(seen, device=self.device),
            past_key_values=cache,
        ).last_hidden_state
        owner = torch.tensor(
            [row for row, family in enumerate(batch) for _ in family.members], device=self.device
        )
        length = torch.tensor(lengths, device=self.device)
        logits = self.model.get_output_embeddings()(hidden[owner, length - 1])
        place = (
            torch.arange(int(length.max()), device=self.device) - (length.max() - length)[:, None]
        )
        source = place.clamp(min=0)[:, None, :, None]
        for layer in cache.layers:
            layer.keys, layer.values = (
                states[owner].gather(2, source.expand(-1, states.shape[1], -1, states.shape[3]))
                for states in (layer.keys, layer.values)
            )
        return cache, logits, (place >= 0).long()

    def _draw(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        """One token per row by inversion: the first whose cumulated chance exceeds a draw."""
        if temperature == 0.0:
            return logits.argmax(-1)
        cumulated = torch.softmax(logits.float() / temperature, -1).cumsum(-1)
        draw = torch.rand(len(logits), 1, device=self.device, generator=self.generator)
        # the sum of all chances is not exactly 1
        found = torch.searchsorted(cumulated, draw * cumulated[:, -1:], right=True)
        return found[:, 0].clamp(max=logits.shape[-1] - 1)


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
