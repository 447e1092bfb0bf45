"""Streamed completions, read by OpenAI's own client, sync and async, over a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai as sdk
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import AnyHttpUrl

from glore.api.schemas import SolveResponse
from glore.app import create_app
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.service.api.asgi import Exchange
from tests.service.api.openai.conftest import client_of
from tests.service.api.openai.test_request import MESSAGES, create
from tests.service.fakes import LOCAL, FakeEngines
from tests.service.listening import LIMIT_S, listening

PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "glore", "messages": MESSAGES, "stream": True}


@asynccontextmanager
async def gateway(
    settings: Settings,
    simulated: Simulated,
    **changes: Any,
) -> AsyncIterator[tuple[str, Simulator]]:
    """The facade's address, behind a socket, and the simulator of both engines."""
    async with running(simulated) as (simulator, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        changes |= {"generation": engine, "scoring": engine}
        async with listening(create_app(settings.model_copy(update=changes))) as port:
            yield f"http://127.0.0.1:{port}/v1", simulator


async def stream_of(client: AsyncOpenAI, **parameters: Any) -> list[Any]:
    return [chunk async for chunk in await create(client, stream=True, **parameters)]


def content_of(chunks: list[Any]) -> str:
    """What a plain client reads."""
    return "".join(
        chunk.choices[0].delta.content or "" for chunk in chunks if len(chunk.choices) > 0
    )


def events_of(chunks: list[Any]) -> list[dict[str, Any]]:
    reported = ((chunk.model_extra or {}).get("glore") for chunk in chunks)
    return [each for each in reported if each is not None]


async def test_the_answer_comes_after_what_led_to_it(settings: Settings) -> None:
    usage = {"include_usage": True}
    async with (
        gateway(settings, Simulated()) as (url, _),
        AsyncOpenAI(base_url=url, api_key="x") as client,
    ):
        whole = await create(client)
        chunks = await stream_of(client, stream_options=usage)
    *streamed, last = chunks
    events = events_of(chunks)
    names = [event["event"] for event in events]
    assert names[0] == "draft.delta"
    assert names[-2:] == ["selected", "done"]
    assert {"draft", "scores", "first_error", "refined.delta", "refined"} <= set(names)
    trace = SolveResponse.model_validate(events[-1]["data"])
    assert trace.degraded == []
    assert trace.solution == whole.choices[0].message.content == content_of(streamed)
    drafted = "".join(e["data"]["text"] for e in events if e["event"] == "draft.delta")
    assert drafted.strip() == trace.candidates[0].solution
    (answered,) = (at for at, chunk in enumerate(streamed) if chunk.choices[0].delta.content)
    finished = streamed[answered + 1]
    assert finished is streamed[-1]
    assert finished.choices[0].finish_reason == "stop"
    assert events_of([finished]) == events[-1:]
    assert {chunk.choices[0].finish_reason for chunk in streamed[:-1]} == {None}
    assert streamed[0].choices[0].delta.role == "assistant"
    assert {chunk.choices[0].delta.role for chunk in streamed[1:]} == {None}
    assert last.choices == []
    assert last.usage.completion_tokens == trace.usage.generated_tokens
    assert last.usage.prompt_tokens == trace.usage.prompt_tokens
    assert {chunk.usage for chunk in streamed} == {None}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


async def test_a_sync_client_and_openais_own_accumulator_read_it(settings: Settings) -> None:
    def ask(url: str) -> tuple[str, Any]:
        with OpenAI(base_url=url, api_key="x") as client:
            stream = client.chat.completions.create(**BODY)
            text = content_of(list(stream))
            requested = {key: value for key, value in BODY.items() if key != "stream"}
            with client.chat.completions.stream(**requested) as helper:
                return text, helper.get_final_completion()

    async with gateway(settings, Simulated()) as (url, _):
        text, completion = await asyncio.to_thread(ask, url)
    assert text
    assert completion.choices[0].message.content == text
    assert completion.choices[0].finish_reason == "stop"


async def test_on_the_wire_it_is_as_openai_words_it(client: httpx2.AsyncClient) -> None:
    response = await client.post(PATH, json=BODY, headers={"Accept": "application/json"})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-store"
    *lines, done = [line for line in response.text.split("\n\n") if line]
    assert done == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        assert set(chunk) - {"glore"} == {"id", "object", "created", "model", "choices"}
        (choice,) = chunk["choices"]
        assert set(choice) == {"index", "delta", "logprobs", "finish_reason"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[1:]]
    assert [delta for delta in deltas if delta] == [{"content": LOCAL}]


async def test_silence_is_filled_with_comments(settings: Settings) -> None:
    slow = Simulated(timing=Timing(first_token=0.5))
    async with gateway(settings, slow, heartbeat=0.1) as (url, _):
        async with httpx2.AsyncClient(timeout=LIMIT_S) as client:
            body = BODY | {"model": "glore-draft"}
            text = (await client.post(f"{url}/chat/completions", json=body)).text
        async with AsyncOpenAI(base_url=url, api_key="x") as client:
            assert content_of(await stream_of(client, model="glore-draft"))
    assert text.startswith(": heartbeat\n\n")
    assert text.endswith("data: [DONE]\n\n")


async def test_who_waits_long_for_a_turn_is_given_comments_and_then_an_error(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    changes = {"max_running": 1, "heartbeat": 0.02}
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    async with app.router.lifespan_context(app), asyncio.timeout(LIMIT_S):
        first, second = Exchange(), Exchange()
        first.body(json.dumps(BODY).encode())
        second.body(json.dumps(BODY | {"glore": {"deadline_ms": 600}}).encode())
        working = asyncio.create_task(first.run(app, "POST", PATH, content_type="application/json"))
        await engines.student.called.wait()
        await second.run(app, "POST", PATH, content_type="application/json")
        first.leave()
        await working
    assert second.status == 200
    *comments, last, rest = b"".join(each["body"] for each in second.sent[1:]).split(b"\n\n")
    assert (set(comments), rest) == ({b": heartbeat"}, b"")
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert (error["code"], error["type"]) == ("overloaded", "server_error")
    assert error["retry_after"] >= 1


# --- errors ----------------------------------------------------------------------------------


async def test_an_error_before_the_first_word_has_its_status_and_is_tried_again(
    app: FastAPI, engines: FakeEngines
) -> None:
    engines.student.text = ""
    engines.student.fault = "unreachable"
    async with client_of(app, max_retries=1) as client:
        with pytest.raises(sdk.InternalServerError) as down:
            await create(client, stream=True)
    assert down.value.status_code == 503
    assert down.value.code == "student_unavailable"
    assert down.value.response.headers["Retry-After"] == "1"
    assert engines.student.calls == 2


async def test_refused_parameters_have_their_status(openai: AsyncOpenAI) -> None:
    with pytest.raises(sdk.BadRequestError):
        await create(openai, stream=True, n=2)
    with pytest.raises(sdk.NotFoundError):
        await create(openai, stream=True, model="gpt-5")


async def test_an_error_after_the_first_word_is_raised_while_reading(
    openai: AsyncOpenAI, engines: FakeEngines
) -> None:
    engines.student.fault = "failed"
    read: list[Any] = []

    async def listen() -> None:
        async for chunk in await create(openai, stream=True):
            read.append(chunk)  # noqa: PERF401 - what was read before the error counts

    with pytest.raises(sdk.APIError) as failed:
        await listen()
    assert not isinstance(failed.value, sdk.APIStatusError)
    assert (failed.value.code, failed.value.type) == ("student_unavailable", "server_error")
    assert failed.value.message == "The student gave no draft: failed."
    assert failed.value.body is not None
    assert dict(failed.value.body)["retry_after"] == 1  # type: ignore[call-overload]
    assert {event["event"] for event in events_of(read)} == {"draft.delta"}


async def test_a_bug_while_streaming_tells_nothing(
    openai: AsyncOpenAI, engines: FakeEngines
) -> None:
    engines.student.fault = RuntimeError("boom")
    with pytest.raises(sdk.APIError) as broken:
        await stream_of(openai)
    assert broken.value.code == "internal_error"
    assert "boom" not in str(broken.value.body)


async def test_a_stage_that_fails_costs_its_candidate_not_the_stream(settings: Settings) -> None:
    faulty = Simulated(faults=(parse_fault("orm:500"), parse_fault("global_refiner:cut")))
    async with (
        gateway(settings, faulty) as (url, _),
        AsyncOpenAI(base_url=url, api_key="x") as client,
    ):
        chunks = await stream_of(client, extra_body={"glore": {"verify": False}})
    trace = SolveResponse.model_validate(events_of(chunks)[-1]["data"])
    assert content_of(chunks) == trace.solution
    assert {item.stage.value for item in trace.degraded} == {"rerank", "refine_globally"}


# --- leaving early ---------------------------------------------------------------------------


async def test_closing_the_stream_ends_the_work_at_the_engine(settings: Settings) -> None:
    slow = Simulated(timing=Timing(between_tokens=0.2))
    async with (
        gateway(settings, slow) as (url, simulator),
        AsyncOpenAI(base_url=url, api_key="x") as client,
    ):
        stream = await create(client, stream=True)
        async with asyncio.timeout(LIMIT_S):
            async for _ in stream:
                break
            assert simulator.running == 1
            await stream.close()
            while simulator.running:
                await asyncio.sleep(0.01)
    assert simulator.finished["abort"] == 1


async def test_a_client_that_leaves_before_the_first_word_is_499(
    app: FastAPI, engines: FakeEngines
) -> None:
    engines.student.text = ""
    engines.student.hangs = True
    exchange = Exchange()
    exchange.body(json.dumps(BODY).encode())
    running_ = asyncio.create_task(exchange.run(app, "POST", PATH, content_type="application/json"))
    async with asyncio.timeout(LIMIT_S):
        await engines.student.called.wait()
        exchange.leave()
        await running_
    assert engines.student.cancelled
    assert exchange.status == 499
