"""`POST /solve` as a stream of events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Message

from glore.api import disconnect
from glore.api.events import EVENTS
from glore.app import create_app
from glore.settings import Settings
from glore.telemetry.logs import JsonFormatter
from tests.service.api.asgi import Exchange
from tests.service.fakes import DRAFT, GLOBAL, LOCAL_TAIL, QUESTION, FakeEngines

BODY: dict[str, Any] = {"question": QUESTION}
EVENT_STREAM = {"Accept": "text/event-stream"}
LIMIT_S = 30.0  # ends a test that hangs; generous, for machines that are busy


class Told(BaseModel):
    """One event, as it came; its data is of the shape that its name promises."""

    id: int
    event: str
    data: dict[str, Any]

    @classmethod
    def of(cls, block: str) -> Self:
        number, name, data = (line.split(": ", maxsplit=1)[1] for line in block.split("\n"))
        reported = cls(id=int(number), event=name, data=json.loads(data))
        shape = EVENTS[name].model_validate(reported.data)
        assert shape.model_dump(mode="json", exclude_none=name == "error") == reported.data
        return reported


def reported_in(text: str) -> list[Told]:
    """The events of a whole answer, numbered from 1; comments are left out."""
    *blocks, rest = text.split("\n\n")
    assert rest == ""
    reported = [Told.of(block) for block in blocks if not block.startswith(":")]
    assert [each.id for each in reported] == list(range(1, len(reported) + 1))
    return reported


async def ask(client: httpx2.AsyncClient, **body: object) -> list[Told]:
    response = await client.post("/solve", json=BODY | body, headers=EVENT_STREAM)
    assert response.status_code == 200, response.text
    return reported_in(response.text)


def names(reported: list[Told]) -> list[str]:
    return [each.event for each in reported]


def only(reported: list[Told], name: str) -> dict[str, Any]:
    (found,) = (each.data for each in reported if each.event == name)
    return found


def written(reported: list[Told], name: str, **also: str) -> str:
    """The text of all deltas of one kind."""
    return "".join(
        each.data["text"]
        for each in reported
        if each.event == name and also.items() <= each.data.items()
    )


@asynccontextmanager
async def gateway(
    settings: Settings, engines: FakeEngines, **changes: object
) -> AsyncIterator[FastAPI]:
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway")


def log_line(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The log line of the only request."""
    (record,) = (each for each in caplog.records if each.getMessage() == "request")
    line: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return line


# --- events ------------------------------------------------------------------------------


async def test_a_question_is_reported_from_the_draft_to_the_answer(
    client: httpx2.AsyncClient,
) -> None:
    reported = await ask(client)
    order = list(dict.fromkeys(names(reported)))
    assert order[:2] == ["draft.delta", "draft"]
    assert order[-2:] == ["selected", "done"]
    assert set(order) == set(EVENTS) - {"error"}
    assert written(reported, "draft.delta") == DRAFT
    assert written(reported, "refined.delta", kind="global_refinement") == GLOBAL
    assert written(reported, "refined.delta", kind="local_refinement") == LOCAL_TAIL
    done = only(reported, "done")
    assert only(reported, "selected") == done["selected"]
    assert only(reported, "draft")["candidate"] == done["candidates"][0] | {"outcome_score": None}
    assert only(reported, "draft")["samples"] == []
    assert only(reported, "draft")["steps"] == [step["text"] for step in done["draft"]["steps"]]
    assert only(reported, "scores") == {
        "candidate": 0,
        "scores": [step["score"] for step in done["draft"]["steps"]],
    }
    assert only(reported, "first_error") == {
        "index": 1,
        "found_by": "arithmetic",
        "threshold": 0.5,
        "critique": done["draft"]["critique"],
    }
    refined = [each.data for each in reported if each.event == "refined"]
    assert [each["place"] for each in refined] == [1, 2]
    for each in refined:
        assert each["candidate"] == done["candidates"][each["place"]] | {"outcome_score": None}


@pytest.mark.parametrize("strategy", ["glore", "draft", "global", "local", "best_of_n"])
async def test_the_last_event_is_the_answer_as_json(
    client: httpx2.AsyncClient, strategy: str
) -> None:
    body = BODY | {"strategy": strategy}
    whole = (await client.post("/solve", json=body)).json()
    reported = await ask(client, strategy=strategy)
    assert names(reported)[-1] == "done"
    changing = {"id": "", "request_id": "", "usage": {}}
    assert only(reported, "done") | changing == whole | changing
    assert only(reported, "done")["usage"]["engine_calls"] == whole["usage"]["engine_calls"]
    assert len(only(reported, "draft")["samples"]) == (2 if strategy == "best_of_n" else 0)


async def test_scores_that_are_requested_late_are_reported_too(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.orm.fault = "unreachable"
    reported = await ask(client, strategy="best_of_n")
    scored = [each.data["candidate"] for each in reported if each.event == "scores"]
    assert scored == [0]  # the fakes' samples are equal, and their text is scored once
    assert only(reported, "done")["selected"]["reason"] == "step_score"


async def test_a_refinement_that_fails_has_deltas_and_no_more(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.global_refiner.fault = "bad_response"
    reported = await ask(client)
    assert written(reported, "refined.delta", kind="global_refinement") == GLOBAL
    assert only(reported, "refined")["candidate"]["kind"] == "local_refinement"
    missing = [{"stage": "refine_globally", "reason": "bad_response"}]
    assert only(reported, "done")["degraded"] == missing


async def test_no_cache_and_no_proxy_keeps_a_stream(client: httpx2.AsyncClient) -> None:
    response = await client.post("/solve", json=BODY, headers=EVENT_STREAM)
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in response.headers
    assert (
        json.loads(response.text.rpartition("data: ")[2])["request_id"]
        == (response.headers["X-Request-ID"])
    )


@pytest.mark.parametrize("accept", ["*/*", "application/json, text/event-stream"])
async def test_json_is_for_those_who_do_not_ask(client: httpx2.AsyncClient, accept: str) -> None:
    response = await client.post("/solve", json=BODY, headers={"Accept": accept})
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["strategy"] == "glore"


# --- errors ------------------------------------------------------------------------------


async def test_what_is_refused_is_a_problem_with_its_status(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    invalid = await client.post("/solve", json={"question": ""}, headers=EVENT_STREAM)
    untyped = await client.post("/solve", content=b"{}", headers=EVENT_STREAM)
    assert [invalid.status_code, untyped.status_code] == [422, 415]
    for response in (invalid, untyped):
        assert response.headers["Content-Type"] == "application/problem+json"
    assert engines.student.calls == 0


async def test_a_busy_gateway_refuses_before_the_first_byte(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    async with (
        gateway(settings, engines, max_running=1, max_waiting=0) as app,
        client_of(app) as client,
    ):
        first = asyncio.create_task(client.post("/solve", json=BODY))
        await engines.student.called.wait()
        refused = await client.post("/solve", json=BODY, headers=EVENT_STREAM)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/overloaded"
    assert int(refused.headers["Retry-After"]) >= 1


async def test_no_draft_is_reported_as_an_error_and_counted_as_one(
    client: httpx2.AsyncClient, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.student.fault = "unreachable"
    refused = await client.post("/solve", json=BODY)
    whole = refused.json()
    with caplog.at_level(logging.INFO, "glore"):
        reported = await ask(client)
    assert names(reported)[-1] == "error"
    assert only(reported, "error") | {"request_id": ""} == whole | {"request_id": ""}
    assert only(reported, "error")["retry_after"] == int(refused.headers["Retry-After"])
    line = log_line(caplog)
    assert (line["status"], line["no_draft"]) == (503, "unreachable")
    counted = 'glore_requests_total{route="/solve",status="503",strategy="glore"} 2.0'
    assert counted in (await client.get("/metrics")).text


async def test_no_draft_in_time_is_reported_as_an_error(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    reported = await ask(client, deadline_ms=200)
    assert names(reported)[-1] == "error"
    assert only(reported, "error")["status"] == 504
    assert "retry_after" not in only(reported, "error")
    assert engines.student.cancelled


async def test_a_bug_is_reported_without_what_it_was(
    client: httpx2.AsyncClient, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.global_refiner.fault = RuntimeError(f"boom: {QUESTION}")
    with caplog.at_level(logging.INFO, "glore"):
        reported = await ask(client)
    assert names(reported)[-1] == "error"
    assert only(reported, "error")["type"] == "/problems/internal-error"
    assert "boom" not in json.dumps(only(reported, "error"))
    assert log_line(caplog)["status"] == 500
    (error,) = (each for each in caplog.records if each.name == "glore.streams")
    logged = JsonFormatter().format(error)
    assert "RuntimeError" in logged
    assert "boom" not in logged
    assert only(reported, "error")["request_id"] in logged


async def test_a_stream_is_counted_and_logged_as_any_answer(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "glore"):
        reported = await ask(client)
    line = log_line(caplog)
    assert line["id"] == only(reported, "done")["id"]
    assert (line["status"], line["selected"]) == (200, "local_refinement")
    metrics = (await client.get("/metrics")).text
    assert 'glore_requests_total{route="/solve",status="200",strategy="glore"} 1.0' in metrics
    assert 'glore_candidates_selected_total{kind="local_refinement",strategy="glore"}' in metrics
    assert "glore_solves_in_flight 0.0" in metrics


# --- readers that are slow, silent or gone -----------------------------------------------


class Reader(Exchange):
    """A client that reads only while `reading` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = asyncio.Event()
        self.reading.set()
        self.came = asyncio.Event()  # the first event

    async def send(self, message: Message) -> None:
        await self.reading.wait()
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.came.set()

    def ask(self, app: FastAPI, **body: object) -> asyncio.Task[None]:
        self.body(json.dumps(BODY | body).encode())
        return asyncio.create_task(
            self.run(
                app,
                "POST",
                "/solve",
                content_type="application/json",
                accept="text/event-stream",
            )
        )

    @property
    def text(self) -> str:
        return b"".join(each["body"] for each in self.sent[1:]).decode()

    @property
    def complete(self) -> bool:
        return not self.sent[-1].get("more_body", True)


async def test_silence_is_filled_with_heartbeats(settings: Settings, engines: FakeEngines) -> None:
    engines.student.hangs = True
    engines.student.text = ""
    async with gateway(settings, engines, heartbeat=0.02) as app:
        reader = Reader()
        answer = reader.ask(app)
        async with asyncio.timeout(LIMIT_S):
            while len(reader.sent) < 4:
                await asyncio.sleep(0.01)
            reader.leave()
            await answer
    assert set(reader.text.split("\n\n")) == {": heartbeat", ""}


async def test_a_client_that_leaves_in_mid_stream_cancels_the_work(
    app: FastAPI, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.global_refiner.hangs = True
    reader = Reader()
    with caplog.at_level(logging.INFO, "glore"):
        answer = reader.ask(app)
        async with asyncio.timeout(LIMIT_S):
            await engines.global_refiner.called.wait()
            reader.leave()
            await answer
    assert engines.global_refiner.cancelled
    assert not reader.complete
    line = log_line(caplog)
    assert (line["status"], line["client_gone"]) == (499, True)
    assert line["problem"] == "/problems/client-gone"


async def test_a_slow_reader_holds_up_nothing(settings: Settings, engines: FakeEngines) -> None:
    engines.student.text = "\n".join(["a", *(f"step {i}" for i in range(2000)), "#### 1"])
    async with gateway(settings, engines, max_running=1) as app:
        slow = Reader()
        slow.reading.clear()
        answer = slow.ask(app, strategy="draft")
        async with asyncio.timeout(LIMIT_S):
            while not engines.student.calls:
                await asyncio.sleep(0.01)
            async with client_of(app) as client:  # the only turn is free again
                assert (await client.post("/solve", json=BODY)).status_code == 200
            assert slow.sent == []
            slow.reading.set()
            await answer
    reported = reported_in(slow.text)
    assert names(reported) == ["draft.delta", "draft", "selected", "done"]  # joined
    assert written(reported, "draft.delta") == engines.student.text
    assert slow.complete


async def test_a_reader_that_takes_nothing_is_taken_for_gone(
    app: FastAPI,
    engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(disconnect, "_STALLED_S", 0.05)
    engines.global_refiner.hangs = True
    reader = Reader()
    with caplog.at_level(logging.INFO, "glore"):
        answer = reader.ask(app)
        async with asyncio.timeout(LIMIT_S):
            await reader.came.wait()
            reader.reading.clear()
            await answer
    assert engines.global_refiner.cancelled or engines.global_refiner.calls == 0
    assert not reader.complete
    assert log_line(caplog)["status"] == 499
