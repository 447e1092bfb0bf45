"""Sampling in process with transformers: for machines without vLLM.

What transformers' own `generate` does twice is done once here: a prompt is computed once for
all its rollouts, and not at all when a longer prompt of the same call begins with it; its keys
and values are kept once for all of them (`shared`); finished rows leave the batch; and a token
is drawn with one random number per row, not one per word of the vocabulary.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from glore_models.sampling.port import Rollout, StreamingSampler
from glore_models.sampling.prefixes import Family, families
from glore_models.sampling.shared import ATTENTION, SharedCache, register
from glore_models.training.precision import device, fast_dtype

# Of all prompts at a time, padding included: with 135M parameters 1 to 2 GB of keys and values,
# on a GPU 10 times that.
_PROMPT_TOKENS = {"cpu": 40_000, "cuda": 600_000}
_ROWS = {"cpu": 512, "cuda": 4096}  # on a GPU, what a step costs hardly depends on the rows
_READ_TOGETHER = {"cpu": 32, "cuda": 128}  # prompts, in order of length
# Keys and values of some prompts per layer, and the logits after each.
_Read: TypeAlias = tuple[list[tuple[torch.Tensor, torch.Tensor]], torch.Tensor]


def rows_at_a_time() -> int:
    """How many rollouts are drawn at a time here, unless a sampler names another number."""
    return _ROWS[device().type]


class LocalSampler(StreamingSampler):
    """A causal model on the CPU or an accelerator, drawing up to `rows` rollouts at a time.

    Many rows, because a batch lasts as long as its longest rollout: most are done long before.
    """

    def __init__(
        self, model: Path, *, seed: int, rows: int | None = None, adapter: Path | None = None
    ) -> None:
        """Loads `model` in `fast_dtype`, with the LoRA `adapter` added to its weights.

        `seed` fixes the draws on one machine.
        """
        register()
        self.device = device()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        loaded = AutoModelForCausalLM.from_pretrained(
            model, dtype=torch.float32, attn_implementation=ATTENTION
        )
        if adapter is not None:
            from peft import PeftModel

            loaded = PeftModel.from_pretrained(loaded, adapter).merge_and_unload()
        self.model = loaded.to(fast_dtype()).to(self.device).eval()
        self.rows = rows or rows_at_a_time()
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def stream(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """The place of each prompt and its rollouts, batch by batch: the shortest prompts first."""
        if not prompts:
            return
        encoded: list[list[int]] = self.tokenizer(list(prompts), add_special_tokens=False)[
            "input_ids"
        ]
        batch: list[Family] = []
        for family in sorted(families(encoded), key=lambda family: len(family.ids)):
            if batch and not self._fit([*batch, family], n):
                yield from self._batch(batch, encoded, n, temperature, max_tokens)
                batch = []
            batch.append(family)
        yield from self._batch(batch, encoded, n, temperature, max_tokens)

    def _fit(self, batch: Sequence[Family], n: int) -> bool:
        """Whether so many rollouts are drawn at a time; the last family is the longest."""
        prompts = sum(len(family.members) for family in batch)
        tokens = prompts * len(batch[-1].ids)
        return n * prompts <= self.rows and tokens <= _PROMPT_TOKENS[self.device.type]

    @torch.inference_mode()
    def _batch(
        self,
        batch: Sequence[Family],
        encoded: Sequence[list[int]],
        n: int,
        temperature: float,
        max_tokens: int,
    ) -> list[tuple[int, list[Rollout]]]:
        """Draws the rollouts of all members of the families: each member's place, and its own."""
        places = [member for family in batch for member in family.members]
        lengths = torch.tensor([len(encoded[place]) for place in places], device=self.device)
        prompts, seen, logits = self._read(batch, lengths)
        owner = torch.arange(len(places), device=self.device).repeat_interleave(n)
        cache: Any = SharedCache(prompts, seen, owner)
        logits, position = logits.repeat_interleave(n, 0), lengths.repeat_interleave(n, 0)
        tokens: list[list[int]] = [[] for _ in owner]
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
                cache.keep(chosen)
                position, drawn = position[chosen], drawn[chosen]
                rows = [rows[row] for row in keep]
            out = self.model(
                input_ids=drawn[:, None],
                attention_mask=drawn[:, None, None, None],  # 4 dimensions: no mask is made
                position_ids=position[:, None],
                past_key_values=cache,
                shared_cache=cache,
            )
            position = position + 1
            logits = out.logits[:, -1]
        rollouts = [
            Rollout(text, done, len(ids))
            for text, ids, done in zip(
                self.tokenizer.batch_decode(tokens), tokens, finished, strict=True
            )
        ]
        return [(place, rollouts[at * n : (at + 1) * n]) for at, place in enumerate(places)]

    def _read(
        self, batch: Sequence[Family], lengths: torch.Tensor
    ) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], torch.Tensor, torch.Tensor]:
        """Each family's longest prompt once; keys and values of its members are cut from it.

        `lengths` are those of the members in order. Returns keys and values per layer (members
        x groups x longest x size, padded on the left), where they are (members x longest), and
        the logits after each member (members x vocabulary).
        """
        longest = int(lengths.max())
        read: list[_Read] = []
        first = 0
        together = _READ_TOGETHER[self.device.type]
        for start in range(0, len(batch), together):
            part = batch[start : start + together]
            members = sum(len(family.members) for family in part)
            read.append(self._read_part(part, lengths[first : first + members], longest))
            first += members
        layers = [
            (torch.cat([keys for keys, _ in layer]), torch.cat([values for _, values in layer]))
            for layer in zip(*(cut_out for cut_out, _ in read), strict=True)
        ]
        place = torch.arange(longest, device=self.device)
        seen = place >= longest - lengths[:, None]
        return layers, seen, torch.cat([logits for _, logits in read])

    def _read_part(self, part: Sequence[Family], lengths: torch.Tensor, longest: int) -> _Read:
        """Families of about one length, so that little of what is computed is padding."""
        widest = max(len(family.ids) for family in part)
        padding = self.tokenizer.eos_token_id
        ids = [[*family.ids, *[padding] * (widest - len(family.ids))] for family in part]
        cache: Any = DynamicCache(config=self.model.config)
        hidden = self.model.get_decoder()(  # what stands on the right is not looked at
            input_ids=torch.tensor(ids, device=self.device), past_key_values=cache
        ).last_hidden_state
        owner = torch.tensor(
            [row for row, family in enumerate(part) for _ in family.members], device=self.device
        )
        logits = self.model.get_output_embeddings()(hidden[owner, lengths - 1])
        place = torch.arange(longest, device=self.device) - (longest - lengths)[:, None]
        source = place.clamp(min=0)[:, None, :, None]

        def cut(states: torch.Tensor) -> torch.Tensor:
            wanted = source.expand(-1, states.shape[1], -1, states.shape[3])
            return states[owner].gather(2, wanted)

        return [(cut(layer.keys), cut(layer.values)) for layer in cache.layers], logits

    def _draw(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        """One token per row by inversion: the first whose cumulated chance exceeds a draw."""
        if temperature == 0.0:
            return logits.argmax(-1)
        cumulated = torch.softmax(logits.float() / temperature, -1).cumsum(-1)
        draw = torch.rand(len(logits), 1, device=self.device, generator=self.generator)
        # the sum of all chances is not exactly 1
        found = torch.searchsorted(cumulated, draw * cumulated[:, -1:], right=True)
        return found[:, 0].clamp(max=logits.shape[-1] - 1)
