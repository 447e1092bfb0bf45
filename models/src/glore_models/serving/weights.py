"""Weights into weights: GGUF to a plain checkpoint, student merged, head attached.

The only file of this package that imports torch; `glore_models.serving.build` runs it in a
process of its own, so that the memory is given back. Everything is float32: what a CPU
serves fastest here and exactly.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from glore_models.serving.errors import ServingError
from glore_models.training.adapters import merge

LABELS = ("sorm", "orm")  # one column of the head each
_WEIGHTS = "model.safetensors"


def convert_gguf(gguf: Path, out: Path) -> None:
    """A checkpoint without the GGUF's quantization, and its tokenizer, in the folder `out`."""
    folder, name = str(gguf.parent), gguf.name
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    left_out = {"quantization_config", "_name_or_path", "architectures"}
    settings = {k: v for k, v in read.config.to_dict().items() if k not in left_out}
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.to(torch.float32).save_pretrained(out)
    AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(out)


def merge_student(base: Path, adapter: Path, out: Path) -> None:
    """The base with the student's adapter added to its weights, in the folder `out`."""
    merge(base, adapter, out)


def attach_head(student: Path, head: Path, out: Path) -> None:
    """The student as LlamaForTokenClassification with the head of `head`, in the folder `out`.

    `head` holds `score.weight`, labels x hidden size. Raises ServingError for another shape.
    """
    config = json.loads((student / "config.json").read_text(encoding="utf-8"))
    score = load_file(head)["score.weight"].to(torch.float32).contiguous()
    expected = (len(LABELS), int(config["hidden_size"]))
    if tuple(score.shape) != expected:
        raise ServingError(
            problem=f"{head} is {tuple(score.shape)}, the student needs {expected}.",
            way_out="Use a head that was trained on this student.",
        )
    config |= {
        "architectures": ["LlamaForTokenClassification"],
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "problem_type": "multi_label_classification",  # a sigmoid per column, no softmax
        "token_classification_bias": False,
    }
    shutil.copytree(student, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_WEIGHTS))
    tensors = load_file(student / _WEIGHTS)
    tensors.pop("lm_head.weight", None)
    save_file(tensors | {"score.weight": score}, out / _WEIGHTS, metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
