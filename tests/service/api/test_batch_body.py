"""What stands for a batch: what its client said, and nothing that a gateway adds."""

import json

import httpx2
import pytest
from fastapi import Request
from pydantic import Field
from starlette.types import Message

from glore.api.batch_body import batch_of, digest_of
from glore.api.context import Limits
from glore.api.schemas import SamplingIn, SolveRequest
from glore.refinement.types import Strategy
from tests.service.api.test_batch import NDJSON, PATH
from tests.service.lines import lines_of

KEY = {"Idempotency-Key": "k"}


LIMITS = Limits(
    strategy=Strategy.GLORE,
    max_deadline=120,
    max_calls=16,
    max_generated_tokens=8192,
    rerank_reserve=1,
    threshold=0.5,
    gate=0.5,
    verifies=True,
    max_rounds=4,
    max_question=4000,
    max_body=64 * 1024,
    max_batch=1000,
)


async def digest(text: str) -> str:
    async def receive() -> Message:
        return {"type": "http.request", "body": text.encode(), "more_body": False}

    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    return (await batch_of(request, LIMITS)).digest


class LaterSampling(SamplingIn):
    """Another version's, with other defaults and something new."""

    max_tokens: int = 512
    top_k: int = 40


class LaterRequest(SolveRequest):
    """The same of a whole request."""

    strategy: Strategy = Strategy.GATED
    deadline_ms: int = 1000
    sampling: SamplingIn = Field(default_factory=LaterSampling)
    rounds: int = 2


async def test_the_defaults_of_a_gateway_are_no_part_of_it() -> None:
    said = {"question": "x", "max_engine_calls": 3}
    mine, later = SolveRequest(**said), LaterRequest(**said)  # type: ignore[arg-type]  # of JSON
    assert mine.strategy != later.strategy
    assert await digest_of([None], [mine]) == await digest_of([None], [later])
    mine.sampling, later.sampling = SamplingIn(top_p=0.5), LaterSampling(top_p=0.5)
    assert mine.sampling.max_tokens != later.sampling.max_tokens
    assert await digest_of([None], [mine]) == await digest_of([None], [later])


PLAIN = '{"questions": [{"question": "x", "strategy": "draft", "deadline_ms": 1000}]}'


@pytest.mark.parametrize(
    "same",
    [
        '{"questions":[{"deadline_ms":1000,"strategy":"draft","question":"\\u0078"}]}',
        PLAIN.replace("1000", "1000.0"),
        PLAIN.replace("1000", '1000, "max_engine_calls": null, "id": null'),
        '{"questions": [{"question": "x"}], "strategy": "draft", "deadline_ms": 1000}',
        PLAIN.replace('{"questions"', '{"strategy": "glore", "questions"'),
    ],
)
async def test_it_is_the_same_however_it_was_written(same: str) -> None:
    assert await digest(same) == await digest(PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace('"x"', '"y"'),
        PLAIN.replace("1000", "1001"),
        PLAIN.replace("draft", "glore"),
        PLAIN.replace("1000", '1000, "id": "a"'),
        PLAIN.replace("1000", '1000, "sampling": {"temperature": 0.5}'),
        PLAIN.replace("1000", '1000, "sampling": {"temperature": 0}'),  # said, if only the default
        PLAIN.replace("]", ', {"question": "x", "strategy": "draft", "deadline_ms": 1000}]'),
    ],
)
async def test_it_is_another_for_another_batch(other: str) -> None:
    assert await digest(other) != await digest(PLAIN)


async def test_it_is_what_the_stores_of_running_gateways_hold() -> None:
    """A change of this is a new form, and ends all batches that are under way."""
    stored = "v2:50a8b1281394badea76f7178119cfacfe3fc1bae0c75c31b19079821b17ed5d9"
    text = '{"id": "a", "question": "x", "sampling": {"temperature": 0.5, "max_tokens": 100}}'
    assert (
        await digest(f'{{"questions": [{text}, {{"question": "y"}}], "strategy": "draft"}}')
        == stored
    )


async def test_as_json_and_as_lines_it_is_the_same_batch(client: httpx2.AsyncClient) -> None:
    requested = [{"question": "x"}, {"question": "y", "id": "b"}]
    shared = {"strategy": "draft", "sampling": {"top_p": 0.5}}
    first = await client.post(PATH, json={"questions": requested, **shared}, headers=KEY)
    lines = "\n".join(json.dumps(each | shared) for each in requested)
    again = await client.post(PATH, content=lines, headers=NDJSON | KEY)
    assert sorted(lines_of(first)) == sorted(lines_of(again))
    bare = "\n".join(json.dumps(each) for each in requested)
    assert (await client.post(PATH, content=bare, headers=NDJSON | KEY)).status_code == 409
