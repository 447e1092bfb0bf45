"""What a status other than 200 is called for clients, and what of it goes into the log."""

import asyncio
import json
from typing import Final

import pytest
from aiohttp import web

from glore.engines.generating import VllmGenerator
from glore.engines.ports import EngineError, Lease
from glore.engines.vllm import VllmEngine, open_engine
from tests.service.engines.fake_vllm import FakeVllm

COMPLETIONS: Final = "/v1/completions"
LIMIT_S: Final = 30.0  # ends a test that hangs
SERVED: Final = {"data": [{"id": "student", "max_model_len": 4096}, {"id": "sorm"}]}
OTHERS: Final = {"data": [{"id": "llama"}, {"id": "sorm"}]}
NO_SUCH_MODEL: Final = {"error": {"message": "The model `student` does not exist.", "code": 404}}
TOO_LONG: Final = "refused the request. The prompt is too long: its model's maximum context length"
VLLM_TOO_LONG: Final = (
    "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens"
)


async def fault_of(engine: VllmEngine) -> EngineError:
    generator = VllmGenerator(engine, "student", "student")
    with pytest.raises(EngineError) as caught:
        await generator.generate(
            "1 + 1?", n=1, temperature=0.0, top_p=1.0, max_tokens=8, lease=Lease(LIMIT_S)
        )
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "served", "explanation"),
    [
        (401, {"error": "Unauthorized"}, SERVED, "refused the gateway's key"),
        (403, {}, SERVED, "refused the gateway's key"),
        (404, NO_SUCH_MODEL, OTHERS, "does not serve student (it serves llama, sorm)"),
        (404, {"detail": "Not Found"}, None, "does not serve student, or its URL is wrong"),
        (404, {"detail": "Not Found"}, SERVED, "refused the request (HTTP 404)"),
        (400, NO_SUCH_MODEL, OTHERS, "does not serve student (it serves llama, sorm)"),
        (400, {"error": {"message": VLLM_TOO_LONG}}, SERVED, f"{TOO_LONG} is 4096 tokens"),
        (
            400,
            {"object": "error", "message": "The decoder prompt exceeds the maximum model length"},
            {"data": [{"id": "student"}]},
            "refused the request. The prompt is too long for its model",
        ),
        (422, {"detail": "Input is too long."}, SERVED, f"{TOO_LONG} is 4096 tokens"),
        (413, {"detail": "Payload"}, SERVED, f"{TOO_LONG} is 4096 tokens"),
        (400, {"error": {"message": "top_p must be in (0, 1]"}}, SERVED, "refused the request"),
        (405, {}, SERVED, "refused the request (HTTP 405)"),
        (302, {}, SERVED, "answered with HTTP 302"),
        (429, {}, SERVED, "answered with HTTP 429"),
        (500, {"error": {"message": VLLM_TOO_LONG}}, SERVED, "answered with HTTP 500"),
        (504, {}, SERVED, "answered with HTTP 504"),
    ],
)
async def test_a_status_has_an_explanation(
    server: FakeVllm,
    engine: VllmEngine,
    status: int,
    body: object,
    served: object,
    explanation: str,
) -> None:
    server.gives(COMPLETIONS, body, status)
    if served is not None:
        server.gives("/v1/models", served)
    error = await fault_of(engine)
    assert error.explanation.startswith(explanation)
    assert error.details["status"] == status
    assert "9000" not in error.explanation  # its own words are for the log


async def test_an_engine_that_asks_for_a_key(server: FakeVllm) -> None:
    server.gives(COMPLETIONS, {}, 401)
    async with open_engine(server.url, api_key=None, timeout=LIMIT_S) as engine:
        error = await fault_of(engine)
    assert error.explanation == "asks for a key, and the gateway has none"


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        (json.dumps({"error": {"message": "x" * 300}}).encode(), "x" * 200),
        (b'{"error": "no top-secret here"}', "no [secret] here"),
        (b"<h1>Bad\r\n\x1b[2J\xff</h1>", "<h1>Bad\\r\\n\\x1b[2J\ufffd</h1>"),
        (b"[" * 100_000, "[" * 200),
        (b'{"error": [1]}', '{"error": [1]}'),
        (b"", None),
    ],
    ids=["long", "key", "controls", "deep", "other", "empty"],
)
async def test_the_log_is_given_the_beginning_of_the_body(
    server: FakeVllm, engine: VllmEngine, body: bytes, excerpt: str | None
) -> None:
    server.sends(COMPLETIONS, body, 500)
    assert (await fault_of(engine)).details.get("body") == excerpt


async def test_names_of_an_engine_are_bounded_and_hold_no_key(
    server: FakeVllm, engine: VllmEngine
) -> None:
    names = ["top-secret", "\x1b[2J", "n" * 500, *map(str, range(50))]
    server.gives(COMPLETIONS, NO_SUCH_MODEL, 404)
    server.gives("/v1/models", {"data": [{"id": name} for name in names]})
    explanation = (await fault_of(engine)).explanation
    assert explanation.startswith("does not serve student (it serves [secret], nnn")
    assert explanation.endswith("7, ...)")
    assert explanation.isprintable()
    assert len(explanation) < 300


async def test_a_body_that_does_not_end_holds_up_nobody(
    server: FakeVllm, engine: VllmEngine
) -> None:
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        await response.write(b"out of memory")
        await asyncio.Event().wait()
        raise AssertionError

    server.answers[COMPLETIONS] = dribble
    async with asyncio.timeout(LIMIT_S / 2):
        error = await fault_of(engine)
    assert (error.reason, error.details["body"]) == ("failed", "out of memory")


async def test_models_are_requested_once_in_a_while(server: FakeVllm, engine: VllmEngine) -> None:
    server.gives(COMPLETIONS, NO_SUCH_MODEL, 404)
    server.gives("/v1/models", OTHERS)
    errors = [await fault_of(engine) for _ in range(3)]
    assert {error.explanation for error in errors} == {
        "does not serve student (it serves llama, sorm)"
    }
    assert server.bodies.count(None) == 1  # a GET
