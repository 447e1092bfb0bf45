"""The retry policy and the tree of errors, without a client around them."""

import logging
from datetime import UTC, datetime

import httpx2
import pytest

from glore_client import (
    APIConnectionError,
    APIStatusError,
    GloreError,
    Problem,
    RetryPolicy,
)
from glore_client.retries import retry_after
from tests.clients.python.fakes import Connect, Gateway, error, ok
from tests.clients.python.samples import QUESTION

NOW = datetime(2026, 11, 23, 20, 0, 0, tzinfo=UTC)


def status_error(
    status: int, after: float | None = None, problem: Problem | None = None
) -> APIStatusError:
    return APIStatusError(status=status, request_id="r", problem=problem, retry_after=after)


def connection_error(cause: httpx2.RequestError) -> APIConnectionError:
    error = APIConnectionError("no answer", request_id="r")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "Mon, 23 Nov 2026 20:00:30 GMT"}, 30.0),
        ({"Retry-After": "Mon, 23 Nov 2026 19:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 23 Nov 2026 20:00:30 -0000"}, 30.0),
        (
            {
                "Retry-After": "Mon, 23 Nov 2026 21:00:05 GMT",
                "Date": "Mon, 23 Nov 2026 21:00:00 GMT",
            },
            5.0,
        ),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Mon, 23 Nov 99999999999 20:00:30 GMT"}, None),
        ({"Retry-After": "Mon, 23 Nov 2026 20:00:30 +9999999999999999"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx2.Headers(headers), NOW) == seconds


@pytest.mark.parametrize("status", [404, 405, 413, 422, 500, 504])
def test_other_statuses_are_final(status: int) -> None:
    assert RetryPolicy().wait(0, status_error(status, after=1.0)) is None


def test_student_rejected_is_final_and_other_502_are_not() -> None:
    refused = Problem(type="/problems/student-rejected", status=502)
    elsewhere = Problem(type="https://proxy.example/no-answer", status=502)
    policy = RetryPolicy()
    assert policy.wait(0, status_error(502, problem=refused)) is None
    assert policy.wait(0, status_error(502, problem=refused), repeatable=True) is None
    assert policy.wait(0, status_error(502, problem=elsewhere)) is not None


def test_only_a_call_that_never_reached_the_gateway_is_repeated() -> None:
    policy = RetryPolicy()
    assert policy.wait(0, connection_error(httpx2.ConnectError("refused"))) is not None
    assert policy.wait(0, connection_error(httpx2.ConnectTimeout("slow"))) is not None
    assert policy.wait(0, connection_error(httpx2.PoolTimeout("all in use"))) is not None
    assert policy.wait(0, connection_error(httpx2.ReadTimeout("slow"))) is None
    assert policy.wait(0, connection_error(httpx2.RemoteProtocolError("hung up"))) is None
    assert policy.wait(0, GloreError("something else", request_id="r")) is None


@pytest.mark.parametrize(
    "cause", [httpx2.ReadTimeout("slow"), httpx2.RemoteProtocolError("hung up")]
)
def test_a_repeatable_call_may_have_reached_the_gateway(cause: httpx2.RequestError) -> None:
    policy = RetryPolicy()
    assert policy.wait(0, connection_error(cause), repeatable=True) is not None
    assert policy.wait(0, status_error(409), repeatable=True) is None
    assert policy.wait(0, GloreError("x", request_id="r"), repeatable=True) is None


def test_a_retry_is_logged_with_its_reason_and_its_pause(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Gateway([httpx2.ConnectError("refused"), error(503), ok()])
    with caplog.at_level(logging.DEBUG, "glore_client"):
        connect(gateway).solve(QUESTION)
    records = [each for each in caplog.records if each.name == "glore_client"]
    assert [each.levelno for each in records] == [logging.DEBUG] * 2
    assert [each.getMessage() for each in records] == [
        "retry 1 in 0.50 s: cannot connect: refused (POST http://gateway/solve)",
        "retry 2 in 1.00 s: 503: It went wrong. (POST http://gateway/solve)",
    ]


def test_an_error_without_retry_is_not_logged(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "glore_client"), pytest.raises(APIStatusError):
        connect(Gateway([error(504)])).solve(QUESTION)
    assert not [each for each in caplog.records if each.name == "glore_client"]


def test_waits_double_up_to_a_limit_and_half_is_random() -> None:
    highest = RetryPolicy(max_retries=9, jitter=lambda: 1.0)
    waits = [highest.wait(retries, status_error(503)) for retries in range(7)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert RetryPolicy(jitter=lambda: 0.0).wait(0, status_error(503)) == 0.25


def test_the_number_of_retries_is_limited() -> None:
    assert RetryPolicy(max_retries=2).wait(2, status_error(503)) is None
    assert RetryPolicy(max_retries=0).wait(0, status_error(503)) is None


def test_retry_after_replaces_the_wait_unless_too_long() -> None:
    policy = RetryPolicy(jitter=lambda: 0.0)
    assert policy.wait(0, status_error(503, after=12.0)) == 12.0
    assert policy.wait(0, status_error(503, after=61.0)) is None
    spread = RetryPolicy(jitter=lambda: 1.0).wait(0, status_error(503, after=10.0))
    assert spread == pytest.approx(11.0)
