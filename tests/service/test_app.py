"""The whole gateway: over the vLLM adapter on a fake server, and as a process would make it."""

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from aiohttp import web
from fastapi import FastAPI
from pydantic import AnyHttpUrl

from glore.app import create_app, from_environment
from glore.errors import ConfigurationError
from glore.role_settings import ROLES, EngineSettings, Families
from glore.settings import Settings
from tests.service.engines.fake_vllm import (
    FakeVllm,
    chat_completion,
    classification,
    completion,
    fake_vllm,
    pooling,
)
from tests.service.fakes import DRAFT, GLOBAL, LOCAL, LOCAL_TAIL, QUESTION, FakeEngines


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """Puts the process's logging back."""
    root = logging.getLogger()
    access = logging.getLogger("uvicorn.access")
    own = logging.getLogger("glore")
    handlers, level, disabled = root.handlers[:], root.level, access.disabled
    own_level = own.level
    yield root
    own.setLevel(own_level)
    root.handlers[:] = handlers
    root.setLevel(level)
    access.disabled = disabled


@asynccontextmanager
async def browser(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        yield client


def serve_generation(server: FakeVllm) -> None:
    texts = {"student": DRAFT, "global_refiner": GLOBAL, "local_refiner": LOCAL_TAIL}

    async def answer(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        return web.json_response(completion(*[texts[body["model"]]] * body["n"]))

    server.answers["/v1/completions"] = answer
    server.sends("/health", b"")
    server.gives("/v1/models", {"data": [{"id": name} for name in texts]})


def serve_scores(server: FakeVllm) -> None:
    def rows(text: str) -> list[list[float]]:
        wrong = "= 13" in text
        lines = text.splitlines()
        return [[0.1 if "= 13" in line else 0.9, 0.2 if wrong else 0.8] for line in lines]

    async def answer(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        return web.json_response(pooling(*(rows(text) for text in body["input"])))

    server.answers["/pooling"] = answer
    server.sends("/health", b"")
    server.gives("/v1/models", {"data": [{"id": "sorm"}, {"id": "orm"}, {"id": "base"}]})


@pytest.mark.parametrize("own_orm", [False, True])
async def test_a_question_goes_through_vllm_and_back(settings: Settings, *, own_orm: bool) -> None:
    async with fake_vllm() as generation, fake_vllm() as scoring, fake_vllm() as elsewhere:
        serve_generation(generation)
        serve_scores(scoring)
        serve_scores(elsewhere)
        changes: dict[str, object] = {
            "generation": EngineSettings(url=AnyHttpUrl(generation.url)),
            "scoring": EngineSettings(url=AnyHttpUrl(scoring.url)),
        }
        if own_orm:
            own = EngineSettings(url=AnyHttpUrl(elsewhere.url))
            changes["engines"] = settings.engines.model_copy(update={"orm": own})
        async with browser(create_app(settings.model_copy(update=changes))) as client:
            answer = (await client.post("/solve", json={"question": QUESTION})).json()
            ready = await client.get("/readyz")
    assert answer["solution"] in {GLOBAL, LOCAL}
    assert answer["answer"] == "12"
    assert answer["degraded"] == []
    assert answer["draft"]["first_error"] == 1
    assert {c["solution"] for c in answer["candidates"]} == {DRAFT, GLOBAL, LOCAL}
    assert ready.status_code == 200
    assert set(ready.json()["engines"]) == {"generation", "scoring"} | (
        {"orm"} if own_orm else set()
    )
    requested = [body["model"] for body in elsewhere.bodies if body]
    assert requested == (["orm"] if own_orm else [])  # a refuted draft is not ranked
    assert not any("seed" in body for body in generation.bodies if body)


def serve_others(server: FakeVllm) -> None:
    """A chat model, Qwen's PRM and a reward model, all on one server."""

    async def write(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        first, begun = body["messages"][0]["content"], body["continue_final_message"]
        text = LOCAL_TAIL if begun else GLOBAL if "Draft:" in first else DRAFT
        return web.json_response(chat_completion(*[text] * body["n"]))

    async def pool(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        steps = body["input"][0].rpartition("assistant")[2].split("<extra_0>")[:-1]
        return web.json_response(pooling([[0.0, -2.0 if "= 13" in s else 2.0] for s in steps]))

    async def judge(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        solution = body["messages"][1]["content"]
        return web.json_response(classification(3.0 if solution == LOCAL else -1.0))

    async def tokenize(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        text = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        tokens = [part for part in re.split("(<extra_0>)", text) if part]
        ids = list(range(len(tokens)))
        return web.json_response({"count": 0, "tokens": ids, "token_strs": tokens})

    server.answers |= {
        "/v1/chat/completions": write,
        "/pooling": pool,
        "/classify": judge,
        "/tokenize": tokenize,
    }
    server.gives("/detokenize", {"prompt": "assistant\n3 x 12 = 36 pens.\n"})
    server.sends("/health", b"")
    server.gives("/v1/models", {"data": [{"id": role} for role in ROLES]})


OTHERS = Families(
    student="chat", global_refiner="chat", local_refiner="chat", sorm="qwen_prm", orm="sequence"
)


async def test_other_peoples_models_answer_a_question(settings: Settings) -> None:
    async with fake_vllm() as others:
        serve_others(others)
        engine = EngineSettings(url=AnyHttpUrl(others.url))
        changes = {"generation": engine, "scoring": engine, "families": OTHERS}
        async with browser(create_app(settings.model_copy(update=changes))) as client:
            ready = await client.get("/readyz")
            answer = (await client.post("/solve", json={"question": QUESTION})).json()
    assert ready.status_code == 200, ready.text
    assert answer["degraded"] == []
    assert answer["draft"]["first_error"] == 1
    assert [step["score"] for step in answer["draft"]["steps"]] == pytest.approx(
        [0.881, 0.119, 0.881], abs=1e-3
    )
    assert {c["solution"] for c in answer["candidates"]} == {DRAFT, GLOBAL, LOCAL}
    assert answer["solution"] == LOCAL
    (begun,) = (
        b["messages"][-1] for b in others.bodies if b and b.get("n") and len(b["messages"]) > 1
    )
    assert begun == {"role": "assistant", "content": "Tom has 3 bags.\n"}


async def test_a_misfit_is_reported_before_any_question(settings: Settings) -> None:
    async with fake_vllm() as others:
        serve_others(others)
        others.gives("/pooling", pooling([[0.0, 0.0]]))
        engine = EngineSettings(url=AnyHttpUrl(others.url))
        changes = {"generation": engine, "scoring": engine, "families": OTHERS}
        async with browser(create_app(settings.model_copy(update=changes))) as client:
            ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["engines"] == {"generation": "ready", "scoring": "misfit"}
    assert "1 scores for 3 steps" in ready.json()["problems"]["scoring"]


async def test_an_engine_that_is_gone_costs_its_candidates(settings: Settings) -> None:
    async with fake_vllm() as generation, fake_vllm() as gone:
        serve_generation(generation)
        url = gone.url
    async with fake_vllm() as generation:
        serve_generation(generation)
        changes = {
            "generation": EngineSettings(url=AnyHttpUrl(generation.url)),
            "scoring": EngineSettings(url=AnyHttpUrl(url)),
        }
        async with browser(create_app(settings.model_copy(update=changes))) as client:
            body = {"question": QUESTION, "verify": False}
            answer = (await client.post("/solve", json=body)).json()
            ready = await client.get("/readyz")
    assert {c["kind"] for c in answer["candidates"]} == {"draft", "global_refinement"}
    assert {"stage": "score", "reason": "unreachable"} in answer["degraded"]
    assert {"stage": "rerank", "reason": "unreachable"} in answer["degraded"]
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["engines"] == {"generation": "ready", "scoring": "unreachable"}


async def test_engines_are_opened_and_closed_with_the_app(
    settings: Settings, engines: FakeEngines
) -> None:
    app = create_app(settings, connect=engines.connect)
    assert not engines.connected
    async with browser(app):
        assert engines.connected
    assert not engines.connected


async def test_two_apps_share_no_metrics(settings: Settings, engines: FakeEngines) -> None:
    one, other = (create_app(settings, connect=engines.connect) for _ in range(2))
    async with browser(one) as client, browser(other) as neighbour:
        await client.post("/solve", json={"question": QUESTION})
        answered = 'glore_requests_total{route="/solve",status="200",strategy="glore"}'
        assert f"{answered} 1.0" in (await client.get("/metrics")).text
        assert f"{answered} 0.0" in (await neighbour.get("/metrics")).text


def test_a_process_makes_its_app_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    root_logger: logging.Logger,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GLORE_THRESHOLD", "0.25")
    assert from_environment().title == "GLoRe"
    assert len(root_logger.handlers) == 1
    first = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (first["event"], first["first_error_threshold"]) == ("settings", 0.25)
    assert "port" not in first  # it is an option of uvicorn's
    for name, value in (("GLORE_THRESHOLD", "many"), ("GLORE_MAX_RUNING", "7")):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=name):
            from_environment()
        monkeypatch.delenv(name)


async def test_a_refusing_engine_is_explained_to_the_client_and_in_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "glore")
    async with fake_vllm() as server:
        server.gives("/v1/completions", {"error": {"message": "`student` does not exist"}}, 404)
        server.gives("/v1/models", {"data": [{"id": "llama"}]})
        engine = EngineSettings(url=AnyHttpUrl(server.url))
        app = create_app(settings.model_copy(update={"generation": engine, "scoring": engine}))
        async with browser(app) as client:
            response = await client.post("/solve", json={"question": QUESTION})
            chat = {"model": "glore", "messages": [{"role": "user", "content": QUESTION}]}
            as_openai = await client.post("/v1/chat/completions", json=chat)
            streamed = await client.post(
                "/solve", json={"question": QUESTION}, headers={"Accept": "text/event-stream"}
            )
    message = "The student's engine does not serve student (it serves llama)."
    assert (response.status_code, response.json()["detail"]) == (502, message)
    assert as_openai.json()["error"]["message"] == message
    assert message in streamed.text
    fields: list[dict[str, Any]] = [getattr(each, "fields", {}) for each in caplog.records]
    faults = [each for each in fields if each.get("role") == "student"]
    assert faults == [
        {
            "role": "student",
            "reason": "rejected",
            "status": 404,
            "body": "`student` does not exist",
            "left_out": 0,
        }
    ]
    problems = [each["problem"] for each in fields if each.get("method") == "POST"]
    assert problems == ["/problems/student-rejected"] * 3


async def test_the_log_says_that_a_circuit_has_opened(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_vllm() as server:
        server.sends("/v1/completions", b"out of memory", 500)
        engine = EngineSettings(url=AnyHttpUrl(server.url))
        app = create_app(settings.model_copy(update={"generation": engine, "scoring": engine}))
        async with browser(app) as client:
            for _ in range(12):
                response = await client.post("/solve", json={"question": QUESTION})
    assert response.json()["detail"] == "The student gave no draft: circuit_open."
    lines = [
        (each.getMessage(), each.__dict__["fields"]["role"])
        for each in caplog.records
        if each.name == "glore.engines"
    ]
    assert lines == [
        ("engine fault", "student"),
        ("circuit open", "student"),
        ("engine fault", "student"),
    ]
