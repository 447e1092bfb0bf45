from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from glore.api.openai.errors import ErrorResponse
from glore.api.openai.parameters import NEUTRAL
from glore.api.openai.request import ChatRequest
from glore.app import create_app
from glore.settings import Settings

CHAT = "/v1/chat/completions"
EXPECTED = {
    ("post", CHAT): {"400", "401", "404", "408", "413", "415", "429", "502", "503", "504"},
    ("get", "/v1/models"): {"401", "408", "413", "429"},
    ("get", "/v1/models/{model}"): {"401", "404", "408", "413", "429"},
}


@pytest_asyncio.fixture
async def document(client: httpx2.AsyncClient) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get("/openapi.json")).json()
    return body


@pytest.mark.parametrize(("method", "path"), EXPECTED)
def test_errors_are_described_in_openais_shape(
    document: dict[str, Any], method: str, path: str
) -> None:
    responses = document["paths"][path][method]["responses"]
    assert set(responses) == {"200"} | EXPECTED[method, path]
    for status in EXPECTED[method, path]:
        content = responses[status]["content"]
        assert set(content) == {"application/json"}
        assert content["application/json"]["schema"]["$ref"].endswith("/ErrorResponse")
        for example in content["application/json"]["examples"].values():
            ErrorResponse.model_validate(example["value"])
        assert "X-Request-ID" in responses[status]["headers"]
        assert ("Retry-After" in responses[status]["headers"]) == (status in {"429", "503"})
    assert "WWW-Authenticate" in responses["401"]["headers"]


def test_no_reference_leads_nowhere(document: dict[str, Any]) -> None:
    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for each in node.values():
                yield from references(each)
        elif isinstance(node, list):
            for each in node:
                yield from references(each)

    schemas = document["components"]["schemas"]
    assert {each.rpartition("/")[2] for each in references(document)} <= set(schemas)
    assert "HTTPValidationError" not in schemas
    answer = document["paths"][CHAT]["post"]["responses"]["200"]["content"]
    assert set(answer) == {"application/json", "text/event-stream"}
    assert "ChatCompletionChunk" in schemas


def test_every_parameter_is_described_with_what_is_taken(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["ChatRequest"]["properties"]
    assert set(fields) == {*ChatRequest.model_fields, *NEUTRAL}
    assert fields["n"]["enum"] == [None, 1]
    assert fields["logprobs"]["enum"] == [None, False]
    assert fields["frequency_penalty"]["enum"] == [None, 0]
    assert fields["web_search_options"]["enum"] == [None]
    assert "ignored" in fields["prediction"]["description"]
    assert fields["model"]["enum"][0] == "glore"


def test_the_limits_are_those_of_this_server(settings: Settings) -> None:
    changes = {"max_question": 50, "max_deadline": 30.0, "max_calls": 9}
    schemas = create_app(settings.model_copy(update=changes)).openapi()["components"]["schemas"]
    text, parts = schemas["UserMessage"]["properties"]["content"]["oneOf"]
    assert text["maxLength"] == 50
    assert parts["type"] == "array"
    options = schemas["GloreOptions"]["properties"]
    assert (options["deadline_ms"]["maximum"], options["deadline_ms"]["default"]) == (30_000,) * 2
    assert options["max_engine_calls"]["anyOf"][0]["maximum"] == 9
