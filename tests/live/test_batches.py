"""What one request gets does not depend on whose requests share its batch."""

from concurrent.futures import ThreadPoolExecutor

from glore.formats.prompts import student_prompt

from .conftest import Service
from .test_solve import QUESTION


def complete(service: Service, model: str) -> str:
    """24 greedy tokens of one model of the generation server, whatever it would rather say."""
    body = {
        "model": model,
        "prompt": student_prompt(QUESTION),
        "temperature": 0,
        "max_tokens": 24,
        "ignore_eos": True,
    }
    with service.client() as client:
        response = client.post(f"{service.generation}/v1/completions", json=body)
    assert response.status_code == 200, response.text
    text: str = response.json()["choices"][0]["text"]
    return text


def test_a_draft_is_the_same_beside_refinements(service: Service) -> None:
    models = ("student", "global_refiner", "local_refiner")
    alone = {model: complete(service, model) for model in models}
    requested = models * 3
    with ThreadPoolExecutor(len(requested)) as pool:
        together = list(pool.map(lambda model: complete(service, model), requested))
    assert together == [alone[model] for model in requested]
