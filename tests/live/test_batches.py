"""What one request gets does not depend on whose requests share its batch.

Texts are the same to the letter in float32. In bfloat16 another batch may round a close choice the
other way, so log-probabilities are compared: they move less than from one adapter to the next.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import pytest

from glore.formats.prompts import student_prompt
from glore_models.serving.engines import generation_dtype

from .conftest import Service
from .test_solve import QUESTION

MODELS = ("student", "global_refiner", "local_refiner")
SOLUTION = "Tom has 3 x 12 = 36 pens.\nSo, there are 36 - 7 = 29 pens left.\n#### 29"
FARTHEST = 0.04 if generation_dtype() == "bfloat16" else 0.001  # on average over the tokens


def first_choice(service: Service, body: dict[str, object]) -> Any:
    with service.client() as client:
        response = client.post(f"{service.generation}/v1/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]


def complete(service: Service, model: str) -> str:
    """24 greedy tokens of one model of the generation server, whatever it would rather say."""
    body = {
        "model": model,
        "prompt": student_prompt(QUESTION),
        "temperature": 0,
        "max_tokens": 24,
        "ignore_eos": True,
    }
    text: str = first_choice(service, body)["text"]
    return text


def log_probabilities(service: Service, model: str) -> list[float]:
    """Of each token of one text but the first, by one model."""
    body = {
        "model": model,
        "prompt": student_prompt(QUESTION) + SOLUTION,
        "echo": True,
        "logprobs": 0,
        "max_tokens": 0,
    }
    values: list[float] = first_choice(service, body)["logprobs"]["token_logprobs"][1:]
    return values


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


@pytest.mark.skipif(generation_dtype() != "float32", reason="bfloat16 rounds close choices")
def test_a_draft_is_the_same_beside_refinements(service: Service) -> None:
    alone = {model: complete(service, model) for model in MODELS}
    requested = MODELS * 3
    with ThreadPoolExecutor(len(requested)) as pool:
        together = list(pool.map(lambda model: complete(service, model), requested))
    assert together == [alone[model] for model in requested]


def test_no_model_is_mixed_up_with_those_beside_it(service: Service) -> None:
    alone = {model: log_probabilities(service, model) for model in MODELS}
    for one, other in combinations(alone.values(), 2):
        assert distance(one, other) > 2 * FARTHEST
    requested = MODELS * 3
    with ThreadPoolExecutor(len(requested)) as pool:
        for _ in range(3):
            together = list(pool.map(lambda model: log_probabilities(service, model), requested))
            for model, found in zip(requested, together, strict=True):
                assert distance(found, alone[model]) < FARTHEST
