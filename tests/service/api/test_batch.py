import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from glore.api import disconnect
from glore.api.batch_schemas import BatchBroken, BatchDone, BatchLine
from glore.app import create_app
from glore.batches.store import BatchName, NothingKept, StoreFailedError
from glore.settings import Settings
from tests.service.api.asgi import Exchange
from tests.service.fakes import QUESTION, FakeEngines
from tests.service.lines import lines_of

PATH = "/solve/batch"
NDJSON = {"Content-Type": "application/x-ndjson"}


def questions(count: int, **more: object) -> list[dict[str, Any]]:
    return [{"question": f"{QUESTION} {i}", "strategy": "draft", **more} for i in range(count)]


async def post(
    client: httpx2.AsyncClient, body: object, key: str | None = None
) -> tuple[list[BatchLine], BatchDone]:
    headers = {"Idempotency-Key": key} if key else {}
    response = await client.post(PATH, json=body, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    *lines, last = lines_of(response)
    reported = [BatchLine.model_validate_json(line) for line in lines]
    return sorted(reported, key=lambda line: line.index), BatchDone.model_validate_json(last)


async def test_a_line_per_question_and_one_with_the_counts(client: httpx2.AsyncClient) -> None:
    requested = questions(5)
    requested[2]["id"] = 'my "own" name ä'
    lines, done = await post(client, {"questions": requested})
    assert [line.index for line in lines] == [0, 1, 2, 3, 4]
    assert [line.id for line in lines] == [None, None, 'my "own" name ä', None, None]
    assert all(line.status == "ok" and line.error is None for line in lines)
    assert all(line.result and line.result.strategy == "draft" for line in lines)
    assert done == BatchDone(done=True, ok=5, errors=0)


async def test_a_question_goes_before_the_batch_and_the_batch_before_the_defaults(
    client: httpx2.AsyncClient,
) -> None:
    requested = [{"question": "a", "strategy": "draft", "sampling": {}}, {"question": "b"}]
    shared = {"strategy": "best_of_n", "sampling": {"n": 2}}
    lines, _ = await post(client, {"questions": requested, **shared})
    results = [line.result for line in lines]
    assert [each.strategy if each else None for each in results] == ["draft", "best_of_n"]
    assert results[1] is not None
    assert len(results[1].candidates) == 2
    lines, _ = await post(client, {"questions": requested})
    assert lines[1].result is not None
    assert lines[1].result.strategy == "glore"


async def test_lines_of_ndjson_are_the_same_batch(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    requested = questions(3)
    await post(client, {"questions": requested}, key="k")
    body = "\n\n".join(json.dumps(each) for each in requested)
    headers = {**NDJSON, "Idempotency-Key": "k"}
    response = await client.post(PATH, content=body, headers=headers)
    assert lines_of(response)[-1] == '{"done":true,"ok":3,"errors":0}'
    assert engines.student.calls == 3


async def test_requested_again_results_are_replayed_word_for_word(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    first, _ = await post(client, {"questions": questions(4)}, key="k")
    again, done = await post(client, {"questions": questions(4)}, key="k")
    assert again == first
    assert done.ok == 4
    assert engines.student.calls == 4
    await post(client, {"questions": questions(4)})
    await post(client, {"questions": questions(4)})
    assert engines.student.calls == 12
    metrics = (await client.get("/metrics")).text
    assert 'glore_batch_questions_total{outcome="ok"} 12.0' in metrics
    assert 'glore_batch_questions_total{outcome="replayed"} 4.0' in metrics


async def test_errors_cost_their_lines_and_are_not_stored(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.student.fault = "unreachable"
    lines, done = await post(client, {"questions": questions(2)}, key="k")
    assert done == BatchDone(done=True, ok=0, errors=2)
    for line in lines:
        assert line.status == "error"
        assert line.result is None
        assert line.error is not None
        assert line.error.type == "/problems/student-unavailable"
    engines.student.fault = RuntimeError("hidden")
    lines, done = await post(client, {"questions": questions(2)}, key="k")
    assert [line.error.status if line.error else None for line in lines] == [500, 500]
    engines.student.fault = None
    lines, done = await post(client, {"questions": questions(2)}, key="k")
    assert done.ok == 2


async def test_a_key_with_other_questions_is_refused(client: httpx2.AsyncClient) -> None:
    await post(client, {"questions": questions(2)}, key="k")
    for other in (questions(3), questions(2, deadline_ms=5000), questions(2, id="x")):
        headers = {"Idempotency-Key": "k"}
        response = await client.post(PATH, json={"questions": other}, headers=headers)
        assert response.status_code == 409
        assert response.json()["type"] == "/problems/idempotency-mismatch"


async def test_two_connections_share_the_work(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    requested = {"questions": questions(30)}
    (first, _), (second, done) = await asyncio.gather(
        post(client, requested, key="k"), post(client, requested, key="k")
    )
    assert first == second
    assert done.ok == 30
    assert engines.student.calls == 30


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "questions"),
        ({"questions": []}, "questions"),
        ({"questions": [*questions(2), {"question": ""}]}, "questions.2.question"),
        ({"questions": [{"question": "x", "deadline_ms": 10**9}]}, "questions.0.deadline_ms"),
        # no question uses it, but the document says what it may be
        (
            {"questions": [{"question": "x", "deadline_ms": 1000}], "deadline_ms": 10**9},
            "deadline_ms",
        ),
        ({"questions": [{"question": "x", "rounds": 1}], "rounds": 10**3}, "rounds"),
        ({"questions": [{"question": "x", "more": 1}]}, "questions.0.more"),
        ({"questions": questions(1), "sampling": {"n": 99}}, "sampling.n"),
        ({"questions": questions(1001)}, "questions"),
        ([], "body"),
        ({"questions": 3}, "questions"),
        ({"questions": questions(1), "more": 1}, "more"),
        ({"questions": [3]}, "questions.0"),
        ({"questions": [{f"f{i}": i for i in range(101)}]}, "questions.0"),
        ({"questions": questions(1), "sampling": list(range(101))}, "sampling"),
        ({f"f{i}": i for i in range(21)}, "body"),
        ({"questions": [{"question": "x" * 70_000}]}, "questions.0"),
        ({"questions": [{"question": "x", "deadline_ms": 10**500}]}, "questions.0"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_requested(
    client: httpx2.AsyncClient, engines: FakeEngines, body: object, field: str
) -> None:
    response = await client.post(PATH, json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    assert engines.student.calls == 0


@pytest.mark.parametrize("content", [b"{", b'{"question": "x"}\n{', b"[" * 100_000, b"\xff"])
async def test_what_cannot_be_read_is_refused(client: httpx2.AsyncClient, content: bytes) -> None:
    for kind in ("application/json", "application/x-ndjson"):
        headers = {"Content-Type": kind}
        response = await client.post(PATH, content=content, headers=headers)
        assert response.status_code == 422


async def test_the_first_faults_are_reported_and_no_more(client: httpx2.AsyncClient) -> None:
    wrong = {"question": "", "strategy": "none", "more": 1}
    response = await client.post(PATH, json={"questions": [wrong] * 1000})
    faults = response.json()["errors"]
    assert len(faults) == 20
    assert {fault["field"].split(".")[1] for fault in faults} == {str(i) for i in range(7)}
    lines = await client.post(PATH, content="x\n" * 1000, headers=NDJSON)
    assert [fault["field"] for fault in lines.json()["errors"]] == ["questions.0"]


async def test_blank_lines_are_no_questions(client: httpx2.AsyncClient) -> None:
    line = json.dumps(questions(1)[0])
    content = f"\n\r\n{line}\n \n\n{line}\r\n{chr(10) * 100_000}"
    response = await client.post(PATH, content=content, headers=NDJSON)
    assert lines_of(response)[-1] == '{"done":true,"ok":2,"errors":0}'
    many = await client.post(PATH, content="\n" * 3000 + line, headers=NDJSON)
    assert many.status_code == 422  # more lines than twice the questions of a batch


async def test_bounds(settings: Settings, engines: FakeEngines) -> None:
    changes = {"max_batch_body": 100_000, "max_body": 1024, "store": SecretStr("off")}
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        requested = {"questions": questions(100)}
        assert (await post(client, requested))[1].ok == 100
        assert (await client.post("/solve", json=requested)).status_code == 413
        assert (await client.post(PATH, json=[" " * 100_000])).status_code == 413
        response = await client.post(PATH, json=requested, headers={"Idempotency-Key": "k"})
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/store-unavailable"
        response = await client.post(PATH, json=requested, headers={"Idempotency-Key": "a b"})
        assert response.status_code == 422
        text = {"Content-Type": "text/plain"}
        assert (await client.post(PATH, content="x", headers=text)).status_code == 415


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange()
    exchange.body(json.dumps({"questions": questions(20)}).encode())
    yield exchange


async def test_a_client_that_leaves_takes_its_work_along_but_not_what_is_finished(
    app: FastAPI, client: httpx2.AsyncClient, engines: FakeEngines, exchange: Exchange
) -> None:
    await post(client, {"questions": questions(20)[:1]}, key="other")
    engines.student.hangs = True
    engines.student.called.clear()
    headers = {"content_type": "application/json", "idempotency_key": "k"}
    running = asyncio.create_task(exchange.run(app, "POST", PATH, **headers))
    async with asyncio.timeout(20):
        await engines.student.called.wait()
        exchange.leave()
        await running
    assert engines.student.cancelled
    engines.student.hangs = False
    calls = engines.student.calls
    async with asyncio.timeout(20):  # well within the lease: the claims were given back
        _, done = await post(client, {"questions": questions(20)}, key="k")
    assert done.ok == 20
    assert engines.student.calls == calls + 20


async def test_a_slow_reader_holds_back_the_work(
    app: FastAPI, engines: FakeEngines, exchange: Exchange
) -> None:
    reading = asyncio.Event()
    lines = 0

    class Slow(Exchange):
        async def send(self, message: Any) -> None:
            nonlocal lines
            if message.get("body", b"").startswith(b'{"index"'):
                lines += 1
                await reading.wait()

    slow = Slow(incoming=exchange.incoming)
    running = asyncio.create_task(slow.run(app, "POST", PATH, content_type="application/json"))
    async with asyncio.timeout(20):
        while engines.student.calls < 8:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert engines.student.calls == 8  # GLORE_BATCH_CONCURRENCY
    assert lines == 1
    reading.set()
    await running
    assert engines.student.calls == lines == 20


async def test_a_reader_that_takes_nothing_is_taken_for_gone_and_its_claims_end(
    app: FastAPI,
    client: httpx2.AsyncClient,
    engines: FakeEngines,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disconnect, "_STALLED_S", 0.05)

    class Stalled(Exchange):
        async def send(self, message: Any) -> None:
            if message.get("body"):
                await asyncio.Event().wait()
            await super().send(message)

    stalled = Stalled(incoming=exchange.incoming)
    headers = {"content_type": "application/json", "idempotency_key": "k"}
    async with asyncio.timeout(20):  # well within the lease
        await stalled.run(app, "POST", PATH, **headers)
        assert engines.student.calls == 8  # GLORE_BATCH_CONCURRENCY
        _, done = await post(client, {"questions": questions(20)}, key="k")
    assert done.ok == 20
    assert stalled.status == 200
    assert len(stalled.sent) == 1
    metrics = (await client.get("/metrics")).text
    assert 'route="/solve/batch",status="499"' in metrics


@pytest_asyncio.fixture
async def narrow(settings: Settings, engines: FakeEngines) -> AsyncIterator[FastAPI]:
    """A gateway with room for one batch."""
    app = create_app(settings.model_copy(update={"max_batches": 1}), connect=engines.connect)
    async with app.router.lifespan_context(app):
        yield app


async def test_a_batch_too_many_is_refused_at_once_and_its_body_is_not_read(
    narrow: FastAPI, engines: FakeEngines, exchange: Exchange
) -> None:
    engines.student.hangs = True
    headers = {"content_type": "application/json"}
    first = asyncio.create_task(exchange.run(narrow, "POST", PATH, **headers))
    async with asyncio.timeout(20):
        await engines.student.called.wait()
        refused = Exchange()  # nothing of a body is there
        await refused.run(narrow, "POST", PATH, **headers)
        single = Exchange()
        single.body(b"")
        await single.run(narrow, "POST", "/solve", **headers)
        exchange.leave()
        await first
    assert refused.status == 503
    assert dict(refused.sent[0]["headers"])[b"retry-after"] == b"60"
    problem = json.loads(refused.sent[1]["body"])
    assert problem["type"] == "/problems/overloaded"
    assert problem["detail"] == "1 batches are being answered."
    assert single.status == 422


async def test_a_batch_that_has_ended_or_was_refused_makes_room(narrow: FastAPI) -> None:
    transport = httpx2.ASGITransport(app=narrow)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for _ in range(2):
            assert (await client.post(PATH, json={})).status_code == 422
            assert (await post(client, {"questions": questions(3)}))[1].ok == 3


async def test_the_callers_deadline_is_that_of_the_whole_batch(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    assert (await post(client, {"questions": questions(3)}, key="k"))[1].ok == 3
    engines.student.hangs = True
    requested = {"questions": questions(20)}
    async with asyncio.timeout(20):  # a question may take 60 s
        response = await client.post(PATH, json=requested, headers={"Glore-Deadline-Ms": "300"})
    *reported, last = lines_of(response)
    lines = [BatchLine.model_validate_json(line) for line in reported]
    assert sorted(line.index for line in lines) == list(range(20))
    assert {line.error.type if line.error else None for line in lines} == {
        "/problems/no-draft-in-time"
    }
    assert last == '{"done":true,"ok":0,"errors":20}'
    assert engines.student.calls == 3 + 8  # GLORE_BATCH_CONCURRENCY; the others were not begun


async def test_what_is_worked_on_elsewhere_is_not_waited_for_past_the_deadline(
    client: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    requested = {"questions": questions(3)}
    key = {"Idempotency-Key": "k"}
    async with asyncio.timeout(20):
        waiting = asyncio.create_task(client.post(PATH, json=requested, headers=key))
        await engines.student.called.wait()
        hasty = await client.post(PATH, json=requested, headers=key | {"Glore-Deadline-Ms": "200"})
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert lines_of(hasty)[-1] == '{"done":true,"ok":0,"errors":3}'
    assert engines.student.calls == 3


class FailingStore(NothingKept):
    """Keeps `good` results and fails from then on."""

    def __init__(self, good: int) -> None:
        self.good = good

    async def finish(self, name: BatchName, index: int, holder: str, result: str) -> bool:
        if self.good == 0:
            message = "disk I/O error"
            raise StoreFailedError(message)
        self.good -= 1
        return await super().finish(name, index, holder, result)


async def test_a_store_that_fails_in_the_middle_is_reported_in_the_last_line(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    app.state.context = replace(app.state.context, store=FailingStore(3))
    requested = {"questions": questions(20)}
    response = await client.post(PATH, json=requested, headers={"Idempotency-Key": "k"})
    *lines, last = lines_of(response)
    assert len(lines) == 3
    assert all(BatchLine.model_validate_json(line).status == "ok" for line in lines)
    broken = BatchBroken.model_validate_json(last)
    assert (broken.done, broken.ok, broken.errors) == (False, 3, 0)
    assert broken.error.type == "/problems/store-unavailable"
    assert broken.error.request_id == response.headers["X-Request-ID"]
    assert "disk" not in response.text
    metrics = (await client.get("/metrics")).text
    assert 'route="/solve/batch",status="503"' in metrics


async def test_a_bug_in_the_middle_is_reported_in_the_last_line(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    class Buggy(NothingKept):
        async def claim(self, *_arguments: object) -> bool:
            message = "hidden"
            raise RuntimeError(message)

    app.state.context = replace(app.state.context, store=Buggy())
    requested = {"questions": questions(2)}
    response = await client.post(PATH, json=requested, headers={"Idempotency-Key": "k"})
    broken = BatchBroken.model_validate_json(response.text)
    assert broken.error.type == "/problems/internal-error"
    assert "hidden" not in response.text


async def test_each_question_that_is_requested_counts_against_the_rate(
    settings: Settings, engines: FakeEngines
) -> None:
    changes = {"rate_per_minute": 6, "rate_burst": 8}
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        requested = {"questions": questions(4)}
        for _ in range(2):  # 4 questions, then a request that asks for nothing new
            assert (await post(client, requested, key="k"))[1].ok == 4
        assert (await post(client, {"questions": questions(20)}))[1].ok == 20
        refused = await client.post(PATH, json=requested)
    assert refused.status_code == 429
    # 8 at once, 4 + 1 + 20 taken, one more wanted, a token in ten seconds
    assert 175 <= int(refused.headers["Retry-After"]) <= 180
