"""Keys, rates and origins, at the edge of the whole gateway."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers

from glore.api.access import Authenticator
from glore.api.rates import Rate
from glore.api.record import ANONYMOUS
from glore.app import create_app
from glore.errors import RateLimitedError, UnauthorizedError
from glore.keys import Key, Keyring, new_key
from glore.settings import Settings
from tests.service.api.asgi import Exchange
from tests.service.clock import ManualClock
from tests.service.fakes import QUESTION, FakeEngines

ALICE, BOB = new_key(), new_key()
KEYS = SecretStr(f"alice:{ALICE},bob:{BOB}")
RING = Keyring((Key.of("alice", ALICE), Key.of("bob", BOB)))
BODY = {"question": QUESTION, "strategy": "draft"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def gateway(
    settings: Settings, engines: FakeEngines, **changes: object
) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings.model_copy(update=changes), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        yield client


# --- the gate ----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_a_key_on_the_ring_lets_in(scheme: str) -> None:
    gate = Authenticator(RING, None, ManualClock())
    assert gate.client_of(Headers({"authorization": scheme + BOB})) == "bob"


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [BOB],
        [f"Basic {BOB}"],
        [f"Bearer{BOB}"],
        [f"Bearer {BOB}x"],
        [f"Bearer {BOB} {BOB}"],
        [f"Bearer {BOB[:-1]}"],
        [f"Bearer {RING.keys[0].digest}"],
        ["Bearer alice"],
        ["Bearer ä"],
        [f"Bearer {BOB}", f"Bearer {ALICE}"],
        [f"Bearer {BOB}", f"Bearer {BOB}"],
    ],
)
def test_anything_else_does_not(values: list[str]) -> None:
    raw = [(b"authorization", value.encode("latin-1")) for value in values]
    gate = Authenticator(RING, None, ManualClock())
    with pytest.raises(UnauthorizedError):
        gate.client_of(Headers(raw=raw))


def test_without_keys_everybody_is_one_client() -> None:
    gate = Authenticator(Keyring(), Rate(60, 1), ManualClock())
    for headers in (Headers(), Headers(bearer(BOB))):
        assert gate.client_of(headers) == ANONYMOUS
    gate.count(ANONYMOUS)
    with pytest.raises(RateLimitedError):
        gate.count(ANONYMOUS)


def test_each_key_has_a_rate_of_its_own() -> None:
    clock = ManualClock()
    gate = Authenticator(RING, Rate(per_minute=6, burst=2), clock)
    for client in ("alice", "alice", "bob"):
        gate.count(client)
    with pytest.raises(RateLimitedError) as caught:
        gate.count("alice")
    assert caught.value.headers == {"Retry-After": "10"}
    gate.count("bob")
    clock.advance(10)
    gate.count("alice")


# --- keys --------------------------------------------------------------------------------


async def test_a_gateway_with_keys_asks_for_one(settings: Settings, engines: FakeEngines) -> None:
    async with gateway(settings, engines, api_keys=KEYS) as client:
        assert (await client.post("/solve", json=BODY, headers=bearer(ALICE))).status_code == 200
        calls = engines.student.calls
        refused = [
            await client.post("/solve", json=BODY),
            await client.post("/solve", json=BODY, headers=bearer(new_key())),
            await client.post("/solve", content=b"[" * 90_000),  # before the body is read
            await client.get("/solve"),
            await client.get("/nowhere"),
            await client.get("/livez/"),
        ]
    for response in refused:
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = response.json()
        assert problem["type"] == "/problems/unauthorized"
        assert problem["request_id"] == response.headers["X-Request-ID"]
    assert len({response.json()["detail"] for response in refused}) == 1
    assert engines.student.calls == calls


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_open_paths_take_no_key_and_no_rate(
    settings: Settings, engines: FakeEngines, path: str
) -> None:
    async with gateway(settings, engines, api_keys=KEYS, rate_per_minute=1) as client:
        for _ in range(3):
            assert (await client.get(path)).status_code == 200


async def test_open_paths_are_open_below_a_proxys_prefix(
    settings: Settings, engines: FakeEngines
) -> None:
    app = create_app(settings.model_copy(update={"api_keys": KEYS}), connect=engines.connect)
    transport = httpx2.ASGITransport(app=app, root_path="/glore")
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert (await client.get("/glore/livez")).status_code == 200
        assert (await client.get("/glore/nowhere")).status_code == 401


async def test_the_log_names_the_client_and_not_its_key(
    settings: Settings, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "glore"):
        async with gateway(settings, engines, api_keys=KEYS) as client:
            await client.post("/solve", json=BODY, headers=bearer(BOB))
            await client.post("/solve", json=BODY)
        async with gateway(settings, engines) as client:
            await client.post("/solve", json=BODY, headers=bearer(BOB))
    known, unknown, not_asked = (record.__dict__["fields"] for record in caplog.records)
    assert known["key"] == "bob"
    assert (unknown["status"], "key" in unknown) == (401, False)
    assert "key" not in not_asked


async def test_a_body_is_not_read_without_a_key(settings: Settings, engines: FakeEngines) -> None:
    app = create_app(settings.model_copy(update={"api_keys": KEYS}), connect=engines.connect)
    exchange = Exchange()  # sends no body, ever
    await exchange.run(app, "POST", "/solve", content_type="application/json")
    assert exchange.status == 401


# --- rates -------------------------------------------------------------------------------


async def test_more_than_the_rate_is_429(settings: Settings, engines: FakeEngines) -> None:
    changes = {"api_keys": KEYS, "rate_per_minute": 1, "rate_burst": 2}
    async with gateway(settings, engines, **changes) as client:
        answers = [await client.post("/solve", json=BODY, headers=bearer(BOB)) for _ in range(3)]
        wrong = await client.post("/solve", json=BODY, headers=bearer(new_key()))
        other = await client.post("/solve", json=BODY, headers=bearer(ALICE))
        metrics = (await client.get("/metrics")).text
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (wrong.status_code, other.status_code) == (401, 200)
    assert answers[2].json()["type"] == "/problems/rate-limited"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert answers[2].json()["retry_after"] == int(answers[2].headers["Retry-After"])
    assert 'status="429"' in metrics


async def test_without_keys_the_rate_is_of_all_together(
    settings: Settings, engines: FakeEngines
) -> None:
    async with gateway(settings, engines, rate_per_minute=2) as client:
        answers = [
            await client.post("/solve", json=BODY, headers=bearer(f"key-{index}"))
            for index in range(3)
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


# --- shares ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/solve", "/v1/chat/completions", "/solve/batch"])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_one_key_leaves_places_for_the_others(
    settings: Settings, engines: FakeEngines, path: str, accept: str
) -> None:
    body: dict[str, object] = {**BODY}
    if path == "/solve/batch":
        body = {"questions": [BODY]}
    elif path != "/solve":
        chat = [{"role": "user", "content": QUESTION}]
        body = {"model": "glore-draft", "messages": chat, "stream": accept != "application/json"}
    engines.student.hangs = True
    narrow = {"max_running": 4, "max_waiting": 0, "max_batches": 4}
    async with (
        gateway(settings, engines, api_keys=KEYS, key_share=0.25, **narrow) as client,
        asyncio.timeout(20),
    ):

        async def ask(key: str) -> httpx2.Response:
            headers = {"Accept": accept} | bearer(key)
            return await client.post(path, json=body, headers=headers)

        first = asyncio.create_task(ask(ALICE))
        await engines.student.called.wait()
        refused = await ask(ALICE)
        engines.student.hangs = False
        other = await ask(BOB)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        again = await ask(ALICE)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert (other.status_code, again.status_code) == (200, 200)
    problem = refused.json()
    if "error" in problem:
        assert problem["error"]["code"] == "rate_limit_exceeded"
        assert problem["error"]["type"] == "rate_limit_error"
    else:
        assert problem["type"] == "/problems/rate-limited"
        assert "Of one key, 1 " in problem["detail"]


# --- origins -----------------------------------------------------------------------------

PAGE = {"Origin": "https://page.example"}
PREFLIGHT = PAGE | {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


async def test_no_other_origin_reads_answers(settings: Settings, engines: FakeEngines) -> None:
    async with gateway(settings, engines) as client:
        answer = await client.post("/solve", json=BODY, headers=PAGE)
        preflight = await client.options("/solve", headers=PREFLIGHT)
    assert preflight.status_code == 405
    for response in (answer, preflight):
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_an_origin_that_is_named_does(settings: Settings, engines: FakeEngines) -> None:
    changes = {"cors_origins": ("https://page.example",), "api_keys": KEYS}
    async with gateway(settings, engines, **changes) as client:
        preflight = await client.options("/solve", headers=PREFLIGHT)
        answer = await client.post("/solve", json=BODY, headers=PAGE | bearer(BOB))
        refused = await client.post("/solve", json=BODY, headers=PAGE)
        other = await client.post("/solve", json=BODY, headers={"Origin": "https://other.example"})
    assert preflight.status_code == 200
    assert (answer.status_code, refused.status_code) == (200, 401)
    for response in (preflight, answer, refused):
        assert response.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert "Access-Control-Allow-Origin" not in other.headers
    assert "Access-Control-Allow-Credentials" not in answer.headers


# What openai-node sends from a page (its platform headers, helpers and options), with the one that
# Firefox and Safari let it set.
OPENAI_JS = (
    "authorization,content-type,idempotency-key,openai-organization,openai-project,user-agent,"
    "x-stainless-arch,x-stainless-helper-method,x-stainless-lang,x-stainless-os,"
    "x-stainless-package-version,x-stainless-poll-helper,x-stainless-retry-count,"
    "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
)
OUR_OWN = (
    "authorization,content-type,glore-deadline-ms,glore-max-engine-calls,"
    "glore-max-generated-tokens,idempotency-key,x-request-id"
)


@pytest.mark.parametrize("origins", [("https://page.example",), ("*",)])
@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v1/chat/completions", OPENAI_JS), ("/solve", OUR_OWN), ("/solve/batch", OUR_OWN)],
)
async def test_a_page_may_send_what_clients_send(
    settings: Settings,
    engines: FakeEngines,
    path: str,
    headers: str,
    origins: tuple[str, ...],
) -> None:
    requested = PREFLIGHT | {"Access-Control-Request-Headers": headers}
    stranger = requested | {"Origin": "https://other.example"}
    async with gateway(settings, engines, cors_origins=origins, api_keys=KEYS) as client:
        preflight = await client.options(path, headers=requested)
        other = await client.options(path, headers=stranger)
        wrong = await client.options(
            path, headers=requested | {"Access-Control-Request-Method": "PUT"}
        )
    assert preflight.status_code == 200
    # by name: a bare * would not stand for Authorization
    allowed = preflight.headers["Access-Control-Allow-Headers"].split(",")
    assert {name.strip().lower() for name in allowed} >= set(headers.split(","))
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    assert (other.status_code, wrong.status_code) == (200 if "*" in origins else 400, 400)


async def test_a_page_may_read_when_to_come_again_and_under_which_id(
    settings: Settings, engines: FakeEngines
) -> None:
    changes = {"cors_origins": ("https://page.example",), "api_keys": KEYS, "rate_per_minute": 1}
    async with gateway(settings, engines, **changes) as client:
        unknown = await client.post("/solve", json=BODY, headers=PAGE)
        await client.post("/solve", json=BODY, headers=PAGE | bearer(BOB))
        often = await client.post("/solve", json=BODY, headers=PAGE | bearer(BOB))
        engines.student.fault = "rejected"
        body = {"model": "glore-draft", "messages": [{"role": "user", "content": QUESTION}]}
        futile = await client.post("/v1/chat/completions", json=body, headers=PAGE | bearer(ALICE))
    for response, status, reported in (
        (unknown, 401, "WWW-Authenticate"),
        (often, 429, "Retry-After"),
        (futile, 502, "x-should-retry"),
    ):
        assert response.status_code == status
        exposed = response.headers["Access-Control-Expose-Headers"].lower().split(", ")
        assert reported in response.headers
        assert {reported.lower(), "x-request-id"} <= set(exposed)
