"""The simulated tokenizer and classifier, by the gateway's own checks and adapters."""

import math
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from tokenizers.pre_tokenizers import ByteLevel

from glore.engines import fitness
from glore.engines.classify import VllmSequenceScorer
from glore.engines.likelihood import VllmLikelihoodScorer
from glore.engines.ports import EngineError, Lease
from glore.engines.vllm import VllmEngine, open_engine
from glore.formats.likelihood import LikelihoodScores
from glore.formats.scores import SORM_COLUMN, NewlineScores
from glore.formats.sequence_scores import SequenceScores
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, parse_fault
from tests.loadtest.simulated import engine

LIMIT_S = 30.0
TEXT = "Tom has 3 boxes_of 12 pens: naïve, 足す!\n#### 36\n"
RIGHT, WRONG = "1 + 2 = 3\n#### 3", "1 + 2 = 4\n#### 4"


@pytest_asyncio.fixture
async def simulated() -> AsyncIterator[VllmEngine]:
    async with (
        running(Simulated()) as (_, url),
        open_engine(url, api_key=None, timeout=LIMIT_S) as client,
    ):
        yield client


async def posted(client: aiohttp.ClientSession, path: str, **body: object) -> dict[str, Any]:
    async with client.post(path, json={"model": "student", **body}) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


async def test_what_is_tokenized_can_be_put_together_again() -> None:
    async with engine() as (simulator, client):
        found = await posted(client, "/tokenize", prompt=TEXT, return_token_strs=True)
        assert await posted(client, "/detokenize", tokens=found["tokens"]) == {"prompt": TEXT}
        assert not simulator.finished  # no model was asked
    ((as_bytes, _),) = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(TEXT)
    assert "".join(found["token_strs"]) == as_bytes
    assert found["count"] == len(found["tokens"])
    assert len(set(found["tokens"])) == len(set(found["token_strs"]))


async def test_a_token_that_was_never_given_is_told_as_unknown() -> None:
    async with engine() as (_, client):
        answer = await posted(client, "/detokenize", tokens=[1])
    assert answer == {"prompt": "\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize", "/classify"])
async def test_a_model_that_is_not_served_is_refused(path: str) -> None:
    async with engine() as (_, client), client.post(path, json={"model": "other"}) as response:
        assert response.status == 404


async def test_it_fits_the_families_that_are_checked(simulated: VllmEngine) -> None:
    assert await fitness.chat(simulated, "student")(LIMIT_S) is None
    assert await fitness.sequence(simulated, "orm", SequenceScores())(LIMIT_S) is None
    assert await fitness.likelihood(simulated, "orm", LikelihoodScores())(LIMIT_S) is None
    newline = NewlineScores(SORM_COLUMN)
    assert await fitness.stepwise(simulated, "sorm", newline)(LIMIT_S) is None


async def test_a_solution_with_a_slip_is_classified_as_worse(simulated: VllmEngine) -> None:
    scorer = VllmSequenceScorer(simulated, "orm", SequenceScores())
    right, wrong = (
        await scorer.score_outcomes("How many?", (RIGHT, WRONG), lease=Lease(LIMIT_S))
    ).values
    assert wrong < 0.5 < right


async def test_a_solution_with_a_slip_is_less_likely(simulated: VllmEngine) -> None:
    scorer = VllmLikelihoodScorer(simulated, "orm", LikelihoodScores())
    right, wrong = (
        await scorer.score_outcomes("How many?", (RIGHT, WRONG), lease=Lease(LIMIT_S))
    ).values
    assert 0 < wrong < right < 1


async def test_a_classified_text_has_a_logit_or_a_probability() -> None:
    body = {"messages": [{"role": "assistant", "content": RIGHT}]}
    async with engine() as (_, client):
        chance = (await posted(client, "/classify", **body))["data"][0]["probs"]
        logit = (await posted(client, "/classify", use_activation=False, **body))["data"][0][
            "probs"
        ]
    assert chance == pytest.approx([1 / (1 + math.exp(-logit[0]))])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("nan", "bad_response"), ("count", "wrong_scores"), ("stall", "timeout"), ("500", "failed")],
)
async def test_faults_befall_the_classifier_too(kind: str, reason: str) -> None:
    async with (
        running(Simulated(faults=(parse_fault(kind),))) as (_, url),
        open_engine(url, api_key=None, timeout=LIMIT_S) as client,
    ):
        scorer = VllmSequenceScorer(client, "orm", SequenceScores())
        with pytest.raises(EngineError) as raised:
            await scorer.score_outcomes(
                "How many?", (RIGHT,), lease=Lease(0.5 if kind == "stall" else LIMIT_S)
            )
    assert raised.value.reason == reason
