"""Completions as they are written. Whole ones: test_vllm.py, test_chat.py."""

import asyncio
import json
from typing import Any, Literal

import pytest

from glore.engines.exchange import MAX_RESPONSE_BYTES
from glore.engines.generating import VllmGenerator
from glore.engines.ports import STOPPED, Completion, EngineError, FaultReason, Generation, Lease
from glore.engines.sse import MAX_EVENT_BYTES
from glore.engines.streamed import CHARACTERS_PER_TOKEN
from glore.engines.vllm import VllmEngine
from glore.formats.chat import Chat, ChatTurn
from glore.formats.writing import Prompt
from tests.service.engines.fake_vllm import (
    FakeVllm,
    as_events,
    chat_completion,
    chat_stream,
    completion,
    completion_stream,
)
from tests.service.leases import FakeLease

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
PROMPT = "Question: 1 + 1?\nSolution:\n"
LEASE = Lease(30.0)
LIMIT_S = 30.0  # ends a test that hangs; generous, for machines that are busy


async def generate(
    engine: VllmEngine,
    reports: list[str],
    prompt: Prompt = PROMPT,
    lease: Lease = LEASE,
    *,
    enough: str | None = None,
) -> Generation:
    """`enough`: the piece after which no more is wanted."""

    def on_text(piece: str) -> bool:
        reports.append(piece)
        return piece == enough

    generator = VllmGenerator(engine, "student", "student")
    return await generator.generate(
        prompt,
        n=1,
        temperature=0.5,
        top_p=0.9,
        max_tokens=64,
        lease=lease,
        on_text=on_text,
    )


async def test_a_text_is_reported_as_it_is_written(server: FakeVllm, engine: VllmEngine) -> None:
    server.streams(
        COMPLETIONS, as_events(*completion_stream("1 + 1", "", " = 2\n", "#### 2")), "whole"
    )
    reports: list[str] = []
    generation = await generate(engine, reports)
    assert generation == Generation((Completion("1 + 1 = 2\n#### 2", "stop"),), 7, 5)
    assert reports == ["1 + 1", " = 2\n", "#### 2"]
    assert server.bodies == [
        {
            "model": "student",
            "prompt": PROMPT,
            "n": 1,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 64,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
    ]


async def test_a_turn_is_reported_as_it_is_written(server: FakeVllm, engine: VllmEngine) -> None:
    server.streams(CHAT, as_events(*chat_stream("1 + 1", " = 2")), "whole")
    reports: list[str] = []
    generation = await generate(engine, reports, Chat((ChatTurn("user", "1 + 1?"),)))
    assert generation == Generation((Completion("1 + 1 = 2", "stop"),), 7, 5)
    assert reports == ["1 + 1", " = 2"]
    assert server.bodies[0]["stream"] is True


async def test_a_text_is_reported_before_its_end(server: FakeVllm, engine: VllmEngine) -> None:
    server.streams(COMPLETIONS, as_events(*completion_stream("a", "b")[:1]), "hang")
    reports: list[str] = []
    call = asyncio.create_task(generate(engine, reports))
    async with asyncio.timeout(LIMIT_S):
        while not reports:
            await asyncio.sleep(0.01)
        assert reports == ["a"]
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.aborted.wait()


@pytest.mark.parametrize("counts", [True, False])
async def test_a_text_that_is_enough_is_stopped_at_the_engine(
    server: FakeVllm, engine: VllmEngine, counts: bool
) -> None:
    """Tokens are those that the engine has counted so far, else one for each piece."""
    events: list[Any] = completion_stream("1 + 1 = 3\n", "So", " and so on")[:2]
    if counts:
        events[0] |= {"usage": {"prompt_tokens": 7, "completion_tokens": 6}}
    server.streams(COMPLETIONS, as_events(*events), "hang")
    reports: list[str] = []
    lease = FakeLease(LIMIT_S)
    async with asyncio.timeout(LIMIT_S):
        generation = await generate(engine, reports, lease=lease, enough="1 + 1 = 3\n")
        await server.aborted.wait()
    prompt_tokens, tokens = (7, 6) if counts else (0, 1)
    stopped = Completion("1 + 1 = 3\n", STOPPED)
    assert generation == Generation((stopped,), prompt_tokens, tokens)
    assert reports == ["1 + 1 = 3\n"]
    assert lease.reported.tokens == tokens


async def test_an_engine_does_not_say_that_its_text_was_stopped(
    server: FakeVllm, engine: VllmEngine
) -> None:
    events = completion_stream("1", finish_reason=STOPPED)
    server.streams(COMPLETIONS, as_events(*events), "whole")
    with pytest.raises(EngineError, match="failed"):
        await generate(engine, [])


async def test_an_empty_text_is_not_reported(server: FakeVllm, engine: VllmEngine) -> None:
    server.streams(COMPLETIONS, as_events(*completion_stream("")), "whole")
    reports: list[str] = []
    assert (await generate(engine, reports)).completions == (Completion("", "stop"),)
    assert reports == []


def changed(index: int, **changes: object) -> bytes:
    """A sound stream of two texts, with one of its four events changed."""
    events: list[Any] = completion_stream("a", "b")
    events[index] |= changes
    return as_events(*events)


SOUND = completion_stream("a", "b")
FIRST, SECOND, USAGE, DONE = SOUND
ERROR = {"error": {"message": "upstream text", "type": "InternalServerError", "code": 500}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_response"),
        (b"not an event", "bad_response"),
        (json.dumps(completion("a")).encode(), "bad_response"),
        (as_events("not json"), "bad_response"),
        (as_events("null"), "bad_response"),
        (as_events({}), "bad_response"),
        (as_events(chat_completion("a"), USAGE, DONE), "bad_response"),
        (b"data: \xff\xfe\n\n", "bad_response"),
        (as_events("[" * 100_000), "bad_response"),
        (as_events(FIRST, SECOND, USAGE), "bad_response"),
        (as_events(FIRST, SECOND, DONE), "bad_response"),
        (as_events(FIRST, USAGE, DONE), "bad_response"),
        (as_events(FIRST, SECOND, FIRST, USAGE, DONE), "bad_response"),
        (as_events(*SOUND, DONE), "bad_response"),
        (as_events(*SOUND, FIRST), "bad_response"),
        (as_events(USAGE, DONE), "bad_response"),
        (as_events(DONE), "bad_response"),
        (as_events(*SOUND)[:-1], "bad_response"),
        (changed(0, choices=None), "bad_response"),
        (changed(0, choices=[{"index": 1, "text": "a", "finish_reason": None}]), "bad_response"),
        (changed(0, choices=[{"index": 0, "text": None, "finish_reason": None}]), "bad_response"),
        (changed(0, choices=[{"index": 0, "text": "\ud800"}]), "bad_response"),
        (changed(2, usage={"prompt_tokens": 7}), "bad_response"),
        (changed(2, usage={"prompt_tokens": 10**400, "completion_tokens": 5}), "bad_response"),
        (changed(0, usage={"prompt_tokens": 7, "completion_tokens": 10**400}), "bad_response"),
        (changed(2, usage={"prompt_tokens": 7, "completion_tokens": "5"}), "bad_response"),
        (changed(2, usage={"prompt_tokens": 7, "completion_tokens": 65}), "bad_response"),
        (as_events(ERROR), "failed"),
        (as_events(FIRST, ERROR, DONE), "failed"),
        (as_events(*completion_stream("a", finish_reason="abort")), "failed"),
    ],
)
async def test_a_stream_that_is_not_sound_is_a_fault(
    server: FakeVllm, engine: VllmEngine, body: bytes, reason: FaultReason
) -> None:
    server.streams(COMPLETIONS, body, "whole")
    with pytest.raises(EngineError) as caught:
        await generate(engine, [])
    assert caught.value.reason == reason
    assert str(caught.value) == f"student: {reason}"


async def test_a_stream_may_have_the_tokens_it_was_granted(
    server: FakeVllm, engine: VllmEngine
) -> None:
    body = changed(2, usage={"prompt_tokens": 7, "completion_tokens": 64})
    server.streams(COMPLETIONS, body, "whole")
    assert (await generate(engine, [])).generated_tokens == 64


async def test_a_stream_is_read_no_further_than_its_tokens_can_reach(
    server: FakeVllm, engine: VllmEngine
) -> None:
    most = 64 * CHARACTERS_PER_TOKEN
    pieces = ["a" * CHARACTERS_PER_TOKEN] * 64
    server.streams(COMPLETIONS, as_events(*completion_stream(*pieces)), "whole")
    assert (await generate(engine, [])).completions == (Completion("a" * most, "stop"),)
    reports: list[str] = []
    server.streams(COMPLETIONS, as_events(*completion_stream(*pieces, "a", "b")[:-3]), "hang")
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(EngineError, match="bad_response"):
            await generate(engine, reports, lease=Lease(2 * LIMIT_S))
        await server.aborted.wait()
    assert reports == pieces


async def test_a_stream_cut_off_is_a_bad_response(server: FakeVllm, engine: VllmEngine) -> None:
    server.streams(COMPLETIONS, as_events(*SOUND[:2]), "cut")
    reports: list[str] = []
    with pytest.raises(EngineError, match="bad_response"):
        await generate(engine, reports)
    assert reports == ["a", "b"]


async def test_a_stream_that_stops_runs_into_the_time_limit(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.streams(COMPLETIONS, as_events(*SOUND[:2]), "hang")
    with pytest.raises(EngineError, match="timeout"):
        await generate(engine, [], lease=Lease(0.1))


async def test_an_event_without_end_is_not_read_to_its_end(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.streams(COMPLETIONS, b"data: " + b"x" * MAX_EVENT_BYTES, "hang")
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(EngineError, match="bad_response"):
            await generate(engine, [], lease=Lease(2 * LIMIT_S))
        await server.aborted.wait()


@pytest.mark.parametrize("line", [b"data: ", b": comment\n\n"])
async def test_a_stream_without_end_is_not_read_to_its_end(
    server: FakeVllm, engine: VllmEngine, line: bytes
) -> None:
    server.streams(COMPLETIONS, line * (MAX_RESPONSE_BYTES // len(line) + 1), "whole")
    with pytest.raises(EngineError, match="bad_response"):
        await generate(engine, [])


def counted(tokens: int) -> bytes:
    """The beginning of a stream whose engine counts as it goes."""
    usage = {"prompt_tokens": 7, "total_tokens": 7 + tokens, "completion_tokens": tokens}
    first: Any = FIRST
    return as_events(first | {"usage": usage})


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (as_events(FIRST), 1),
        (as_events(*completion_stream("a", "", "b", "c")[:3]), 2),  # at least one for each text
        (counted(9), 9),
        (counted(9) + as_events(FIRST), 10),
        (counted(9) + as_events(ERROR), 9),
        (as_events(*SOUND[:3]), 5),
        (b"", 0),
    ],
)
@pytest.mark.parametrize("end", ["cut", "hang"])
async def test_what_a_lost_stream_has_written_is_reported(
    *, server: FakeVllm, engine: VllmEngine, body: bytes, tokens: int, end: Literal["cut", "hang"]
) -> None:
    server.streams(COMPLETIONS, body, end)
    lease = FakeLease(0.3)
    with pytest.raises(EngineError):
        await generate(engine, [], lease=lease)
    assert lease.reported.tokens == tokens


async def test_what_a_cancelled_stream_has_written_is_reported(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.streams(COMPLETIONS, counted(9), "hang")
    lease, reports = FakeLease(30.0), list[str]()
    call = asyncio.create_task(generate(engine, reports, lease=lease))
    async with asyncio.timeout(LIMIT_S):
        while not reports:
            await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert lease.reported.tokens == 9


@pytest.mark.parametrize(("status", "reason"), [(400, "rejected"), (429, "overloaded")])
async def test_a_refusal_is_a_fault_as_for_bodies(
    server: FakeVllm, engine: VllmEngine, status: int, reason: FaultReason
) -> None:
    server.sends(COMPLETIONS, as_events(*SOUND), status)
    reports: list[str] = []
    with pytest.raises(EngineError, match=reason):
        await generate(engine, reports)
    assert reports == []
