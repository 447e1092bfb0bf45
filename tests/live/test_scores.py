"""The pooling server gives what the adapters and the head give in transformers."""

import httpx2
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from glore_models.serving.bundle import chosen_bundle
from glore_models.serving.cache import default_cache
from glore_models.serving.engines import STEP_TAG

from .conftest import Service

TEXTS = (
    "Question: Tom has 3 boxes of 12 pens. How many pens?\nSolution:\n3 * 12 = 36\n#### 36\n",
    "Question: What is 2 + 3?\nSolution:\n2 + 3 = 6\n#### 6\n",
)


def in_transformers(role: str, text: str) -> list[list[float]]:
    """Sigmoid scores at newlines: rows of two columns."""
    student = default_cache() / "student"
    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(model, chosen_bundle().adapter(role)).eval()
    head = load_file(chosen_bundle().head)["score.weight"]
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = adapted.base_model.model.model(ids)[0][0]
    rows: list[list[float]] = torch.sigmoid(hidden @ head.T)[ids[0] == STEP_TAG].tolist()
    return rows


@pytest.mark.parametrize("role", ["sorm", "orm"])
def test_scores_agree_for_a_batch(service: Service, role: str) -> None:
    body = {"model": role, "input": list(TEXTS), "task": "token_classify"}
    response = httpx2.post(f"{service.scoring}/pooling", json=body, timeout=600)
    assert response.status_code == 200
    for text, item in zip(TEXTS, response.json()["data"], strict=True):
        assert len(item["data"]) == text.count("\n")
        for row, expected in zip(item["data"], in_transformers(role, text), strict=True):
            assert row == pytest.approx(expected, abs=2e-3)
