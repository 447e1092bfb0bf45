"""Streams of both clients: what is told, what is raised, what is tried again."""

import asyncio
import time
from typing import Any

import httpx2
import pytest

from glore_client import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    Client,
    DoneEvent,
    DraftDelta,
    DraftWritten,
    FirstError,
    GatewayTimeout,
    GloreError,
    InvalidResponseError,
    RefinedDelta,
    RefinedWritten,
    SelectedEvent,
    ServiceUnavailable,
    SolveResult,
    StepScores,
    UnprocessableEntity,
)
from tests.clients.python import samples
from tests.clients.python.fakes import EVENTS, Body, Caller, Gateway, Heard, error, streamed
from tests.clients.python.samples import QUESTION
from tests.clients.python.sockets import Server, serving

RESULT = samples.result(selected=1)
STORY = samples.told(RESULT)
TEXT = samples.as_events(STORY)
WRONG = {**RESULT, "selected": {**RESULT["selected"], "candidate": 9}}
HEARTBEAT = b": heartbeat\n\n"


def answered(gateway: Gateway, caller: Caller, **settings: Any) -> Heard:
    heard = Heard()
    caller.stream(gateway, heard, **settings)
    return heard


def test_every_event_comes_typed_and_in_order(caller: Caller) -> None:
    gateway = Gateway([streamed(EVENTS, TEXT)])
    heard = answered(gateway, caller, request_id="mine")
    kinds = [DraftDelta, DraftDelta, DraftWritten, StepScores, FirstError, RefinedDelta]
    kinds += [RefinedWritten, RefinedDelta, RefinedWritten, SelectedEvent, DoneEvent]
    assert [type(event) for event in heard.events] == kinds
    assert [event.event for event in heard.events] == [name for name, _ in STORY]
    assert heard.result == SolveResult.model_validate(RESULT)
    assert heard.request_id == "req-1"
    assert gateway.requests[0].headers["Accept"] == "text/event-stream"
    assert gateway.requests[0].headers["X-Request-ID"] == "mine"
    assert gateway.requests[0].headers["Glore-Deadline-Ms"] == "64750"
    assert gateway.body() == {"question": QUESTION, "deadline_ms": 60000}


def test_events_hold_what_was_sent(caller: Caller) -> None:
    heard = answered(Gateway([streamed(EVENTS, TEXT)]), caller)
    named = {"selected": "selected", "done": "result"}
    for event, (name, data) in zip(heard.events, STORY, strict=True):
        held = {named[name]: data} if name in named else data
        assert event.model_dump(mode="json", exclude={"event"}) == held


def test_cuts_and_heartbeats_make_no_difference(caller: Caller) -> None:
    whole = answered(Gateway([streamed(EVENTS, TEXT)]), caller)
    pieces = [HEARTBEAT, *(TEXT[i : i + 7] for i in range(0, len(TEXT), 7))]
    assert answered(Gateway([streamed(EVENTS, *pieces)]), caller) == whole


def test_events_of_a_newer_gateway_are_left_out(caller: Caller) -> None:
    story = [STORY[0], ("joules", {"spent": 3}), ("message", {}), *STORY[1:]]
    heard = answered(Gateway([streamed(EVENTS, samples.as_events(story))]), caller)
    assert len(heard.events) == len(STORY)


def test_what_is_refused_before_the_question_has_its_turn_is_raised_on_entering(
    caller: Caller,
) -> None:
    gateway = Gateway([error(422)])
    heard = Heard()
    with pytest.raises(UnprocessableEntity, match="It went wrong") as caught:
        caller.stream(gateway, heard)
    assert caught.value.request_id == "req-9"
    assert heard == Heard()


@pytest.mark.parametrize(("status", "kind"), [(503, ServiceUnavailable), (504, GatewayTimeout)])
def test_an_error_in_mid_stream_is_the_error_of_its_status(
    caller: Caller, status: int, kind: type[GloreError]
) -> None:
    story = [STORY[0], ("error", samples.problem(status, "Gone.", request_id="req-7"))]
    gateway = Gateway([streamed(EVENTS, samples.as_events(story))])
    heard = Heard()
    with pytest.raises(kind, match=f"{status}: Gone") as caught:
        caller.stream(gateway, heard)
    assert caught.value.request_id == "req-7"
    assert len(heard.events) == 1
    assert len(gateway.requests) == 1  # something was told already


def test_an_error_before_anything_was_told_is_tried_again_if_it_says_not_now(
    caller: Caller,
) -> None:
    refused = samples.as_events([("error", samples.problem(503, "No draft."))])
    gateway = Gateway([streamed(EVENTS, HEARTBEAT, refused), streamed(EVENTS, TEXT)])
    heard = answered(gateway, caller)
    assert len(heard.events) == len(STORY)
    assert gateway.pauses == [0.5]


def test_an_error_in_a_stream_says_when_to_come_again(caller: Caller) -> None:
    busy = samples.as_events([("error", samples.problem(503, "No turn.", retry_after=3))])
    gateway = Gateway([streamed(EVENTS, HEARTBEAT, busy), streamed(EVENTS, TEXT)])
    answered(gateway, caller)
    assert gateway.pauses == [pytest.approx(3.3)]
    gateway = Gateway([streamed(EVENTS, samples.as_events(STORY[:1]), busy)])
    with pytest.raises(ServiceUnavailable) as caught:
        answered(gateway, caller)
    assert caught.value.retry_after == 3.0
    assert gateway.pauses == []


def test_not_now_and_nobody_there_are_tried_again(caller: Caller) -> None:
    gateway = Gateway(
        [
            httpx2.ConnectError("refused"),
            error(503, **{"Retry-After": "2"}),
            streamed(EVENTS, TEXT),
        ],
        seconds_per_call=1.5,
    )
    heard = answered(gateway, caller, deadline=20.0)
    assert heard.result is not None
    assert gateway.pauses == [0.5, pytest.approx(2.2)]
    assert [gateway.body(i)["deadline_ms"] for i in range(3)] == [20000, 18000, 14300]


@pytest.mark.parametrize("told", [b"", HEARTBEAT, samples.as_events(STORY[:1]), TEXT[:-1]])
def test_a_stream_that_is_cut_off_is_a_connection_error_and_not_repeated(
    caller: Caller, told: bytes
) -> None:
    gateway = Gateway([streamed(EVENTS, told)])
    with pytest.raises(APIConnectionError, match="the answer was cut off") as caught:
        caller.stream(gateway, Heard())
    assert not isinstance(caught.value, APITimeoutError)
    assert caught.value.request_id == "req-1"
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    ("cause", "kind", "text"),
    [
        (httpx2.ReadError("reset"), APIConnectionError, "broke off: reset"),
        (httpx2.ReadTimeout(""), APITimeoutError, r"not a sign of life within 7\.0 s"),
    ],
)
def test_what_the_transport_says_in_mid_stream_is_told(
    caller: Caller, cause: Exception, kind: type[GloreError], text: str
) -> None:
    gateway = Gateway([streamed(EVENTS, TEXT[:200], cause)])
    with pytest.raises(kind, match=text) as caught:
        caller.stream(gateway, Heard(), silence=7.0)
    assert caught.value.request_id == "req-1"
    assert caught.value.__cause__ is cause


def test_heartbeats_do_not_prolong_the_whole_call(caller: Caller) -> None:
    gateway = Gateway([])
    beats = [part for _ in range(9) for part in (gateway.wait(3.0), HEARTBEAT)]
    gateway.answers = [streamed(EVENTS, *beats)]
    with pytest.raises(APITimeoutError, match=r"no answer within 12\.0 s") as caught:
        caller.stream(gateway, Heard(), timeout=12.0)
    assert gateway.now == 12.0
    assert caught.value.request_id == "req-1"


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (b"event: done\ndata: {}\n\n", "not a result of this API"),
        (b"event: draft\ndata: no JSON\n\n", "not a result of this API"),
        (b"event: error\ndata: {}\n\n", "a problem without a status"),
        (samples.as_events([("done", WRONG)]), "selects a candidate"),
    ],
)
def test_an_event_that_is_none_of_this_api_is_refused(
    caller: Caller, told: bytes, text: str
) -> None:
    with pytest.raises(InvalidResponseError, match=text):
        caller.stream(Gateway([streamed(EVENTS, told)]), Heard())


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"status_code": 200, "json": RESULT}, "is application/json, not text/event-stream"),
        ({"status_code": 200}, "is of no type"),
        ({"status_code": 204}, "status 204"),
    ],
)
def test_an_answer_without_events_is_refused(
    caller: Caller, answer: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidResponseError, match=text):
        caller.stream(Gateway([httpx2.Response(**answer)]), Heard())


def test_an_event_that_never_ends_is_given_up(caller: Caller) -> None:
    endless = [b"data: " + b"x" * 500_000] * 12
    with pytest.raises(InvalidResponseError, match="an event of more than 4194304 bytes"):
        caller.stream(Gateway([streamed(EVENTS, *endless)]), Heard())


def test_there_is_no_result_before_the_end() -> None:
    with Gateway([streamed(EVENTS, TEXT)]).sync() as client, client.stream(QUESTION) as stream:
        next(stream)
        with pytest.raises(RuntimeError, match="iterate to the end"):
            _ = stream.result


def test_leaving_the_block_closes_the_connection() -> None:
    body = Body([TEXT])
    gateway = Gateway([httpx2.Response(200, headers=EVENTS, stream=body)])
    with gateway.sync() as client, client.stream(QUESTION) as stream:
        next(stream)
        assert not body.closed
    assert body.closed


async def test_leaving_the_block_closes_the_connection_without_await() -> None:
    body = Body([TEXT])
    gateway = Gateway([httpx2.Response(200, headers=EVENTS, stream=body)])
    async with gateway.asynchronous() as client, client.stream(QUESTION) as stream:
        await anext(stream)
        assert not body.closed
    assert body.closed


def test_a_stream_can_be_iterated_without_a_block() -> None:
    with Gateway([streamed(EVENTS, TEXT)]).sync() as client:
        stream = client.stream(QUESTION)
        assert len(list(stream)) == len(STORY)
        assert stream.result.answer == "10"


def listen(server: Server, *, is_async: bool, silence: float) -> None:
    if not is_async:
        with Client(server.url) as client, client.stream(QUESTION, silence=silence) as stream:
            list(stream)
        return

    async def ask() -> None:
        async with (
            AsyncClient(server.url) as client,
            client.stream(QUESTION, silence=silence) as stream,
        ):
            async for _ in stream:
                pass

    asyncio.run(ask())


def test_silence_on_a_real_connection_ends_the_call(caller: Caller) -> None:
    with serving(HEARTBEAT, 60.0) as server:
        started = time.monotonic()
        with pytest.raises(APITimeoutError, match=r"not a sign of life within 0\.3 s"):
            listen(server, is_async=caller.is_async, silence=0.3)
        assert 0.25 < time.monotonic() - started < 20.0


def test_heartbeats_on_a_real_connection_are_signs_of_life(caller: Caller) -> None:
    beats = [each for _ in range(20) for each in (HEARTBEAT, 0.1)]
    with serving(*beats, TEXT) as server:
        listen(server, is_async=caller.is_async, silence=1.5)


def test_a_gateway_notices_at_once_that_it_was_left() -> None:
    beats = [each for _ in range(3000) for each in (HEARTBEAT, 0.01)]
    with serving(samples.as_events(STORY[:1]), *beats) as server:
        with Client(server.url) as client, client.stream(QUESTION) as stream:
            next(stream)
        assert server.left.wait(20.0)


async def test_a_cancelled_stream_is_left() -> None:
    beats = [each for _ in range(3000) for each in (HEARTBEAT, 0.01)]
    with serving(*beats) as server:
        async with AsyncClient(server.url) as client:

            async def ask() -> None:
                async with client.stream(QUESTION) as stream:
                    await anext(stream)

            call = asyncio.create_task(ask())
            await asyncio.sleep(0.2)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(server.left.wait, 20.0)
