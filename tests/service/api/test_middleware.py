import asyncio
import json
import logging
from collections import Counter
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from glore.app import create_app
from glore.keys import new_key
from glore.settings import Settings
from glore.startup import version
from glore.telemetry.logs import JsonFormatter
from tests.service.api.asgi import Exchange
from tests.service.fakes import QUESTION, FakeEngines

BODY = {"question": QUESTION}
LIMIT = 64 * 1024


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    formatter = JsonFormatter()
    return [
        json.loads(formatter.format(record))
        for record in caplog.records
        if record.name == "glore.access"
    ]


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/solve"])
async def test_every_response_names_the_version(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.headers["Server"] == f"glore/{version()}"


# --- request ids -------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "Trace-1:2.3_4", "x" * 128])
async def test_a_sane_id_is_stored(client: httpx2.AsyncClient, given: str) -> None:
    response = await client.get("/livez", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 129, "<script>", "a\tb", "ä"])
async def test_any_other_id_is_replaced(client: httpx2.AsyncClient, given: str) -> None:
    response = await client.get("/livez", headers={b"X-Request-ID": given.encode()})
    assert response.headers["X-Request-ID"] != given
    assert len(response.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/solve", 405, "method-not-allowed"),
        ("POST", "/livez", 405, "method-not-allowed"),
    ],
)
async def test_every_error_is_a_problem_with_an_id(
    client: httpx2.AsyncClient, method: str, path: str, status: int, slug: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    assert problem["type"] == f"/problems/{slug}"
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert (status == 405) == ("Allow" in response.headers)


# --- the bound on bodies -----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/solve", "/nowhere"])
async def test_a_body_announced_too_large_is_413(client: httpx2.AsyncClient, path: str) -> None:
    content = json.dumps({"question": "x" * LIMIT})
    response = await client.post(
        path, content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 413
    assert response.json()["type"] == "/problems/body-too-large"
    assert str(LIMIT) in response.json()["detail"]


async def test_a_body_announced_too_large_is_not_read(app: FastAPI) -> None:
    exchange = Exchange()
    await exchange.run(app, "POST", "/solve", content_length="9" * 5000)
    assert exchange.status == 413


async def test_a_body_that_grows_too_large_is_413(app: FastAPI) -> None:
    exchange = Exchange()
    for _ in range(3):
        exchange.body(b" " * (LIMIT // 2), more=True)
    await exchange.run(
        app, "POST", "/solve", content_type="application/json", transfer_encoding="chunked"
    )
    assert exchange.status == 413


async def test_a_body_of_exactly_the_limit_is_read(client: httpx2.AsyncClient) -> None:
    content = json.dumps(BODY).encode().ljust(LIMIT)
    response = await client.post(
        "/solve", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200


async def test_a_body_in_pieces_is_one_body(app: FastAPI) -> None:
    exchange = Exchange()
    for byte in json.dumps(BODY).encode():
        exchange.body(bytes([byte]), more=True)
    exchange.body(b"")
    await exchange.run(app, "POST", "/solve", content_type="application/json")
    assert exchange.status == 200


async def test_a_client_that_leaves_before_its_body_is_there(
    app: FastAPI, engines: FakeEngines
) -> None:
    exchange = Exchange()
    exchange.body(b'{"quest', more=True)
    exchange.leave()
    await exchange.run(app, "POST", "/solve", content_type="application/json")
    assert exchange.sent == []  # nobody reads it
    assert engines.student.calls == 0


async def test_a_body_that_does_not_come_is_not_waited_for(
    settings: Settings, engines: FakeEngines
) -> None:
    app = create_app(settings.model_copy(update={"body_timeout": 0.1}), connect=engines.connect)
    exchange = Exchange()

    async def trickle() -> None:
        while True:  # what comes in between does not begin the time anew
            exchange.body(b" ", more=True)
            await asyncio.sleep(0.01)

    async with app.router.lifespan_context(app), asyncio.timeout(20):
        trickling = asyncio.create_task(trickle())
        await exchange.run(app, "POST", "/solve", content_type="application/json")
        trickling.cancel()
    assert exchange.status == 408
    headers = dict(exchange.sent[0]["headers"])
    assert headers[b"connection"] == b"close"
    problem = json.loads(exchange.sent[1]["body"])
    assert problem["type"] == "/problems/body-too-late"
    assert problem["detail"] == "The body was not there within 0.1 s."
    assert engines.student.calls == 0


# --- log lines ---------------------------------------------------------------------------


async def test_one_line_per_request_without_its_text(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "glore"):
        await client.post(
            "/solve",
            json=BODY,
            headers={"X-Request-ID": "mine", "Authorization": "Bearer hidden"},
        )
    (line,) = lines(caplog)
    assert line | {"time": 0, "seconds": 0, "id": 0} == {
        "time": 0,
        "level": "info",
        "logger": "glore.access",
        "event": "request",
        "request_id": "mine",
        "method": "POST",
        "path": "/solve",
        "status": 200,
        "seconds": 0,
        "strategy": "glore",
        "id": 0,
        "selected": "local_refinement",
        "reason": "outcome_score",
        "candidates": 3,
        "first_error": 1,
        "first_error_by": "arithmetic",
        "refuted": 1,
        "rounds": 1,
        "engine_calls": 5,
        "generated_tokens": 30,
        "degraded": [],
    }
    text = json.dumps(line)
    assert "sweets" not in text
    assert "bags" not in text
    assert "hidden" not in text


async def test_refused_requests_leave_a_line_too(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "glore"):
        await client.post("/solve", json=BODY | {"deadline_ms": 1})
        await client.get("/" + "x" * 1000)
    refused, lost = lines(caplog)
    assert (refused["status"], refused["problem"]) == (422, "/problems/invalid-request")
    assert (lost["status"], lost["problem"]) == (404, "/problems/not-found")
    assert len(lost["path"]) == 200


async def test_probes_are_quiet(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "glore"):
        for path in ("/livez", "/readyz", "/metrics"):
            await client.get(path)
    assert lines(caplog) == []


# --- metrics -----------------------------------------------------------------------------


def counted(metrics: str) -> dict[tuple[str, str], int]:
    """How many requests were counted, by route and status; those that there were."""
    counts = Counter[tuple[str, str]]()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "glore_requests_total":
                counts[sample.labels["route"], sample.labels["status"]] += int(sample.value)
    return {key: count for key, count in counts.items() if count}


async def test_what_is_refused_before_it_is_routed_is_counted_by_its_route(
    settings: Settings, engines: FakeEngines
) -> None:
    key = new_key()
    changes = {"api_keys": SecretStr(key), "rate_per_minute": 1, "rate_burst": 3, "max_batches": 1}
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    engines.student.hangs = True
    sent = {"authorization": f"Bearer {key}", "content_type": "application/json"}

    async def refused(path: str, method: str = "POST", **headers: str) -> int:
        exchange = Exchange()
        await exchange.run(app, method, path, **headers)
        return exchange.status

    async with app.router.lifespan_context(app), asyncio.timeout(20):
        first = Exchange()
        first.body(json.dumps({"questions": [BODY]}).encode())
        working = asyncio.create_task(first.run(app, "POST", "/solve/batch", **sent))
        await engines.student.called.wait()
        assert await refused("/solve/batch", **sent) == 503
        assert await refused("/solve", content_length="9" * 9, **sent) == 413
        assert await refused("/solve/batch", **sent) == 429
        for path in ("/solve/batch", "/v1/chat/completions", "/nowhere", "/nowhere/else"):
            assert await refused(path) == 401
        for model in ("glore", "x" * 1000):
            assert await refused(f"/v1/models/{model}", "GET") == 401
        assert await refused("/solve", "GET") == 401  # no such method: the path is known
        first.leave()
        await working
        scraped = Exchange()
        scraped.body(b"")
        await scraped.run(app, "GET", "/metrics")
    counts = counted(scraped.sent[1]["body"].decode())
    assert counts.pop(("/solve/batch", "499")) == 1
    assert counts == {
        ("/solve/batch", "503"): 1,
        ("/solve", "413"): 1,
        ("/solve/batch", "429"): 1,
        ("/solve/batch", "401"): 1,
        ("/v1/chat/completions", "401"): 1,
        ("unmatched", "401"): 2,
        ("/v1/models/{model}", "401"): 2,
        ("/solve", "401"): 1,
    }


async def test_a_route_is_found_below_a_proxys_prefix(
    settings: Settings, engines: FakeEngines
) -> None:
    changes = {"api_keys": SecretStr(new_key())}
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app, root_path="/glore")
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        assert (await client.post("/glore/solve", json=BODY)).status_code == 401
        metrics = (await client.get("/glore/metrics")).text
    assert counted(metrics) == {("/solve", "401"): 1}


# --- bugs --------------------------------------------------------------------------------


async def test_a_bug_is_500_and_logged_without_text(
    client: httpx2.AsyncClient, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.student.fault = RuntimeError(f"boom: {QUESTION}")
    with caplog.at_level(logging.INFO, "glore"):
        response = await client.post("/solve", json=BODY)
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/internal-error"
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    assert "boom" not in response.text
    error, request = lines(caplog)
    assert error["request_id"] == request["request_id"] == response.headers["X-Request-ID"]
    assert request["status"] == 500
    assert "RuntimeError" in json.dumps(error["exception"])
    assert "boom" not in json.dumps(error)
