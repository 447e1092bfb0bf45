"""`POST /solve/batch` of both clients: lines, errors, and continuing after a break."""

from typing import Any

import httpx2
import pytest

from glore_client import (
    Answered,
    APIConnectionError,
    APITimeoutError,
    Conflict,
    Failed,
    GatewayTimeout,
    GloreError,
    InternalServerError,
    InvalidResponseError,
    Outcome,
    Question,
    ServiceUnavailable,
)
from tests.clients.python import samples
from tests.clients.python.fakes import LINES, Body, Connect, Gateway, error, streamed

QUESTIONS: list[str | Question] = ["One?", Question("Two?", id="b"), "Three?"]
FIRST = samples.line(1, result=samples.result(), id="b")
SECOND = samples.line(0, error=samples.problem(504, "No draft in time.", request_id="req-5"))
THIRD = samples.line(2, result=samples.result(selected=1))
LAST = samples.last_line(ok=2, errors=1)


def test_outcomes_come_as_the_questions_end(connect: Connect) -> None:
    gateway = Gateway([streamed(LINES, FIRST + SECOND, THIRD + LAST)])
    first, second, third = list(connect(gateway).solve_batch(QUESTIONS, max_engine_calls=3))
    assert isinstance(first, Answered)
    assert (first.index, first.question, first.result.answer) == (1, QUESTIONS[1], "12")
    assert isinstance(second, Failed)
    assert (second.index, second.question.text) == (0, "One?")
    assert isinstance(second.error, GatewayTimeout)
    assert second.error.request_id == "req-5"
    assert isinstance(third, Answered)
    assert str(gateway.requests[0].url) == "http://gateway/solve/batch"
    assert gateway.requests[0].headers["Accept"] == "application/x-ndjson"
    assert "Idempotency-Key" not in gateway.requests[0].headers
    assert "Glore-Deadline-Ms" not in gateway.requests[0].headers  # there is no timeout
    assert gateway.body() == {
        "questions": [
            {"question": "One?"},
            {"question": "Two?", "id": "b"},
            {"question": "Three?"},
        ],
        "deadline_ms": 60000,
        "max_engine_calls": 3,
    }


@pytest.mark.parametrize(
    "cut",
    [
        (FIRST,),
        (FIRST + SECOND[:30],),
        (FIRST, httpx2.ReadError("reset")),
        (FIRST, httpx2.ReadTimeout("")),
        (FIRST, SECOND + THIRD),  # all but the end
    ],
)
def test_with_a_key_a_batch_that_was_cut_off_continues(
    connect: Connect, cut: tuple[bytes | Exception, ...]
) -> None:
    gateway = Gateway(
        [
            streamed(LINES, *cut),
            httpx2.ConnectError("refused"),
            streamed(LINES, FIRST + THIRD, SECOND + LAST),
        ]
    )
    outcomes = list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))
    assert sorted(outcome.index for outcome in outcomes) == [0, 1, 2]
    assert {request.headers["Idempotency-Key"] for request in gateway.requests} == {"k-1"}
    assert len({request.content for request in gateway.requests}) == 1
    assert len({request.headers["X-Request-ID"] for request in gateway.requests}) == 1


def test_with_a_key_a_batch_continues_after_503_but_not_after_500(
    connect: Connect,
) -> None:
    busy = samples.broken_line(ok=1, errors=0, error=samples.problem(503, "Not stored now."))
    bug = samples.broken_line(ok=1, errors=0, error=samples.problem(500, "A bug."))
    whole = streamed(LINES, FIRST + SECOND + THIRD + LAST)
    gateway = Gateway([streamed(LINES, FIRST + busy), whole])
    assert len(list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))) == 3
    assert len(gateway.requests) == 2
    gateway = Gateway([streamed(LINES, FIRST + bug), whole])
    with pytest.raises(InternalServerError, match="A bug"):
        list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))
    assert len(gateway.requests) == 1


def test_a_batch_continues_at_another_gateway_when_its_own_shuts_down(connect: Connect) -> None:
    stopping = samples.problem(503, "The gateway is shutting down.", type="/problems/shutting-down")
    last = samples.broken_line(ok=1, errors=0, error=stopping)
    first = Body([FIRST + last])
    gateway = Gateway(
        [
            httpx2.Response(200, headers=LINES, stream=first),
            httpx2.ConnectError("refused"),  # no process listens any more
            streamed(LINES, FIRST + SECOND, THIRD + LAST),
        ]
    )
    outcomes = list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))
    assert [outcome.index for outcome in outcomes] == [1, 0, 2]
    assert {request.headers["Idempotency-Key"] for request in gateway.requests} == {"k-1"}
    assert len({request.content for request in gateway.requests}) == 1
    assert gateway.pauses == [0.5, 1.0]
    assert first.closed


@pytest.mark.parametrize(
    ("end", "kind", "text"),
    [
        (b"", APIConnectionError, "the answer was cut off"),
        (
            samples.broken_line(ok=1, errors=0, error=samples.problem(503, "Shutting down.")),
            ServiceUnavailable,
            "Shutting down",
        ),
    ],
)
def test_without_a_key_a_batch_that_ended_early_is_not_repeated(
    connect: Connect, end: bytes, kind: type[GloreError], text: str
) -> None:
    gateway = Gateway([streamed(LINES, FIRST, end)])
    outcomes: list[Outcome] = []
    with pytest.raises(kind, match=text):
        outcomes.extend(connect(gateway).solve_batch(QUESTIONS))
    assert len(outcomes) == 1
    assert len(gateway.requests) == 1


def test_blank_lines_are_ignored(connect: Connect) -> None:
    blank = [b"\n", b"\r\n", b" ", b"\n"]
    parts = [*blank, FIRST, *blank, SECOND + b"\n" + THIRD, *blank, LAST]
    assert len(list(connect(Gateway([streamed(LINES, *parts)])).solve_batch(QUESTIONS))) == 3


def test_each_attempt_sends_the_time_left_for_the_whole_batch(connect: Connect) -> None:
    answer = streamed(LINES, FIRST + SECOND + THIRD + LAST)
    gateway = Gateway([error(503), answer], seconds_per_call=1.5)
    list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1", timeout=10.0))
    left = [request.headers["Glore-Deadline-Ms"] for request in gateway.requests]
    assert left == ["9750", "7750"]


def test_each_line_restores_the_retries(connect: Connect) -> None:
    gone = httpx2.ConnectError("refused")
    gateway = Gateway(
        [gone, gone, streamed(LINES, FIRST), gone, streamed(LINES, FIRST + SECOND + THIRD + LAST)]
    )
    assert len(list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))) == 3
    assert gateway.pauses == [0.5, 1.0, 0.5, 1.0]


def test_a_batch_without_progress_ends_after_its_retries(connect: Connect) -> None:
    gateway = Gateway([streamed(LINES, FIRST), *(streamed(LINES, FIRST) for _ in range(9))])
    outcomes: list[Outcome] = []
    with pytest.raises(APIConnectionError, match="the answer was cut off") as caught:
        outcomes.extend(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))
    assert [outcome.index for outcome in outcomes] == [1]
    assert len(gateway.requests) == 3
    assert caught.value.request_id == "req-1"


def test_a_key_of_another_batch_is_final(connect: Connect) -> None:
    gateway = Gateway([error(409)])
    with pytest.raises(Conflict):
        list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))
    assert len(gateway.requests) == 1


def test_a_batch_waits_for_the_store(connect: Connect) -> None:
    gateway = Gateway([error(503, **{"Retry-After": "5"})])
    with pytest.raises(ServiceUnavailable):
        list(connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1"))
    assert gateway.pauses == [pytest.approx(5.5)] * 2


def test_the_whole_batch_may_have_a_timeout(connect: Connect) -> None:
    gateway = Gateway([])
    gateway.answers = [
        streamed(LINES, gateway.wait(4.0), FIRST, gateway.wait(7.0), SECOND, THIRD + LAST)
    ]
    outcomes: list[Outcome] = []
    with pytest.raises(APITimeoutError, match=r"was not done within 10\.0 s"):
        outcomes.extend(
            connect(gateway).solve_batch(QUESTIONS, idempotency_key="k-1", timeout=10.0)
        )
    assert len(outcomes) == 2
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (FIRST + LAST, "ended without 2 of its questions"),
        (b'{"index": 1}\n', "not a result of this API"),
        (b"hello\n", "not a result of this API"),
        (samples.line(0), "not a result of this API"),
    ],
)
def test_lines_of_another_service_are_refused(connect: Connect, lines: bytes, text: str) -> None:
    with pytest.raises(InvalidResponseError, match=text):
        list(connect(Gateway([streamed(LINES, lines)])).solve_batch(QUESTIONS))


def test_an_empty_batch_is_not_sent(connect: Connect) -> None:
    gateway = Gateway([error(422)])
    list(connect(gateway).solve_batch([]))
    assert gateway.requests == []


@pytest.mark.parametrize("settings", [{"timeout": 0.0}, {"silence": -1.0}, {"deadline": 0.0}])
def test_invalid_times_are_refused_by_the_call(connect: Connect, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="positive number"):
        connect(Gateway([])).solve_batch(["x"], **settings)


@pytest.mark.parametrize("call", ["solve_batch", "solve_many"])
def test_a_text_in_place_of_questions_is_refused_by_the_call(connect: Connect, call: str) -> None:
    with pytest.raises(TypeError, match="not one text"):
        getattr(connect(Gateway([])), call)("How many?")
