"""Streams of both clients: events, errors, retries."""

import asyncio
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
    SolveEvent,
    SolveResult,
    StepScores,
    UnprocessableEntity,
)
from tests.clients.python import samples
from tests.clients.python.fakes import (
    EVENTS,
    Body,
    Connect,
    Gateway,
    error,
    read_stream,
    streamed,
)
from tests.clients.python.samples import QUESTION
from tests.clients.python.sockets import serving

RESULT = samples.result(selected=1)
STORY = samples.events_of(RESULT)
TEXT = samples.as_events(STORY)
WRONG = {**RESULT, "selected": {**RESULT["selected"], "candidate": 9}}
HEARTBEAT = b": heartbeat\n\n"


def test_every_event_comes_typed_and_in_order(connect: Connect) -> None:
    gateway = Gateway([streamed(EVENTS, TEXT)])
    events: list[SolveEvent] = []
    stream = read_stream(connect(gateway), events, request_id="mine")
    kinds = [DraftDelta, DraftDelta, DraftWritten, StepScores, FirstError, RefinedDelta]
    kinds += [RefinedWritten, RefinedDelta, RefinedWritten, SelectedEvent, DoneEvent]
    assert [type(event) for event in events] == kinds
    assert [event.event for event in events] == [name for name, _ in STORY]
    assert stream.result == SolveResult.model_validate(RESULT)
    assert stream.request_id == "req-1"
    assert gateway.requests[0].headers["Accept"] == "text/event-stream"
    assert gateway.requests[0].headers["X-Request-ID"] == "mine"
    assert gateway.requests[0].headers["Glore-Deadline-Ms"] == "64750"
    assert gateway.body() == {"question": QUESTION, "deadline_ms": 60000}


def test_events_hold_what_was_sent(connect: Connect) -> None:
    events: list[SolveEvent] = []
    read_stream(connect(Gateway([streamed(EVENTS, TEXT)])), events)
    named = {"selected": "selected", "done": "result"}
    for event, (name, data) in zip(events, STORY, strict=True):
        fields = {named[name]: data} if name in named else data
        assert event.model_dump(mode="json", exclude={"event"}) == fields


def test_cuts_and_heartbeats_make_no_difference(connect: Connect) -> None:
    whole: list[SolveEvent] = []
    cut: list[SolveEvent] = []
    read_stream(connect(Gateway([streamed(EVENTS, TEXT)])), whole)
    pieces = [HEARTBEAT, *(TEXT[i : i + 7] for i in range(0, len(TEXT), 7))]
    read_stream(connect(Gateway([streamed(EVENTS, *pieces)])), cut)
    assert cut == whole


def test_events_of_a_newer_gateway_are_left_out(connect: Connect) -> None:
    story = [STORY[0], ("joules", {"count": 3}), ("message", {}), *STORY[1:]]
    events: list[SolveEvent] = []
    read_stream(connect(Gateway([streamed(EVENTS, samples.as_events(story))])), events)
    assert len(events) == len(STORY)


def test_a_refusal_before_the_question_has_its_slot_is_raised_on_entering(
    connect: Connect,
) -> None:
    stream = connect(Gateway([error(422)])).stream(QUESTION)
    with pytest.raises(UnprocessableEntity, match="It went wrong") as caught:
        stream.__enter__()
    assert caught.value.request_id == "req-9"
    assert stream.request_id is None


@pytest.mark.parametrize(("status", "kind"), [(503, ServiceUnavailable), (504, GatewayTimeout)])
def test_an_error_in_mid_stream_is_the_error_of_its_status(
    connect: Connect, status: int, kind: type[GloreError]
) -> None:
    story = [STORY[0], ("error", samples.problem(status, "Gone.", request_id="req-7"))]
    gateway = Gateway([streamed(EVENTS, samples.as_events(story))])
    events: list[SolveEvent] = []
    with pytest.raises(kind, match=f"{status}: Gone") as caught:
        read_stream(connect(gateway), events)
    assert caught.value.request_id == "req-7"
    assert len(events) == 1
    assert len(gateway.requests) == 1  # an event had come


def test_an_error_before_the_first_event_is_retried_if_its_status_allows_it(
    connect: Connect,
) -> None:
    refused = samples.as_events([("error", samples.problem(503, "No draft."))])
    gateway = Gateway([streamed(EVENTS, HEARTBEAT, refused), streamed(EVENTS, TEXT)])
    events: list[SolveEvent] = []
    read_stream(connect(gateway), events)
    assert len(events) == len(STORY)
    assert gateway.pauses == [0.5]


def test_retry_after_in_a_stream_sets_the_pause(connect: Connect) -> None:
    busy = samples.as_events([("error", samples.problem(503, "No turn.", retry_after=3))])
    gateway = Gateway([streamed(EVENTS, HEARTBEAT, busy), streamed(EVENTS, TEXT)])
    read_stream(connect(gateway))
    assert gateway.pauses == [pytest.approx(3.3)]
    gateway = Gateway([streamed(EVENTS, samples.as_events(STORY[:1]), busy)])
    with pytest.raises(ServiceUnavailable) as caught:
        read_stream(connect(gateway))
    assert caught.value.retry_after == 3.0
    assert gateway.pauses == []


def test_503_and_a_refused_connection_are_retried(connect: Connect) -> None:
    gateway = Gateway(
        [
            httpx2.ConnectError("refused"),
            error(503, **{"Retry-After": "2"}),
            streamed(EVENTS, TEXT),
        ],
        seconds_per_call=1.5,
    )
    assert read_stream(connect(gateway), deadline=20.0).result.answer == "10"
    assert gateway.pauses == [0.5, pytest.approx(2.2)]
    assert [gateway.body(i)["deadline_ms"] for i in range(3)] == [20000, 18000, 14300]


@pytest.mark.parametrize("sent", [b"", HEARTBEAT, samples.as_events(STORY[:1]), TEXT[:-1]])
def test_a_stream_that_is_cut_off_is_a_connection_error_and_not_repeated(
    connect: Connect, sent: bytes
) -> None:
    gateway = Gateway([streamed(EVENTS, sent)])
    with pytest.raises(APIConnectionError, match="the answer was cut off") as caught:
        read_stream(connect(gateway))
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
def test_an_error_of_the_transport_in_mid_stream_is_raised_as_ours(
    connect: Connect, cause: Exception, kind: type[GloreError], text: str
) -> None:
    gateway = Gateway([streamed(EVENTS, TEXT[:200], cause)])
    with pytest.raises(kind, match=text) as caught:
        read_stream(connect(gateway), silence=7.0)
    assert caught.value.request_id == "req-1"
    assert caught.value.__cause__ is cause


def test_heartbeats_do_not_prolong_the_whole_call(connect: Connect) -> None:
    gateway = Gateway([])
    beats = [part for _ in range(9) for part in (gateway.wait(3.0), HEARTBEAT)]
    gateway.answers = [streamed(EVENTS, *beats)]
    with pytest.raises(APITimeoutError, match=r"no answer within 12\.0 s") as caught:
        read_stream(connect(gateway), timeout=12.0)
    assert gateway.now == 12.0
    assert caught.value.request_id == "req-1"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"event: done\ndata: {}\n\n", "not a result of this API"),
        (b"event: draft\ndata: no JSON\n\n", "not a result of this API"),
        (b"event: error\ndata: {}\n\n", "a problem without a status"),
        (samples.as_events([("done", WRONG)]), "selects a candidate"),
    ],
)
def test_an_event_that_is_not_of_this_api_is_refused(
    connect: Connect, sent: bytes, text: str
) -> None:
    with pytest.raises(InvalidResponseError, match=text):
        read_stream(connect(Gateway([streamed(EVENTS, sent)])))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"status_code": 200, "json": RESULT}, "is application/json, not text/event-stream"),
        ({"status_code": 200}, "is of no type"),
        ({"status_code": 204}, "status 204"),
    ],
)
def test_an_answer_without_events_is_refused(
    connect: Connect, answer: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidResponseError, match=text):
        read_stream(connect(Gateway([httpx2.Response(**answer)])))


def test_an_endless_event_is_refused(connect: Connect) -> None:
    endless = [b"data: " + b"x" * 500_000] * 12
    with pytest.raises(InvalidResponseError, match="an event of more than 4194304 bytes"):
        read_stream(connect(Gateway([streamed(EVENTS, *endless)])))


def test_there_is_no_result_before_the_end(connect: Connect) -> None:
    with connect(Gateway([streamed(EVENTS, TEXT)])).stream(QUESTION) as stream:
        next(stream)
        with pytest.raises(RuntimeError, match="iterate to the end"):
            _ = stream.result


def test_leaving_the_block_closes_the_connection(connect: Connect) -> None:
    body = Body([TEXT])
    gateway = Gateway([httpx2.Response(200, headers=EVENTS, stream=body)])
    with connect(gateway).stream(QUESTION) as stream:
        next(stream)
        assert not body.closed
    assert body.closed


async def test_leaving_a_sync_block_in_an_event_loop_closes_the_connection() -> None:
    body = Body([TEXT])
    response = httpx2.Response(200, headers=EVENTS, stream=body)
    with Client(transport=httpx2.MockTransport(lambda _: response)) as client:
        with client.stream(QUESTION) as stream:
            next(stream)
        assert body.closed


def test_a_sync_stream_that_is_dropped_closes_its_connection() -> None:
    body = Body([TEXT])
    response = httpx2.Response(200, headers=EVENTS, stream=body)
    with Client(transport=httpx2.MockTransport(lambda _: response)) as client:
        next(client.stream(QUESTION))
        assert body.closed


def test_a_stream_can_be_iterated_without_a_block(connect: Connect) -> None:
    stream = connect(Gateway([streamed(EVENTS, TEXT)])).stream(QUESTION)
    assert len(list(stream)) == len(STORY)
    assert stream.result.answer == "10"


def test_the_gateway_sees_at_once_that_the_block_was_left(connect: Connect) -> None:
    beats = (HEARTBEAT, 0.01) * 3000
    with serving(samples.as_events(STORY[:1]), *beats) as server:
        with connect(server.url).stream(QUESTION) as stream:
            next(stream)
        assert server.left.wait(20.0)


async def test_a_cancelled_stream_closes_its_connection() -> None:
    async def read() -> None:
        async with client.stream(QUESTION) as stream:
            await anext(stream)

    with serving(*(HEARTBEAT, 0.01) * 3000) as server:
        async with AsyncClient(server.url) as client:
            call = asyncio.create_task(read())
            await asyncio.to_thread(server.begun.wait, 20.0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(server.left.wait, 20.0)
