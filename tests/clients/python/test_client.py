"""Both clients against the same fake gateway."""

import asyncio
import math
import traceback
from collections.abc import Callable

import httpx2
import pytest

from glore_client import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    BadGateway,
    Client,
    GatewayTimeout,
    GloreError,
    InternalServerError,
    InvalidResponseError,
    NotFound,
    RateLimited,
    Sampling,
    ServiceUnavailable,
    UnprocessableEntity,
)
from tests.clients.python import samples
from tests.clients.python.fakes import Connect, Gateway, error, ok
from tests.clients.python.samples import QUESTION


def test_the_question_is_sent_and_the_answer_returned(connect: Connect) -> None:
    gateway = Gateway([ok(selected=1)])
    result = connect(gateway).solve(QUESTION, request_id="mine")
    assert result.answer == "10"
    assert gateway.requests[0].headers["Accept"] == "application/json"
    assert str(gateway.requests[0].url) == "http://gateway/solve"
    assert gateway.requests[0].headers["X-Request-ID"] == "mine"
    assert gateway.requests[0].headers["X-Team"] == "maths"
    assert gateway.body() == {"question": QUESTION, "deadline_ms": 60000}


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_a_key_is_sent_with_every_call_and_not_shown(
    make: Callable[..., Client | AsyncClient],
) -> None:
    client = make(api_key="k-hidden", headers={"authorization": "Basic x", "X-Team": "maths"})
    assert client._http.headers["Authorization"] == "Bearer k-hidden"
    assert client._http.headers["X-Team"] == "maths"
    assert "hidden" not in repr(client) + repr(client._http.headers)
    assert "Authorization" not in make()._http.headers


@pytest.mark.parametrize("key", ["", " ", "hidden key", "hidden\r\nX: 1", "hiddän"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(ValueError, match="the API key") as caught:
        Client(api_key=key)
    assert "hidd" not in str(caught.value)


def test_a_rate_limit_has_its_retry_after(connect: Connect) -> None:
    gateway = Gateway([error(429, **{"Retry-After": "90"})])
    with pytest.raises(RateLimited) as caught:
        connect(gateway).solve(QUESTION)
    assert caught.value.retry_after == 90.0
    assert len(gateway.requests) == 1  # longer than the client would wait


def test_only_the_settings_that_were_given_are_sent(connect: Connect) -> None:
    gateway = Gateway([ok()])
    sampling = Sampling(n=4)
    connect(gateway).solve(QUESTION, strategy="best_of_n", sampling=sampling, max_engine_calls=4)
    assert gateway.body() == {
        "question": QUESTION,
        "strategy": "best_of_n",
        "sampling": {"n": 4},
        "deadline_ms": 60000,
        "max_engine_calls": 4,
    }


def test_each_attempt_sends_the_time_left_of_the_timeout(connect: Connect) -> None:
    gateway = Gateway([error(503), ok()], seconds_per_call=4.0)
    connect(gateway).solve(QUESTION, deadline=60.0, timeout=10.0)
    left = [request.headers["Glore-Deadline-Ms"] for request in gateway.requests]
    assert left == ["9750", "5250"]  # less a quarter of a second for the way back


def test_no_less_time_is_sent_than_a_gateway_accepts(connect: Connect) -> None:
    gateway = Gateway([ok()])
    connect(gateway).solve(QUESTION, timeout=0.05)
    assert gateway.requests[0].headers["Glore-Deadline-Ms"] == "100"


def test_the_timeout_follows_the_deadline(connect: Connect) -> None:
    gateway = Gateway([ok()])
    connect(gateway).solve(QUESTION, deadline=20.0)
    assert gateway.limits[0]["read"] == 25.0
    assert gateway.limits[0]["connect"] == 5.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (404, NotFound),
        (418, APIStatusError),
        (422, UnprocessableEntity),
        (500, InternalServerError),
        (504, GatewayTimeout),
    ],
)
def test_each_final_status_has_its_error(
    connect: Connect, status: int, kind: type[APIStatusError]
) -> None:
    gateway = Gateway([error(status)])
    with pytest.raises(kind) as caught:
        connect(gateway).solve(QUESTION)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.request_id == "req-9"
    assert caught.value.problem is not None
    assert caught.value.problem.detail == "It went wrong."
    assert str(caught.value).startswith(f"{status}: It went wrong.")
    assert str(caught.value).endswith(" (POST http://gateway/solve)")
    assert caught.value.method == "POST"
    assert caught.value.url == "http://gateway/solve"
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(429, RateLimited), (502, BadGateway), (503, ServiceUnavailable)]
)
def test_429_502_and_503_are_retried_twice_and_then_raised(
    connect: Connect, status: int, kind: type[APIStatusError]
) -> None:
    gateway = Gateway([error(status)])
    with pytest.raises(kind):
        connect(gateway).solve(QUESTION)
    assert len(gateway.requests) == 3
    assert gateway.pauses == [0.5, 1.0]
    ids = {request.headers["X-Request-ID"] for request in gateway.requests}
    assert len(ids) == 1


def test_a_422_names_the_fields(connect: Connect) -> None:
    fault = {"field": "sampling.n", "message": "must be at least 2"}
    body = samples.problem(422, "The request is not valid.", errors=[fault])
    with pytest.raises(UnprocessableEntity, match=r"422: sampling\.n: must be") as caught:
        connect(Gateway([httpx2.Response(422, json=body)])).solve(QUESTION)
    assert [(e.field, e.message) for e in caught.value.errors] == [
        ("sampling.n", "must be at least 2")
    ]


@pytest.mark.parametrize(("headers", "pause"), [({}, 4.4), ({"Retry-After": "2"}, 2.2)])
def test_without_the_header_the_problem_sets_the_pause(
    connect: Connect, headers: dict[str, str], pause: float
) -> None:
    body = samples.problem(503, "Busy.", retry_after=4)
    gateway = Gateway([httpx2.Response(503, json=body, headers=headers), ok()])
    connect(gateway).solve(QUESTION)
    assert gateway.pauses == [pytest.approx(pause)]


def test_a_later_attempt_has_the_time_left(connect: Connect) -> None:
    gateway = Gateway([error(503), ok()], seconds_per_call=1.5)
    connect(gateway).solve(QUESTION, deadline=10.0)
    assert gateway.body(0)["deadline_ms"] == 10000
    assert gateway.body(1)["deadline_ms"] == 8000
    assert gateway.limits[1]["read"] == pytest.approx(13.0)


def test_no_attempt_begins_without_time_left(connect: Connect) -> None:
    gateway = Gateway([error(503, **{"Retry-After": "9"})], seconds_per_call=2.0)
    with pytest.raises(ServiceUnavailable) as caught:
        connect(gateway).solve(QUESTION, deadline=10.0)
    assert caught.value.retry_after == 9.0
    assert gateway.pauses == []


def test_a_refused_connection_is_retried(connect: Connect) -> None:
    gateway = Gateway([httpx2.ConnectError("refused"), ok()])
    assert connect(gateway).solve(QUESTION).answer == "12"
    assert len(gateway.requests) == 2


def test_an_unreachable_gateway_is_a_connection_error(connect: Connect) -> None:
    gateway = Gateway([httpx2.ConnectError("refused")])
    with pytest.raises(APIConnectionError, match="cannot connect: refused") as caught:
        connect(gateway).solve(QUESTION, request_id="mine")
    assert not isinstance(caught.value, APITimeoutError)
    assert caught.value.request_id == "mine"
    assert len(gateway.requests) == 3


@pytest.mark.parametrize(
    ("cause", "kind", "text"),
    [
        (httpx2.ReadTimeout(""), APITimeoutError, r"no answer within 65\.0 s"),
        (httpx2.RemoteProtocolError("hung up"), APIConnectionError, "broke off: hung up"),
        (httpx2.ReadError(""), APIConnectionError, "broke off: ReadError"),
    ],
)
def test_a_call_that_was_sent_is_not_repeated(
    connect: Connect, cause: Exception, kind: type[GloreError], text: str
) -> None:
    gateway = Gateway([cause])
    with pytest.raises(kind, match=text):
        connect(gateway).solve(QUESTION)
    assert len(gateway.requests) == 1


def test_no_connection_in_time_is_a_timeout(connect: Connect) -> None:
    with pytest.raises(APITimeoutError, match=r"no connection within 5\.0 s"):
        connect(Gateway([httpx2.ConnectTimeout("")])).solve(QUESTION)


def test_a_winner_that_is_not_a_candidate_is_refused(connect: Connect) -> None:
    body = samples.result()
    body["selected"]["candidate"] = 3
    with pytest.raises(InvalidResponseError, match="selects a candidate"):
        connect(Gateway([httpx2.Response(200, json=body)])).solve(QUESTION)


def test_ready_gives_the_state_of_each_engine(connect: Connect) -> None:
    engines = {"generation": "ready", "scoring": "starting"}
    gateway = Gateway(
        [httpx2.Response(503, json={"status": "not_ready", "engines": engines})],
    )
    readiness = connect(gateway).ready()
    assert not readiness.ready
    assert readiness.engines == engines
    assert gateway.requests[0].url.path == "/readyz"


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_ready_refuses_an_invalid_timeout(connect: Connect, seconds: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        connect(Gateway([])).ready(timeout=seconds)


def test_ready_of_another_service_is_an_error(connect: Connect) -> None:
    with pytest.raises(InvalidResponseError):
        connect(Gateway([httpx2.Response(200, text="ok")])).ready()
    with pytest.raises(NotFound):
        connect(Gateway([error(404)])).ready()
    with pytest.raises(ServiceUnavailable):
        connect(Gateway([httpx2.Response(503, text="maintenance")])).ready()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_no_proxy_is_used_for_this_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    with Client(f"http://{host}:8000") as client:
        assert not client._http.trust_env
    with Client("http://gateway.example") as client:
        assert client._http.trust_env


async def test_a_cancelled_call_stops() -> None:
    started = asyncio.Event()

    async def handle(_request: httpx2.Request) -> httpx2.Response:
        started.set()
        await asyncio.Event().wait()
        return ok()

    async with AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        call = asyncio.create_task(client.solve(QUESTION))
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


def test_all_frames_of_a_sync_call_are_on_the_stack_of_the_caller() -> None:
    stack: list[str] = []

    def handle(_request: httpx2.Request) -> httpx2.Response:
        frames = traceback.extract_stack()
        stack.extend(frame.name for frame in frames if "glore_client" in frame.filename)
        return ok()

    with Client(transport=httpx2.MockTransport(handle)) as client:
        client.solve(QUESTION)
    assert stack == ["checked", "solve", "run_blocking", "solve", "send", "send"]
