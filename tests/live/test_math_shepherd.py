"""Math-Shepherd's family on real vLLM, against the two tokens' softmax in transformers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, MistralForCausalLM

from glore.engines import fitness
from glore.engines.ports import EngineError, Lease
from glore.engines.scoring import VllmOutcomeScorer, VllmStepScorer
from glore.engines.vllm import open_engine
from glore.formats.math_shepherd import BAD_TOKEN, GOOD_TOKEN, MathShepherdScores
from glore_models.serving.presets import step_pooling, two_token_head

from . import tiny
from .servers import PATIENCE, TinyServer, running, tiny_server

QUESTION = "Tom has 3 boxes with 12 pens each. How many pens has he?"
STEPS = ("3 boxes + 9 are 12.", "12 - 3 = 9", "3 x 12 = 36", "#### 36")
SCORES = MathShepherdScores()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    folder = tmp_path_factory.mktemp("shepherd")
    tiny.save_math_shepherd(folder)
    tag = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(SCORES.separator)
    flags = (*step_pooling(tag), *two_token_head(BAD_TOKEN, GOOD_TOKEN))
    one = tiny_server("sorm", folder, *flags)
    with running(tmp_path_factory.mktemp("logs"), one):
        yield one


def in_transformers(folder: Path, text: str) -> list[float]:
    """What the causal model gives to `+` against `-` at each tag, as its card computes it."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = MistralForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tokenizer(text, return_tensors="pt").input_ids
    assert ids[0, 0] == tokenizer.bos_token_id
    good, bad, tag = tokenizer.convert_tokens_to_ids([GOOD_TOKEN, BAD_TOKEN, SCORES.separator])
    with torch.no_grad():
        logits = model(ids).logits[0][:, [good, bad]]
    scores: list[float] = torch.softmax(logits, -1)[ids[0] == tag, 0].tolist()
    return scores


@pytest.mark.parametrize("count", [1, 3, 4])
async def test_step_scores_are_the_softmax_of_the_two_tokens(
    server: TinyServer, count: int
) -> None:
    async with open_engine(server.url, api_key=None, timeout=PATIENCE) as engine:
        scorer = VllmStepScorer(engine, server.name, SCORES)
        scores = await scorer.score_steps(QUESTION, STEPS[:count], lease=Lease(PATIENCE))
    expected = in_transformers(server.checkpoint, SCORES.encode(QUESTION, STEPS[:count]))
    assert len(scores.values) == count
    assert scores.values == pytest.approx(expected, abs=1e-3)
    assert count == 1 or max(expected) - min(expected) > 0.01  # an order could be told


async def test_as_an_orm_the_last_step_counts(server: TinyServer) -> None:
    solutions = ["\n".join(STEPS[:2]), "\n".join(STEPS)]
    async with open_engine(server.url, api_key=None, timeout=PATIENCE) as engine:
        scorer = VllmOutcomeScorer(engine, server.name, SCORES)
        scores = await scorer.score_outcomes(QUESTION, solutions, lease=Lease(PATIENCE))
    expected = [
        in_transformers(server.checkpoint, SCORES.encode(QUESTION, steps))[-1]
        for steps in (STEPS[:2], STEPS)
    ]
    assert scores.values == pytest.approx(expected, abs=1e-3)


async def test_the_server_fits_and_a_tag_in_the_text_gives_no_scores(server: TinyServer) -> None:
    async with open_engine(server.url, api_key=None, timeout=PATIENCE) as engine:
        assert await fitness.stepwise(engine, server.name, SCORES)(PATIENCE) is None
        scorer = VllmStepScorer(engine, server.name, SCORES)
        with pytest.raises(EngineError, match="wrong_scores"):
            await scorer.score_steps("What does ки mean?", STEPS, lease=Lease(PATIENCE))
