"""Attention of many rollouts over few prompts: keys and values of a prompt are kept once.

With a plain cache every rollout has a copy of its prompt's keys and values, which is read, and by
`torch.cat` copied, for every token. Here the part of attention that looks at the prompt is
computed for all rollouts of a prompt together and merged with the part that looks at each
rollout's own text, by their largest scores and sums (as in Hydragen, Juravsky et al. 2024).
"""

from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

ATTENTION = "glore_shared_prompts"
_ROOM = 32  # tokens by which the room for rollouts grows


class SharedCache:
    """What transformers' models ask of a cache, for rollouts that go on from prompts.

    `prompts`: per layer, keys and values, each prompts x groups x longest x size, padded on
    the left; `seen`: prompts x longest, where they are. `owner`: rows, the prompt of each.
    """

    def __init__(
        self,
        prompts: list[tuple[torch.Tensor, torch.Tensor]],
        seen: torch.Tensor,
        owner: torch.Tensor,
    ) -> None:
        self.prompts = prompts
        self.hidden = ~seen[:, None, None, :]  # prompts x 1 x 1 x longest
        self.length = 0  # tokens of each rollout so far
        self._own: list[tuple[torch.Tensor, torch.Tensor]] = []
        rows = len(owner)
        for keys, _ in prompts:
            empty = keys.new_empty((rows, keys.shape[1], 0, keys.shape[3]))
            self._own.append((empty, empty))
        self._arrange(owner)

    def _arrange(self, owner: torch.Tensor) -> None:
        """Prompts x places of their rows; `spot` is each row's place in that grid."""
        self.owner = owner
        counts = torch.bincount(owner, minlength=len(self.hidden))
        order = torch.argsort(owner, stable=True)
        first = counts.cumsum(0) - counts
        place = torch.empty_like(owner)
        place[order] = torch.arange(len(owner), device=owner.device) - first[owner[order]]
        most = int(counts.max())
        self.grid = torch.zeros((len(counts), most), dtype=torch.long, device=owner.device)
        self.grid[owner, place] = torch.arange(len(owner), device=owner.device)
        self.spot = owner * most + place

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone; prompts of which none is left go when they are many."""
        self._own = [(keys[rows], values[rows]) for keys, values in self._own]
        owner = self.owner[rows]
        left = torch.unique(owner)
        if 2 * len(left) <= len(self.hidden):
            self.prompts = [(keys[left], values[left]) for keys, values in self.prompts]
            self.hidden = self.hidden[left]
            owner = torch.searchsorted(left, owner)
        self._arrange(owner)

    def update(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        layer_idx: int,
        *_: object,
        **__: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The rollouts' own keys and values, the new ones (rows x groups x 1 x size) last."""
        if layer_idx == 0:
            self.length += 1
        own_keys, own_values = self._own[layer_idx]
        if own_keys.shape[2] < self.length:
            own_keys, own_values = (
                functional.pad(own, (0, 0, 0, _ROOM)) for own in (own_keys, own_values)
            )
            self._own[layer_idx] = (own_keys, own_values)
        own_keys[:, :, self.length - 1] = keys[:, :, 0]
        own_values[:, :, self.length - 1] = values[:, :, 0]
        return own_keys[:, :, : self.length], own_values[:, :, : self.length]

    def attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, layer: int, by: float
    ) -> torch.Tensor:
        """Attention of one new token per row over its prompt and its own text.

        query: rows x heads x 1 x size; keys, values: rows x groups x length x size, the
        rollouts' own. Scores are multiplied by `by`. Gives rows x 1 x heads x size.
        """
        rows, heads, _, size = query.shape
        groups = keys.shape[1]
        each = heads // groups  # query heads that share keys and values
        shared = query.reshape(rows, groups, each, size)
        prompt_keys, prompt_values = self.prompts[layer]
        prompts, most = self.grid.shape
        together = shared[self.grid].transpose(1, 2).reshape(prompts, groups, most * each, size)
        theirs = _part(together, prompt_keys, prompt_values, by, self.hidden)
        largest, total, mixed = (
            part.reshape(prompts, groups, most, each, -1)
            .transpose(1, 2)
            .reshape(prompts * most, groups, each, -1)[self.spot]
            for part in theirs
        )
        own_largest, own_total, own_mixed = _part(shared, keys, values, by, None)
        top = torch.maximum(largest, own_largest)
        weight, own_weight = (largest - top).exp(), (own_largest - top).exp()
        result = (mixed * weight + own_mixed * own_weight) / (
            total * weight + own_total * own_weight
        )
        return result.to(query.dtype).reshape(rows, 1, heads, size)

    def get_seq_length(self, *_: object) -> int:
        """Tokens of each rollout so far; positions are given, so nothing depends on it."""
        return self.length


def _part(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    by: float,
    hidden: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Attention over some of the keys: the largest score, the sum, and the unscaled mix."""
    scores = torch.matmul(query, keys.transpose(2, 3)).float() * by
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    largest = scores.amax(-1, keepdim=True)
    weights = (scores - largest).exp()
    mixed = torch.matmul(weights.to(values.dtype), values).float()
    return largest, weights.sum(-1, keepdim=True), mixed


def register() -> None:
    """Make `ATTENTION` known to transformers."""
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float = 1.0,
    dropout: float = 0.0,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """With `shared_cache` among the model's arguments its attention, else PyTorch's own."""
    shared: SharedCache | None = more.pop("shared_cache", None)
    if shared is not None:
        return shared.attend(query, key, value, module.layer_idx, scaling), None
    result, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **more
    )
    return result, None
