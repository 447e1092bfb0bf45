"""A language model as the ORM on real vLLM, against transformers' own forward pass."""

import pytest

from glore.engines import fitness
from glore.engines.likelihood import VllmLikelihoodScorer
from glore.engines.ports import Lease
from glore.engines.vllm import open_engine
from glore.formats.likelihood import LikelihoodScores
from glore_models.serving.cache import default_cache
from glore_models.training.likelihood import LogLikelihood

from .conftest import Service
from .servers import PATIENCE

QUESTION = "Tom has 3 boxes of 12 pens each, called “été” 🍬. How many pens has he?"
LONG = "\n".join(f"Box {number} holds 12 pens." for number in range(1, 100))
SOLUTIONS = (
    "Tom has 3 * 12 = 36 pens.\n#### 36",
    "Tom has 3 * 12 = 39 pens.\n#### 39",
    "I do not know, é.",
    LONG,
)


@pytest.fixture(scope="module")
def student() -> LogLikelihood:
    return LogLikelihood(default_cache() / "student")


async def test_likelihoods_are_those_of_transformers(
    service: Service, student: LogLikelihood
) -> None:
    async with open_engine(service.generation, api_key=None, timeout=PATIENCE) as engine:
        assert await fitness.likelihood(engine, "student", LikelihoodScores())(PATIENCE) is None
        scorer = VllmLikelihoodScorer(engine, "student", LikelihoodScores())
        scores = await scorer.score_outcomes(QUESTION, (*SOLUTIONS, " \n"), lease=Lease(PATIENCE))
    expected = student.score([(QUESTION, tuple(text.split("\n"))) for text in SOLUTIONS])
    assert scores.values == pytest.approx((*(score for (score,) in expected), 0.0), rel=0.05)
    right, wrong, *_ = scores.values
    assert right > wrong


async def test_an_adapter_finds_another_likelihood_than_its_base(service: Service) -> None:
    async with open_engine(service.generation, api_key=None, timeout=PATIENCE) as engine:
        found = [
            await VllmLikelihoodScorer(engine, model, LikelihoodScores()).score_outcomes(
                QUESTION, SOLUTIONS, lease=Lease(PATIENCE)
            )
            for model in ("student", "global_refiner")
        ]
    assert found[0].values != pytest.approx(found[1].values, rel=0.01)
    assert found[0].prompt_tokens == found[1].prompt_tokens
