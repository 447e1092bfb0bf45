from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from glore_models.serving.bundle import Bundle
from glore_models.serving.errors import ServingError
from glore_models.serving.weights import attach_head, merge_student

WEIGHT = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def student(tiny_base: Path, toy_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("student")
    merge_student(tiny_base, toy_bundle.adapter("student"), out)
    return out


def test_the_student_is_base_plus_scaled_product(
    tiny_base: Path, toy_bundle: Bundle, student: Path
) -> None:
    adapter = load_file(toy_bundle.adapter("student") / "adapter_model.safetensors")
    stem = f"base_model.model.{WEIGHT.removesuffix('.weight')}"
    low, high = (adapter[f"{stem}.lora_{letter}.weight"].float() for letter in "AB")
    before = load_file(tiny_base / "model.safetensors")[WEIGHT].float()
    after = load_file(student / "model.safetensors")[WEIGHT]
    assert after.dtype == torch.float32
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, before + 2.0 * high @ low)


def test_the_scorer_is_the_student_under_the_head(
    student: Path, toy_bundle: Bundle, tmp_path: Path
) -> None:
    attach_head(student, toy_bundle.head, tmp_path)
    scorer = AutoModelForTokenClassification.from_pretrained(tmp_path, dtype=torch.float32)
    causal = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids = torch.tensor([tokenizer("1 + 1 = 2\n")["input_ids"]])
    with torch.no_grad():
        logits = scorer.eval()(ids).logits
        hidden = causal.model(ids)[0]
    head = load_file(toy_bundle.head)["score.weight"]
    torch.testing.assert_close(logits, hidden @ head.T)
    assert scorer.config.id2label == {0: "sorm", 1: "orm"}
    assert scorer.config.problem_type == "multi_label_classification"


def test_a_head_of_another_shape_is_refused(student: Path, tmp_path: Path) -> None:
    save_file({"score.weight": torch.zeros(1, 32)}, tmp_path / "head.safetensors")
    with pytest.raises(ServingError, match=r"\(1, 32\)"):
        attach_head(student, tmp_path / "head.safetensors", tmp_path / "out")
