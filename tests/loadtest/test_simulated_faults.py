"""Faults in the middle of an answer, and answers that go on for too long."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from loadtest.simulation.server import UPSTREAM_TEXT
from loadtest.simulation.settings import Timing, parse_fault
from tests.loadtest.simulated import ASKED, MOST, completed, engine, streamed

PATH = "/v1/completions"
TURNS = {"model": "student", "messages": [{"role": "user", "content": "How many?"}]}
POOLED = {"model": "sorm", "input": "Question: q\nSolution:\n1\n2\n"}
STREAMED = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
BODIES: list[tuple[str, dict[str, Any]]] = [
    (PATH, ASKED),
    (PATH, STREAMED),
    ("/v1/chat/completions", {**TURNS, "stream": True}),
    ("/pooling", POOLED),
]


async def received(
    client: aiohttp.ClientSession, path: str, body: dict[str, Any], *, seconds: float
) -> bytes:
    """What comes of an answer in so many seconds; it may not end before."""
    came = bytearray()

    async def read() -> None:
        async with client.post(path, json=body) as response:
            async for piece in response.content.iter_any():
                came.extend(piece)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), seconds)
    return bytes(came)


@pytest.mark.parametrize(("path", "body"), BODIES)
async def test_an_engine_that_stalls_says_half_and_keeps_the_connection(
    path: str, body: dict[str, Any]
) -> None:
    async with engine() as (_, client), client.post(path, json=body) as response:
        whole = len(await response.read())
    async with engine(faults=(parse_fault("stall"),)) as (simulator, client):
        came = await received(client, path, body, seconds=0.5)
        assert 0.2 * whole < len(came) < 0.8 * whole
        async with asyncio.timeout(5):
            while simulator.running:
                await asyncio.sleep(0.01)
    assert simulator.finished["abort"] == 1


@pytest.mark.parametrize(("path", "body"), BODIES)
async def test_an_engine_that_trickles_never_pauses_for_long(
    path: str, body: dict[str, Any]
) -> None:
    async with engine(faults=(parse_fault("trickle"),)) as (_, client):
        came = await received(client, path, body, seconds=1.0)
    assert 1 <= len(came) <= 11


@pytest.mark.parametrize(("path", "body"), BODIES)
async def test_noise_is_no_json_in_the_middle_of_the_rest(path: str, body: dict[str, Any]) -> None:
    async with (
        engine(faults=(parse_fault("noise"),)) as (_, client),
        client.post(path, json=body) as response,
    ):
        text = (await response.read()).decode()
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    parts = [_parsed(event) for event in events if event != "[DONE]"]
    assert parts.count(None) == 1
    if body.get("stream"):
        assert events[-1] == "[DONE]"
        assert len(parts) > 5
    assert UPSTREAM_TEXT in text


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


async def test_a_broken_stream_has_an_error_in_its_middle_and_then_its_end() -> None:
    async with engine(faults=(parse_fault("broken"),)) as (simulator, client):
        *texts, error, last = await streamed(client, PATH, STREAMED)
        async with client.post(PATH, json=ASKED) as response:
            assert response.status == 500
        assert simulator.finished == {"error": 2}
    assert last == "[DONE]"
    assert json.loads(error)["error"]["code"] == 500
    assert len(texts) > 5
    assert all(json.loads(text)["choices"][0]["finish_reason"] is None for text in texts)


async def test_an_overlong_text_ends_by_itself_past_the_limit() -> None:
    async with engine(faults=(parse_fault("overlong"),)) as (_, client):
        answer = await completed(client)
        *_, usage, last = await streamed(client, PATH, STREAMED)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == MOST + 10
    assert json.loads(usage)["usage"]["completion_tokens"] == MOST + 10
    assert last == "[DONE]"


@pytest.mark.parametrize(("path", "body"), BODIES[:3])
async def test_an_unbounded_text_goes_on_past_any_limit(path: str, body: dict[str, Any]) -> None:
    megabytes = 5
    async with (
        engine(faults=(parse_fault("unbounded"),)) as (simulator, client),
        asyncio.timeout(30),
    ):
        came = 0
        async with client.post(path, json=body) as response:
            while came < megabytes * 2**20:
                came += len(await response.content.readany())
                assert not response.content.at_eof()
        while simulator.running:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ["reset", "429", "500"])
async def test_a_refusal_may_take_its_time(kind: str) -> None:
    timing = Timing(refusal=0.2)
    async with engine(faults=(parse_fault(kind),), timing=timing) as (simulator, client):
        started = time.monotonic()
        try:
            async with client.post(PATH, json=ASKED) as response:
                assert response.status == int(kind)
        except aiohttp.ServerDisconnectedError:
            assert kind == "reset"
        assert time.monotonic() - started >= 0.2
        assert simulator.running == 0
