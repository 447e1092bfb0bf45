"""A language model as the ORM on real vLLM, against transformers' own forward pass."""

import pytest
from pydantic import AnyHttpUrl, SecretStr

from glore.app import create_app
from glore.engines import fitness
from glore.engines.likelihood import VllmLikelihoodScorer
from glore.engines.ports import Lease
from glore.engines.vllm import open_engine
from glore.formats.likelihood import LikelihoodScores
from glore.role_settings import EngineSettings, Families, ModelNames, RoleEngines
from glore.settings import Settings
from glore_models.serving.cache import default_cache
from glore_models.training.likelihood import LogLikelihood
from tests.service.test_app import browser

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


async def test_a_question_is_ranked_by_the_global_refiners_likelihood(service: Service) -> None:
    """With the bundled models and no other server."""
    generation, scoring = (
        EngineSettings(url=AnyHttpUrl(url), timeout=500.0)
        for url in (service.generation, service.scoring)
    )
    settings = Settings(
        generation=generation,
        scoring=scoring,
        engines=RoleEngines(orm=generation),
        families=Families(orm="likelihood"),
        models=ModelNames(orm="global_refiner"),
        threshold=1.0,  # every step is an error, so both refiners write
        store=SecretStr("off"),
        max_deadline=PATIENCE,
    )
    body = {"question": QUESTION, "strategy": "glore", "deadline_ms": 590_000}
    async with browser(create_app(settings)) as client:
        assert (await client.get("/readyz")).status_code == 200
        answer = (await client.post("/solve", json=body, timeout=PATIENCE)).json()
    assert answer["degraded"] == []
    scores = [each["outcome_score"] for each in answer["candidates"]]
    assert all(0 < score < 1 for score in scores)
    assert answer["selected"]["candidate"] == scores.index(max(scores))
