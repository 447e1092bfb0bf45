"""`POST /solve/batch` of both clients: lines, failures, and going on after a cut."""

import httpx2
import pytest

from glore_client import (
    Answered,
    APIConnectionError,
    APITimeoutError,
    Conflict,
    Failed,
    GatewayTimeout,
    InternalServerError,
    InvalidResponseError,
    Outcome,
    Question,
    ServiceUnavailable,
)
from tests.clients.python import samples
from tests.clients.python.fakes import LINES, Body, Caller, Gateway, error, streamed

QUESTIONS: list[str | Question] = ["One?", Question("Two?", id="b"), "Three?"]
FIRST = samples.line(1, result=samples.result(), id="b")
SECOND = samples.line(0, error=samples.problem(504, "No draft in time.", request_id="req-5"))
THIRD = samples.line(2, result=samples.result(selected=1))
LAST = samples.last_line(ok=2, errors=1)


def told(gateway: Gateway, caller: Caller, **settings: object) -> list[Outcome]:
    outcomes: list[Outcome] = []
    caller.batch(gateway, QUESTIONS, outcomes, **settings)
    return outcomes


def test_each_question_is_told_as_it_ends(caller: Caller) -> None:
    gateway = Gateway([streamed(LINES, FIRST + SECOND, THIRD + LAST)])
    first, second, third = told(gateway, caller, max_engine_calls=3)
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
def test_with_a_key_an_answer_that_was_cut_off_is_gone_on_with(
    caller: Caller, cut: tuple[bytes | Exception, ...]
) -> None:
    gateway = Gateway(
        [
            streamed(LINES, *cut),
            httpx2.ConnectError("refused"),
            streamed(LINES, FIRST + THIRD, SECOND + LAST),
        ]
    )
    outcomes = told(gateway, caller, idempotency_key="k-1")
    assert sorted(outcome.index for outcome in outcomes) == [0, 1, 2]
    assert {request.headers["Idempotency-Key"] for request in gateway.requests} == {"k-1"}
    assert len({request.content for request in gateway.requests}) == 1
    assert len({request.headers["X-Request-ID"] for request in gateway.requests}) == 1


def test_a_batch_that_broke_is_gone_on_with_under_its_key_and_else_is_an_error(
    caller: Caller,
) -> None:
    away = samples.broken_line(ok=1, errors=0, error=samples.problem(503, "Not kept now."))
    bug = samples.broken_line(ok=1, errors=0, error=samples.problem(500, "A bug."))
    whole = streamed(LINES, FIRST + SECOND + THIRD + LAST)
    gateway = Gateway([streamed(LINES, FIRST + away), whole])
    assert len(told(gateway, caller, idempotency_key="k-1")) == 3
    assert len(gateway.requests) == 2
    gateway = Gateway([streamed(LINES, FIRST + bug), whole])
    with pytest.raises(InternalServerError, match="A bug"):
        told(gateway, caller, idempotency_key="k-1")
    assert len(gateway.requests) == 1


def test_a_batch_goes_on_at_another_gateway_when_its_own_is_shut_down(caller: Caller) -> None:
    stopping = samples.problem(503, "The gateway is shutting down.", type="/problems/shutting-down")
    last = samples.broken_line(ok=1, errors=0, error=stopping)
    first = Body([FIRST + last])
    gateway = Gateway(
        [
            httpx2.Response(200, headers=LINES, stream=first),
            httpx2.ConnectError("refused"),  # nobody listens any more
            streamed(LINES, FIRST + SECOND, THIRD + LAST),
        ]
    )
    outcomes = told(gateway, caller, idempotency_key="k-1")
    assert [outcome.index for outcome in outcomes] == [1, 0, 2]
    assert {request.headers["Idempotency-Key"] for request in gateway.requests} == {"k-1"}
    assert len({request.content for request in gateway.requests}) == 1
    assert gateway.pauses == [0.5, 1.0]
    assert first.closed


def test_without_a_key_a_batch_that_broke_is_not_asked_again(caller: Caller) -> None:
    away = samples.broken_line(ok=1, errors=0, error=samples.problem(503, "Shutting down."))
    gateway = Gateway([streamed(LINES, FIRST, away)])
    outcomes: list[Outcome] = []
    with pytest.raises(ServiceUnavailable, match="Shutting down"):
        caller.batch(gateway, QUESTIONS, outcomes)
    assert len(outcomes) == 1
    assert len(gateway.requests) == 1


def test_blank_lines_are_signs_of_life_and_nothing_else(caller: Caller) -> None:
    blank = [b"\n", b"\r\n", b" ", b"\n"]
    parts = [*blank, FIRST, *blank, SECOND + b"\n" + THIRD, *blank, LAST]
    assert len(told(Gateway([streamed(LINES, *parts)]), caller)) == 3


def test_blank_lines_do_not_prolong_the_whole_batch(caller: Caller) -> None:
    gateway = Gateway([])
    beats = [part for _ in range(9) for part in (gateway.wait(3.0), b"\n")]
    gateway.answers = [streamed(LINES, FIRST, *beats)]
    with pytest.raises(APITimeoutError, match=r"was not done within 12\.0 s"):
        told(gateway, caller, idempotency_key="k-1", timeout=12.0)
    assert gateway.now == 12.0


def test_the_gateway_is_told_what_is_left_for_the_whole_batch(caller: Caller) -> None:
    answer = streamed(LINES, FIRST + SECOND + THIRD + LAST)
    gateway = Gateway([error(503), answer], seconds_per_call=1.5)
    told(gateway, caller, idempotency_key="k-1", timeout=10.0)
    left = [request.headers["Glore-Deadline-Ms"] for request in gateway.requests]
    assert left == ["9750", "7750"]


def test_retries_are_counted_anew_with_every_line(caller: Caller) -> None:
    gone = httpx2.ConnectError("refused")
    gateway = Gateway(
        [gone, gone, streamed(LINES, FIRST), gone, streamed(LINES, FIRST + SECOND + THIRD + LAST)]
    )
    assert len(told(gateway, caller, idempotency_key="k-1")) == 3
    assert gateway.pauses == [0.5, 1.0, 0.5, 1.0]


def test_a_batch_that_does_not_come_on_is_given_up(caller: Caller) -> None:
    gateway = Gateway([streamed(LINES, FIRST), *(streamed(LINES, FIRST) for _ in range(9))])
    outcomes: list[Outcome] = []
    with pytest.raises(APIConnectionError, match="the answer was cut off") as caught:
        caller.batch(gateway, QUESTIONS, outcomes, idempotency_key="k-1")
    assert [outcome.index for outcome in outcomes] == [1]
    assert len(gateway.requests) == 3
    assert caught.value.request_id == "req-1"


def test_without_a_key_nothing_is_asked_twice(caller: Caller) -> None:
    gateway = Gateway([streamed(LINES, FIRST)])
    outcomes: list[Outcome] = []
    with pytest.raises(APIConnectionError, match="the answer was cut off"):
        caller.batch(gateway, QUESTIONS, outcomes)
    assert len(outcomes) == 1
    assert len(gateway.requests) == 1


def test_a_key_of_another_batch_is_final(caller: Caller) -> None:
    gateway = Gateway([error(409)])
    with pytest.raises(Conflict):
        told(gateway, caller, idempotency_key="k-1")
    assert len(gateway.requests) == 1


def test_a_store_that_is_away_is_waited_for(caller: Caller) -> None:
    gateway = Gateway([error(503, **{"Retry-After": "5"})])
    with pytest.raises(ServiceUnavailable):
        told(gateway, caller, idempotency_key="k-1")
    assert gateway.pauses == [pytest.approx(5.5)] * 2


def test_the_whole_batch_may_have_a_timeout(caller: Caller) -> None:
    gateway = Gateway([])
    gateway.answers = [
        streamed(LINES, gateway.wait(4.0), FIRST, gateway.wait(7.0), SECOND, THIRD + LAST)
    ]
    outcomes: list[Outcome] = []
    with pytest.raises(APITimeoutError, match=r"was not done within 10\.0 s"):
        caller.batch(gateway, QUESTIONS, outcomes, idempotency_key="k-1", timeout=10.0)
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
def test_lines_of_another_service_are_refused(caller: Caller, lines: bytes, text: str) -> None:
    with pytest.raises(InvalidResponseError, match=text):
        told(Gateway([streamed(LINES, lines)]), caller)


def test_no_questions_are_not_asked(caller: Caller) -> None:
    gateway = Gateway([error(422)])
    caller.batch(gateway, [], [])
    assert gateway.requests == []


@pytest.mark.parametrize("settings", [{"timeout": 0.0}, {"silence": -1.0}, {"deadline": 0.0}])
def test_times_that_are_none_are_refused_at_once(settings: dict[str, float]) -> None:
    with Gateway([]).sync() as client, pytest.raises(ValueError, match="positive number"):
        client.solve_batch(["x"], **settings)  # type: ignore[arg-type]  # any of three floats


def test_one_text_is_not_many_questions() -> None:
    with Gateway([]).sync() as client:
        with pytest.raises(TypeError, match="not one text"):
            client.solve_batch("How many?")
        with pytest.raises(TypeError, match="not one text"):
            client.solve_many("How many?")
