"""Step scores in process, as the pooling server gives them: for thresholds and tables."""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.training.adapters import device, encode_scores
from models.training.examples import ScoreExample


def score_steps(
    base: Path, adapter: Path, solutions: Sequence[tuple[str, tuple[str, ...]]]
) -> list[tuple[float, ...]]:
    """One score in 0..1 per step of each (question, steps), in order. Computed in float32."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).to(device())
    adapted = PeftModel.from_pretrained(model, adapter).eval()
    decoder = adapted.base_model.model.model
    weight = load_file(adapter / "head.safetensors")["score.weight"].to(device())
    scores = []
    with torch.inference_mode():
        for question, steps in solutions:
            example = ScoreExample(question, steps, (1,) * len(steps))
            encoded = encode_scores(tokenizer, example)
            ids = torch.tensor([encoded.ids], device=device())
            hidden = decoder(input_ids=ids, use_cache=False)[0][0]
            places = [i for i, target in enumerate(encoded.targets) if target == 1]
            chances = torch.sigmoid(hidden[places] @ weight[0])
            scores.append(tuple(float(chance) for chance in chances))
    return scores
