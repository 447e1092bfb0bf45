"""Step scores in process, as the pooling server gives them: for thresholds and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from glore.formats.prompts import student_prompt
from glore_models.data.examples import ScoreExample
from glore_models.training.adapters import encode_scores
from glore_models.training.precision import device

_BATCH_TOKENS = {"cpu": 4096, "cuda": 32_768}  # padding included
_PACK_TOKENS = 512  # a question and its solutions; a single solution may be longer


def solutions_at_a_time() -> int:
    """How many solutions make some full batches where this runs."""
    return {"cpu": 64, "cuda": 1024}[device().type]


class LocalStepScorer:
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

        A question is computed once for its solutions: they follow it one after the other, and
        none looks at another. So scores are those of one solution alone, to rounding.
        """
        encoded = {
            index: self._encode(question, steps)
            for index, (question, steps) in enumerate(solutions)
            if steps
        }
        scores: list[tuple[float, ...]] = [()] * len(solutions)
        for batch in _batches(_packs(encoded)):
            for index, scored in self._score(batch, encoded).items():
                scores[index] = scored
        return scores

    def _encode(self, question: str, steps: tuple[str, ...]) -> "_Encoded":
        whole = encode_scores(self.tokenizer, ScoreExample(question, steps, (1,) * len(steps)))
        prompt = self.tokenizer(student_prompt(question), add_special_tokens=False)["input_ids"]
        ends = (index for index, target in enumerate(whole.targets) if target == 1)
        return _Encoded(
            question=tuple(prompt),
            solution=whole.ids[len(prompt) :],
            ends=tuple(index - len(prompt) for index in ends),
        )

    @torch.inference_mode()
    def _score(
        self, batch: Sequence["_Pack"], encoded: Mapping[int, "_Encoded"]
    ) -> dict[int, tuple[float, ...]]:
        """The scores of the solutions in a batch, by place."""
        longest = max(pack.length for pack in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        position = torch.zeros_like(ids)
        part = torch.full_like(ids, -1)  # 0: question, 1, 2, ...: solutions, -1: padding
        ends: dict[int, tuple[int, list[int]]] = {}
        for row, pack in enumerate(batch):
            prompt = encoded[pack.places[0]].question
            texts = [prompt, *(encoded[index].solution for index in pack.places)]
            start = 0
            for number, text in enumerate(texts):
                after = slice(start, start + len(text))
                ids[row, after] = torch.tensor(text)
                position[row, after] = torch.arange(len(text)) + (len(prompt) if number else 0)
                part[row, after] = number
                if number:
                    index = pack.places[number - 1]
                    ends[index] = (row, [start + end for end in encoded[index].ends])
                start = after.stop
        ids, position, part = (each.to(device()) for each in (ids, position, part))
        before = torch.ones(longest, longest, dtype=torch.bool, device=device()).tril()
        related = (part[:, None, :] == part[:, :, None]) | (part == 0)[:, None, :]
        hidden = self.decoder(
            input_ids=ids,
            attention_mask=(before & related)[:, None],  # rows x 1 x looking x looked at
            position_ids=position,
            use_cache=False,
        ).last_hidden_state
        return {
            index: tuple(torch.sigmoid(hidden[row, at].float() @ self.weight).tolist())
            for index, (row, at) in ends.items()
        }


def score_steps(
    base: Path, adapter: Path, solutions: Sequence[tuple[str, tuple[str, ...]]]
) -> list[tuple[float, ...]]:
    """One score in 0..1 per step of each (question, steps), in order. Computed in float32."""
    return LocalStepScorer(base, adapter).score(solutions)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A question, a solution of it, and where in the latter the steps end."""

    question: tuple[int, ...]
    solution: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Pack:
    """A question with some of its solutions, by place; `length` in tokens, all together."""

    places: tuple[int, ...]
    length: int


def _packs(encoded: Mapping[int, _Encoded]) -> list[_Pack]:
    """Each question with its solutions, in several packs if those are many."""
    packs: dict[tuple[int, ...], list[_Pack]] = {}
    for index, one in encoded.items():
        packed = packs.setdefault(one.question, [])
        if not packed or packed[-1].length + len(one.solution) > _PACK_TOKENS:
            packed.append(_Pack((), len(one.question)))
        last = packed[-1]
        packed[-1] = _Pack((*last.places, index), last.length + len(one.solution))
    return [pack for packed in packs.values() for pack in packed]


def _batches(packs: Sequence[_Pack]) -> list[list[_Pack]]:
    """Packs of about one length together."""
    limit = _BATCH_TOKENS[device().type]
    packed: list[list[_Pack]] = []
    for pack in sorted(packs, key=lambda pack: pack.length):
        if not packed or (len(packed[-1]) + 1) * pack.length > limit:
            packed.append([])
        packed[-1].append(pack)
    return packed
