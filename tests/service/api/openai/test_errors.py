"""The gateway's refusals as the exceptions of OpenAI's client."""

import asyncio
import json
import time

import openai as sdk
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI
from pydantic import SecretStr

from glore.api.draining import Drain
from glore.app import create_app
from glore.settings import Settings
from tests.service.api.openai.conftest import KEY, client_of
from tests.service.api.openai.test_request import MESSAGES, create
from tests.service.fakes import QUESTION, FakeEngines

BODY = json.dumps({"model": "glore", "messages": MESSAGES}).encode()


@pytest.mark.parametrize("model", ["gpt-5", "glore_draft", "GLORE", ""])
async def test_an_unknown_model_is_not_found(openai: AsyncOpenAI, model: str) -> None:
    with pytest.raises(sdk.NotFoundError) as lost:
        await create(openai, model=model)
    assert (lost.value.code, lost.value.param) == ("model_not_found", "model")
    assert lost.value.body == {
        "message": "model: There is no such model; the models are glore, glore-gated, "
        "glore-adaptive, glore-draft, glore-global, glore-local, glore-best-of-n.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_no_draft_is_worth_another_try(app: FastAPI, engines: FakeEngines) -> None:
    engines.student.fault = "unreachable"
    async with client_of(app, max_retries=1) as client:
        started = time.monotonic()
        with pytest.raises(sdk.InternalServerError) as down:
            await create(client)
    assert time.monotonic() - started >= 1.0  # Retry-After was honoured
    assert engines.student.calls == 2
    assert down.value.status_code == 503
    assert down.value.response.headers["Retry-After"] == "1"
    assert (down.value.code, down.value.type) == ("student_unavailable", "server_error")
    assert down.value.request_id == down.value.response.headers["X-Request-ID"]


async def test_a_question_that_the_engine_refuses_is_not_tried_again(
    app: FastAPI, engines: FakeEngines
) -> None:
    engines.student.fault = "rejected"
    async with client_of(app, max_retries=2) as client:
        with pytest.raises(sdk.InternalServerError) as refused:
            await create(client)
    assert engines.student.calls == 1
    assert refused.value.status_code == 502
    assert "Retry-After" not in refused.value.response.headers
    assert (refused.value.code, refused.value.type) == ("student_rejected", "server_error")


async def test_a_deadline_that_has_passed_is_not_tried_again(
    app: FastAPI, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    async with client_of(app, max_retries=2) as client:
        with pytest.raises(sdk.InternalServerError) as late:
            await create(client, extra_body={"glore": {"deadline_ms": 100}})
        calls = engines.student.calls
        with pytest.raises(sdk.InternalServerError):
            await create(client, extra_headers={"Glore-Deadline-Ms": "100"})
    assert late.value.status_code == 504
    assert late.value.code == "no_draft_in_time"
    assert calls <= 1


async def test_a_bug_tells_nothing_and_is_not_tried_again(
    app: FastAPI, engines: FakeEngines
) -> None:
    engines.student.fault = RuntimeError(f"boom: {QUESTION}")
    async with client_of(app, max_retries=2) as client:
        with pytest.raises(sdk.InternalServerError) as broken:
            await create(client)
    assert broken.value.status_code == 500
    assert broken.value.code == "internal_error"
    assert "boom" not in broken.value.response.text
    assert engines.student.calls == 1


async def test_keys_and_rates_are_those_of_the_gateway(
    settings: Settings, engines: FakeEngines
) -> None:
    keyed = {"api_keys": SecretStr(KEY), "rate_per_minute": 60, "rate_burst": 2}
    app = create_app(settings.model_copy(update=keyed), connect=engines.connect)
    async with app.router.lifespan_context(app):
        async with client_of(app, key="wrong") as stranger:
            with pytest.raises(sdk.AuthenticationError) as unknown:
                await create(stranger)
            with pytest.raises(sdk.AuthenticationError):
                await stranger.models.list()
        async with client_of(app) as client:
            await create(client)
            await client.models.list()
            with pytest.raises(sdk.RateLimitError) as often:
                await create(client)
        async with client_of(app, max_retries=2) as waiting:
            assert (await create(waiting)).choices  # once the bucket has a token again
    assert unknown.value.code == "invalid_api_key"
    assert unknown.value.response.headers["WWW-Authenticate"] == "Bearer"
    assert (often.value.code, often.value.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert often.value.response.headers["Retry-After"] == "1"


async def test_a_full_gateway_says_when_to_come_again(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    full = settings.model_copy(update={"max_running": 1, "max_waiting": 0})
    app = create_app(full, connect=engines.connect)
    async with app.router.lifespan_context(app), client_of(app) as client:
        first = asyncio.create_task(create(client))
        async with asyncio.timeout(30):
            await engines.student.called.wait()
        with pytest.raises(sdk.InternalServerError) as busy:
            await create(client)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert (busy.value.status_code, busy.value.code) == (503, "overloaded")
    assert int(busy.value.response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (BODY, "text/plain", 415, "unsupported_media_type"),
        (BODY.ljust(64 * 1024 + 1), "application/json", 413, "body_too_large"),
        (b"{", "application/json", 400, "invalid_value"),
        (b"[]", "application/json", 400, "invalid_value"),
        (b"\xff", "application/json", 400, "bad_request"),
    ],
)
async def test_bodies_that_cannot_be_taken(
    openai: AsyncOpenAI, content: bytes, media_type: str, status: int, code: str
) -> None:
    with pytest.raises(sdk.APIStatusError) as refused:
        await openai.post(
            "/chat/completions",
            cast_to=object,
            content=content,
            options={"headers": {"Content-Type": media_type}},
        )
    assert refused.value.status_code == status
    assert refused.value.code == code
    assert refused.value.type == "invalid_request_error"
    assert refused.value.param is None
    is_large = status == 413
    assert (
        "The prompt is too long: it exceeds the context window." in str(refused.value)
    ) is is_large


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/chat/completions", 405), ("GET", "/nothing", 404), ("POST", "/models", 405)],
)
async def test_other_paths_and_methods(
    openai: AsyncOpenAI, method: str, path: str, status: int
) -> None:
    response = await openai._client.request(method, f"http://gateway/v1{path}")
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    assert set(response.json()) == {"error"}
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert ("Allow" in response.headers) == (status == 405)


async def test_a_query_changes_nothing(openai: AsyncOpenAI) -> None:
    query = {"api-version": "2026-01-01", "x" * 300: "1"}
    assert (await create(openai, extra_query=query)).choices
    assert (await openai.models.list(extra_query=query)).data
    assert (await openai.models.retrieve("glore", extra_query=query)).id == "glore"


async def test_a_gateway_that_stops_says_so_and_the_client_comes_again(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    drain = Drain()
    app = create_app(settings, connect=engines.connect, drain=drain)
    async with app.router.lifespan_context(app), client_of(app) as client:
        requested = asyncio.create_task(create(client))
        async with asyncio.timeout(30):
            await engines.student.called.wait()
        drain.end()
        with pytest.raises(sdk.InternalServerError) as stopped:
            await requested
    assert (stopped.value.status_code, stopped.value.code) == (503, "shutting_down")
    assert stopped.value.response.headers["Retry-After"] == "1"
