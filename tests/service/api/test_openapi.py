import json
from typing import Any

import httpx2
import pytest_asyncio
from pydantic import SecretStr

from glore.api import examples
from glore.api.events import EVENTS
from glore.api.health import Ready
from glore.api.problems import Problem
from glore.api.schemas import SolveRequest, SolveResponse
from glore.app import create_app
from glore.keys import new_key
from glore.refinement.types import Strategy
from glore.settings import Settings


@pytest_asyncio.fixture
async def document(client: httpx2.AsyncClient) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get("/openapi.json")).json()
    return body


async def test_all_paths_are_described(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {
        "/solve",
        "/solve/batch",
        "/feedback",
        "/v1/chat/completions",
        "/v1/models",
        "/v1/models/{model}",
        "/livez",
        "/readyz",
        "/health",
        "/metrics",
    }


async def test_errors_are_described_as_problems(document: dict[str, Any]) -> None:
    responses = document["paths"]["/solve"]["post"]["responses"]
    errors = {"400", "401", "408", "413", "415", "422", "429", "502", "503", "504"}
    assert set(responses) == {"200"} | errors
    for status in set(responses) - {"200"}:
        (media_type,) = responses[status]["content"]
        assert media_type == "application/problem+json"
        content = responses[status]["content"][media_type]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        several = [each["value"] for each in content.get("examples", {}).values()]
        for example in several or [content["example"]]:
            assert Problem.model_validate(example).status == int(status)
    assert {status for status in responses if "Retry-After" in responses[status]["headers"]} == {
        "429",
        "503",
    }
    assert "WWW-Authenticate" in responses["401"]["headers"]
    assert "X-Request-ID" in responses["200"]["headers"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_a_key_is_optional_and_open_paths_take_none(document: dict[str, Any]) -> None:
    (name,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][name]["scheme"] == "bearer"
    assert document["paths"]["/solve"]["post"]["security"] == [{}, {name: []}]
    for path in ("/livez", "/readyz", "/metrics"):
        operation = document["paths"][path]["get"]
        assert "security" not in operation
        assert not {"401", "429"} & set(operation["responses"])


def test_a_gateway_with_keys_and_limits_says_so(settings: Settings) -> None:
    changes = {
        "api_keys": SecretStr(new_key()),
        "max_question": 50,
        "max_deadline": 30.0,
        "max_calls": 9,
        "max_generated_tokens": 700,
        "max_rounds": 3,
        "strategy": Strategy.GATED,
    }
    document = create_app(settings.model_copy(update=changes)).openapi()
    (name,) = document["components"]["securitySchemes"]
    assert document["paths"]["/solve"]["post"]["security"] == [{name: []}]
    fields = document["components"]["schemas"]["SolveRequest"]["properties"]
    assert fields["question"]["maxLength"] == 50
    assert (fields["deadline_ms"]["maximum"], fields["deadline_ms"]["default"]) == (30_000, 30_000)
    assert fields["max_engine_calls"]["anyOf"][0]["maximum"] == 9
    assert fields["max_generated_tokens"]["anyOf"][0]["maximum"] == 700
    assert fields["rounds"]["maximum"] == 3
    for name in ("SolveRequest", "BatchQuestion", "BatchRequest"):
        requested = document["components"]["schemas"][name]["properties"]
        assert requested["strategy"]["default"] == "gated"


async def test_the_document_shows_the_examples(document: dict[str, Any]) -> None:
    operation = document["paths"]["/solve"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["examples"] == examples.REQUESTS
    content = operation["responses"]["200"]["content"]["application/json"]
    assert content["example"] == examples.RESPONSE
    assert content["schema"] == {"$ref": "#/components/schemas/SolveResponse"}


def test_the_severalare_valid() -> None:
    for example in examples.REQUESTS.values():
        SolveRequest.model_validate(example["value"])
    response = SolveResponse.model_validate(examples.RESPONSE)
    assert response.model_dump(mode="json") == examples.RESPONSE
    usage = response.usage
    assert usage.engine_calls == sum(stage.engine_calls for stage in usage.stages)
    assert usage.prompt_tokens == sum(stage.prompt_tokens for stage in usage.stages)
    assert usage.generated_tokens == sum(stage.generated_tokens for stage in usage.stages)
    assert response.candidates[response.selected.candidate].solution == response.solution
    Ready.model_validate(examples.READY)
    Ready.model_validate(examples.DEGRADED)
    Ready.model_validate(examples.NOT_READY)


async def test_a_stream_is_described_event_by_event(document: dict[str, Any]) -> None:
    content = document["paths"]["/solve"]["post"]["responses"]["200"]["content"]
    described = content["text/event-stream"]
    shapes = described["itemSchema"]["oneOf"]
    assert [shape["properties"]["event"]["const"] for shape in shapes] == list(EVENTS)
    for shape in shapes:
        reference = shape["properties"]["data"]["contentSchema"]["$ref"]
        assert reference.rpartition("/")[2] in document["components"]["schemas"]
    blocks = described["example"].removesuffix("\n\n").split("\n\n")
    for number, block in enumerate(blocks, start=1):
        first, name, data = block.split("\n")
        assert first == f"id: {number}"
        event, reported = name.removeprefix("event: "), json.loads(data.removeprefix("data: "))
        assert EVENTS[event].model_validate(reported).model_dump(mode="json") == reported
    assert reported == examples.RESPONSE


async def test_the_example_request_is_taken(client: httpx2.AsyncClient) -> None:
    for example in examples.REQUESTS.values():
        response = await client.post("/solve", json=example["value"])
        assert response.status_code == 200
        assert set(response.json()) == set(examples.RESPONSE)
