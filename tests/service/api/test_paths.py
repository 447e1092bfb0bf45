"""Paths that are not there, in words for whoever set a wrong base URL."""

import httpx2
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI, NotFoundError

OURS = "http://HOST:PORT, without /v1"
THEIRS = "http://HOST:PORT/v1"


@pytest.mark.parametrize(
    ("method", "path", "meant"),
    [
        ("POST", "/v1/solve", "/solve:"),
        ("POST", "/v1/solve/batch", "/solve/batch:"),
        ("GET", "/v1/readyz", "/readyz:"),
        ("POST", "/solve/solve", "/solve:"),
        ("POST", "/solve/", "/solve:"),
        ("POST", "/api//solve", "/solve:"),
        ("POST", "/api/solve/batch/", "/solve/batch:"),
        ("GET", "/livez/", "/livez:"),
        ("GET", "/v1/health", "/health:"),
    ],
)
async def test_glores_own_clients_are_ordered_to_leave_v1_out(
    client: httpx2.AsyncClient, method: str, path: str, meant: str
) -> None:
    answer = await client.request(method, path, json={"question": "x"})
    assert answer.status_code == 404
    assert "Location" not in answer.headers
    problem = answer.json()
    assert problem["type"] == "/problems/not-found"
    assert f"there is {meant}" in problem["detail"]
    assert OURS in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/chat/completions"),
        ("POST", "/v1/v1/chat/completions"),
        ("POST", "/openai/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1//chat/completions"),
        ("GET", "/models"),
        ("GET", "/models/glore"),
        ("GET", "/v1/models/"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/embeddings"),
        ("POST", "/completions"),
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/nothing"),
    ],
)
async def test_openais_clients_are_ordered_to_have_it_in(
    client: httpx2.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path, json={})
    assert answer.status_code == 404
    assert "Location" not in answer.headers
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("not_found", "invalid_request_error")
    assert THEIRS in error["message"]


async def test_openais_own_client_shows_it(app: FastAPI) -> None:
    transport = httpx2.ASGITransport(app=app)
    browser = httpx2.AsyncClient(transport=transport)
    for base in ("http://gateway", "http://gateway/v1/v1"):
        client = AsyncOpenAI(base_url=base, api_key="x", max_retries=0, http_client=browser)
        with pytest.raises(NotFoundError, match=f"the base URL .* {THEIRS}"):
            await client.chat.completions.create(model="glore", messages=[])
    await browser.aclose()


@pytest.mark.parametrize("path", ["/page", "/nowhere", "/v1x/models/y/z", "/solve/batch/1"])
async def test_anything_else_is_sent_to_the_docs(client: httpx2.AsyncClient, path: str) -> None:
    problem = (await client.get(path)).json()
    assert problem["detail"] == "There is nothing at this path; /docs lists what there is."


async def test_a_model_may_have_any_name(client: httpx2.AsyncClient) -> None:
    error = (await client.get("/v1/models/solve")).json()["error"]
    assert error["code"] == "model_not_found"
