"""`sampling.n` beside each strategy: what the document says of it, and what the gateway does."""

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import pytest
from jsonschema_rs import validator_for

from glore.refinement.types import Strategy
from tests.service.fakes import QUESTION

SAMPLINGS: list[dict[str, Any] | None] = [None, {}, {"temperature": 1}, {"n": 3}, {"n": 4}]
NDJSON = "application/x-ndjson"


def options(strategies: Sequence[str | None]) -> Iterator[dict[str, Any]]:
    for strategy, sampling in itertools.product(strategies, SAMPLINGS):
        given = {"strategy": strategy, "sampling": sampling}
        yield {name: value for name, value in given.items() if value is not None}


def counts_in_vain(strategy: str | None, sampling: dict[str, Any] | None) -> bool:
    return "n" in (sampling or {}) and strategy != "best_of_n"


async def described(client: httpx2.AsyncClient, path: str, media_type: str) -> Any:
    document = (await client.get("/openapi.json")).json()
    schema = document["paths"][path]["post"]["requestBody"]["content"][media_type]["schema"]
    return validator_for({**schema, "components": document["components"]})


async def test_of_one_question(client: httpx2.AsyncClient) -> None:
    document = await described(client, "/solve", "application/json")
    for each in options([None, *Strategy]):
        body = {"question": QUESTION, **each}
        refused = counts_in_vain(each.get("strategy"), each.get("sampling"))
        assert document.is_valid(body) is not refused, body
        response = await client.post("/solve", json=body)
        assert response.status_code == (422 if refused else 200), body
        if refused:
            fault = {"field": "sampling.n", "message": "Taken with strategy best_of_n only"}
            assert response.json()["errors"] == [fault]


async def test_of_a_batch(client: httpx2.AsyncClient) -> None:
    """A question's own options go before the batch's, and the rule holds for what comes of it."""
    document = await described(client, "/solve/batch", "application/json")
    indices = list(options([None, "draft", "best_of_n"]))
    for batch, question in itertools.product(indices, indices):
        merged = batch | question
        refused = counts_in_vain(merged.get("strategy"), merged.get("sampling"))
        fine = {"question": QUESTION, "strategy": "draft", "sampling": {}}
        body = batch | {"questions": [fine, {"question": QUESTION, **question}]}
        assert document.is_valid(body) is not refused, body
        response = await client.post("/solve/batch", json=body)
        assert response.status_code == (422 if refused else 200), body
        if refused:
            (fault,) = response.json()["errors"]
            assert fault["field"] == "questions.1.sampling.n"


async def test_of_a_line(client: httpx2.AsyncClient) -> None:
    document = await described(client, "/solve/batch", NDJSON)
    for each in options([None, "draft", "best_of_n"]):
        line = {"question": QUESTION, **each}
        refused = counts_in_vain(each.get("strategy"), each.get("sampling"))
        assert document.is_valid(line) is not refused, line
        headers = {"Content-Type": NDJSON}
        response = await client.post("/solve/batch", content=json.dumps(line), headers=headers)
        assert response.status_code == (422 if refused else 200), line


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1}])
async def test_left_out_it_is_three(client: httpx2.AsyncClient, sampling: dict[str, Any]) -> None:
    """The document says so in words: as its `default` it would be sent with other strategies."""
    body = {"question": QUESTION, "strategy": "best_of_n", "sampling": sampling}
    assert len((await client.post("/solve", json=body)).json()["candidates"]) == 3
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    described = schemas["SamplingIn"]["properties"]["n"]
    assert "default" not in described
    assert described["description"].endswith("3 if left out.")
