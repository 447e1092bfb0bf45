"""A sequence-classification reward model on real vLLM, against transformers' own class.

The simulated engine classifies in its shape.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from transformers import AutoTokenizer, Qwen3ForSequenceClassification

from glore.engines import fitness
from glore.engines.classify import VllmSequenceScorer
from glore.engines.ports import Lease
from glore.engines.vllm import open_engine
from glore.formats.qwen_prm import QwenPrmScores
from glore.formats.sequence_scores import SequenceScores
from loadtest.simulation.server import running as simulated
from loadtest.simulation.settings import Simulated

from . import tiny
from .servers import PATIENCE, TinyServer, running, tiny_server
from .test_simulator_shapes import shape_of

QUESTION = "Tom has 3 boxes with 12 pens each. How many pens has he?"
SOLUTIONS = ("3 + 12 = 15\n#### 15", "3 x 12 = 36\n#### 36", "I do not know.", "3 x 12 = 36\n\n36")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    checkpoint = tmp_path_factory.mktemp("reward")
    tiny.save_sequence_classifier(checkpoint)
    one = tiny_server("orm", checkpoint, "--runner", "pooling")
    with running(tmp_path_factory.mktemp("logs"), one):
        yield one


def turns(solution: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": solution}]


def in_transformers(folder: Path, solution: str) -> float:
    """The logistic function of the reward of the two turns."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Qwen3ForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    text = tokenizer.apply_chat_template(turns(solution), tokenize=False)
    with torch.no_grad():
        reward = model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits
    return float(torch.sigmoid(reward[0, 0]))


async def test_outcome_scores_are_those_of_transformers(server: TinyServer) -> None:
    async with open_engine(server.url, api_key=None, timeout=PATIENCE) as engine:
        scorer = VllmSequenceScorer(engine, server.name, SequenceScores())
        scores = await scorer.score_outcomes(QUESTION, (*SOLUTIONS, " \n"), lease=Lease(PATIENCE))
    expected = [in_transformers(server.checkpoint, solution) for solution in SOLUTIONS]
    assert scores.values == pytest.approx((*expected, 0.0), abs=1e-3)
    assert len({round(score, 2) for score in expected}) > 2  # an order could be told


async def test_it_fits_its_family_and_is_no_stepwise_model(server: TinyServer) -> None:
    async with open_engine(server.url, api_key=None, timeout=PATIENCE) as engine:
        assert await fitness.sequence(engine, server.name, SequenceScores())(PATIENCE) is None
        problem = await fitness.stepwise(engine, server.name, QwenPrmScores())(PATIENCE)
    assert problem is not None
    assert "orm merges or splits the separator '<extra_0>'" in problem


@pytest.mark.parametrize(
    "body",
    [
        {"messages": turns(SOLUTIONS[0])},
        {"messages": turns(SOLUTIONS[0]), "use_activation": False},
        {"messages": turns(SOLUTIONS[0]), "model": "nobody"},
    ],
)
async def test_a_classified_text_has_the_shape_of_vllms(
    server: TinyServer, body: dict[str, Any]
) -> None:
    async with simulated(Simulated()) as (_, url), httpx2.AsyncClient(timeout=PATIENCE) as client:
        real, ours = [
            await client.post(f"{each}/classify", json={"model": "orm", **body})
            for each in (server.url, url)
        ]
    assert ours.status_code == real.status_code
    assert ours.headers["content-type"] == real.headers["content-type"]
    assert shape_of(ours.json()) == shape_of(real.json())
    theirs, values = (answer.json().get("data", [{}])[0] for answer in (real, ours))
    assert values.get("num_classes") == theirs.get("num_classes")
    assert values.get("label") == theirs.get("label")
