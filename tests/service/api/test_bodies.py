"""Bodies on their way: what they take from others, and what they are refused for."""

import asyncio
import json

import httpx2
import pytest
from fastapi import FastAPI

from glore.app import create_app
from glore.settings import Settings
from tests.service.api.asgi import Exchange
from tests.service.fakes import QUESTION, FakeEngines

BATCH = "/solve/batch"
LIMIT_S = 20.0
DRAFT = {"question": QUESTION, "strategy": "draft"}


def browser(app: FastAPI) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url="http://gateway")


async def begin(
    app: FastAPI, content: bytes, path: str = BATCH, **headers: str
) -> tuple[Exchange, asyncio.Task[None]]:
    """A request of which no more than this much of its body has come, and is read."""
    exchange = Exchange()
    exchange.body(content, more=True)
    requested = exchange.run(app, "POST", path, content_type="application/json", **headers)
    task = asyncio.create_task(requested)
    while not exchange.incoming.empty():
        await asyncio.sleep(0)
    return exchange, task


async def test_bodies_that_dribble_take_no_place(settings: Settings, engines: FakeEngines) -> None:
    narrow = settings.model_copy(update={"max_batches": 2})
    app = create_app(narrow, connect=engines.connect)
    async with app.router.lifespan_context(app), browser(app) as client, asyncio.timeout(LIMIT_S):
        dribbling = [await begin(app, b'{"questions": [') for _ in range(16)]
        answered = await client.post(BATCH, json={"questions": [DRAFT]})
        for exchange, task in dribbling:
            exchange.leave()
            await task
    assert answered.status_code == 200
    assert [exchange.sent for exchange, _ in dribbling] == [[]] * 16


async def test_a_body_that_is_wrong_takes_no_place(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    narrow = settings.model_copy(update={"max_batches": 1})
    app = create_app(narrow, connect=engines.connect)
    body = json.dumps({"questions": [DRAFT]}).encode()
    async with app.router.lifespan_context(app), browser(app) as client, asyncio.timeout(LIMIT_S):
        late, later = await begin(app, body[:-1]), await begin(app, body[:-1])
        assert (await client.post(BATCH, json={"questions": []})).status_code == 422
        late[0].body(body[-1:])
        await engines.student.called.wait()
        later[0].body(body[-1:])  # it began when there was room
        await later[1]
        late[0].leave()
        await late[1]
    assert later[0].status == 503
    assert late[0].status == 200


async def test_where_bodies_take_too_much_memory_the_oldest_is_given_up(
    settings: Settings, engines: FakeEngines
) -> None:
    narrow = settings.model_copy(update={"max_batches": 1, "max_batch_body": 100_000})
    app = create_app(narrow, connect=engines.connect)
    async with app.router.lifespan_context(app), asyncio.timeout(LIMIT_S):
        first, reading_first = await begin(app, b" " * 50_000)
        second, reading_second = await begin(app, b" " * 50_000, "/solve")
        third, reading_third = await begin(app, b" " * 10_000)
        await reading_first
        for exchange, task in ((second, reading_second), (third, reading_third)):
            exchange.body(json.dumps(DRAFT).encode())
            await task
    assert first.status == 503
    assert dict(first.sent[0]["headers"])[b"retry-after"] == b"5"
    assert json.loads(first.sent[1]["body"])["type"] == "/problems/overloaded"
    assert second.status == 200
    assert third.status == 422  # no batch; it was read to its end


async def test_a_client_of_many_bodies_gives_up_its_own_first(
    settings: Settings, engines: FakeEngines
) -> None:
    keys = {name: f"{name}-".ljust(40, "k") for name in ("alice", "bob")}
    keyed = Settings.model_validate(
        settings.model_dump()
        | {
            "api_keys": ",".join(f"{name}:{key}" for name, key in keys.items()),
            "max_batches": 1,
            "max_batch_body": 100_000,
        }
    )
    app = create_app(keyed, connect=engines.connect)

    async def sends(name: str, size: int) -> tuple[Exchange, asyncio.Task[None]]:
        return await begin(app, b" " * size, authorization=f"Bearer {keys[name]}")

    async with app.router.lifespan_context(app), asyncio.timeout(LIMIT_S):
        bobs, reading_bobs = await sends("bob", 40_000)  # the oldest
        first, reading_first = await sends("alice", 30_000)
        second, reading_second = await sends("alice", 30_000)
        await sends("alice", 10_000)
        await reading_first
        assert first.status == 503
        assert not reading_bobs.done()
        assert not reading_second.done()
        for exchange, task in ((bobs, reading_bobs), (second, reading_second)):
            exchange.leave()
            await task


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP, identity", "x" * 1000])
async def test_a_compressed_body_is_refused_by_name(
    client: httpx2.AsyncClient, encoding: str
) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await client.post("/solve", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "identity"
    assert answer.json()["type"] == "/problems/unsupported-encoding"
    assert encoding[:40].lower() in answer.json()["detail"]
    assert len(answer.content) < 1000
    chat = await client.post("/v1/chat/completions", content=b"\x1f\x8b", headers=headers)
    assert chat.status_code == 415
    assert chat.json()["error"]["code"] == "unsupported_encoding"


async def test_a_body_that_is_said_to_be_as_it_is_is_read(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Encoding": "identity"}
    assert (await client.post("/solve", json=DRAFT, headers=headers)).status_code == 200
