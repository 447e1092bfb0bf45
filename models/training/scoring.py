"""Step scores in process, as the pooling server gives them: for thresholds and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from models.formats.prompts import student_prompt
from models.training.adapters import device, encode_scores
from models.training.examples import ScoreExample

_BATCH_TOKENS = 4096  # of solutions with the questions they follow, padding included


class StepScorer:
    """A reward model: an adapter on `base`, and one row of a head.

    `head` is a file with `score.weight` (rows x hidden size), by default the adapter's own;
    `row` says which of its rows. In float32 the scores are those of the pooling server; in
    bfloat16 they take half the time on a CPU with AVX512-BF16 (the head stays float32).
    """

    def __init__(
        self,
        base: Path,
        adapter: Path,
        *,
        head: Path | None = None,
        row: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        merged = PeftModel.from_pretrained(model, adapter).eval().merge_and_unload()
        self.decoder = merged.to(dtype).to(device()).model
        heads = load_file(head or adapter / "head.safetensors")
        self.weight = heads["score.weight"][row].to(device())

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        """One score in 0..1 per step of each (question, steps), in order; none for no steps.

        A question is computed once for the solutions that share a batch. Padding stands where
        nothing looks, so scores are those of one solution alone, to rounding.
        """
        places = [place for place, (_, steps) in enumerate(solutions) if steps]
        encoded = [self._encode(*solutions[place]) for place in places]
        scores: list[tuple[float, ...]] = [()] * len(solutions)
        for batch in _batches(encoded):
            found = self._score([encoded[each] for each in batch])
            for each, scored in zip(batch, found, strict=True):
                scores[places[each]] = scored
        return scores

    def _encode(self, question: str, steps: tuple[str, ...]) -> "_Encoded":
        whole = encode_scores(self.tokenizer, ScoreExample(question, steps, (1,) * len(steps)))
        asked = self.tokenizer(student_prompt(question), add_special_tokens=False)["input_ids"]
        ends = (place for place, target in enumerate(whole.targets) if target == 1)
        return _Encoded(
            question=tuple(asked),
            solution=whole.ids[len(asked) :],
            ends=tuple(place - len(asked) for place in ends),
        )

    @torch.inference_mode()
    def _score(self, batch: Sequence["_Encoded"]) -> list[tuple[float, ...]]:
        questions = list(dict.fromkeys(one.question for one in batch))
        cache: Any = DynamicCache(config=self.decoder.config)
        ids, _ = _padded(questions)
        self.decoder(input_ids=ids, past_key_values=cache)
        owner = torch.tensor([questions.index(one.question) for one in batch], device=device())
        for layer in cache.layers:  # each solution gets its question's keys and values
            layer.keys, layer.values = layer.keys[owner], layer.values[owner]
        asked = torch.tensor([[len(one.question)] for one in batch], device=device())
        place = torch.arange(ids.shape[1], device=device())
        ids, seen = _padded([one.solution for one in batch])
        hidden = self.decoder(
            input_ids=ids,
            attention_mask=torch.cat([place < asked, seen], -1).long(),
            position_ids=asked + torch.arange(ids.shape[1], device=device()),
            past_key_values=cache,
        ).last_hidden_state
        return [
            tuple(torch.sigmoid(hidden[row, list(one.ends)].float() @ self.weight).tolist())
            for row, one in enumerate(batch)
        ]


def score_steps(
    base: Path, adapter: Path, solutions: Sequence[tuple[str, tuple[str, ...]]]
) -> list[tuple[float, ...]]:
    """One score in 0..1 per step of each (question, steps), in order. Computed in float32."""
    return StepScorer(base, adapter).score(solutions)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A question, a solution of it, and where in the latter the steps end."""

    question: tuple[int, ...]
    solution: tuple[int, ...]
    ends: tuple[int, ...]


def _batches(encoded: Sequence[_Encoded]) -> list[list[int]]:
    """The places of the solutions, one question's together, at most so many tokens a batch."""
    made: list[list[int]] = []
    longest: tuple[int, int] = (0, 0)
    order = sorted(
        range(len(encoded)),
        key=lambda place: (len(encoded[place].question), encoded[place].question),
    )
    for place in order:
        one = encoded[place]
        grown = (max(longest[0], len(one.question)), max(longest[1], len(one.solution)))
        if not made or (len(made[-1]) + 1) * sum(grown) > _BATCH_TOKENS:
            made.append([])
            grown = (len(one.question), len(one.solution))
        made[-1].append(place)
        longest = grown
    return made


def _padded(rows: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded on the right, and where they are; rows x longest."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    seen = torch.zeros((len(rows), longest), dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        seen[place, : len(row)] = True
    return ids.to(device()), seen.to(device())
