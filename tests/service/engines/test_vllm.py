import asyncio
import json
import socket

import pytest

from glore.engines.exchange import MAX_RESPONSE_BYTES, EngineHTTPError
from glore.engines.generating import VllmGenerator
from glore.engines.ports import Completion, EngineError, FaultReason, Generation, Lease
from glore.engines.streamed import CHARACTERS_PER_TOKEN, LINES_PER_TOKEN
from glore.engines.vllm import VllmEngine, open_engine
from tests.service.engines.fake_vllm import FakeVllm, completion
from tests.service.leases import FakeLease

COMPLETIONS = "/v1/completions"
LEASE = Lease(30.0)
LIMIT_S = 30.0  # ends a test that hangs; generous, for machines that are busy


async def generate(engine: VllmEngine, *, n: int = 1, lease: Lease = LEASE) -> Generation:
    generator = VllmGenerator(engine, "student", "student")
    return await generator.generate(
        "Question: 1 + 1?\nSolution:\n",
        n=n,
        temperature=0.5,
        top_p=0.9,
        max_tokens=64,
        lease=lease,
    )


async def reason_of(engine: VllmEngine, *, n: int = 1, lease: Lease = LEASE) -> FaultReason:
    with pytest.raises(EngineError) as caught:
        await generate(engine, n=n, lease=lease)
    assert caught.value.role == "student"
    return caught.value.reason


# --- generation --------------------------------------------------------------------------


async def test_a_generation_asks_vllm_and_counts_tokens(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.gives(COMPLETIONS, completion("1 + 1 = 2\n#### 2"))
    assert await generate(engine) == Generation((Completion("1 + 1 = 2\n#### 2", "stop"),), 7, 5)
    assert server.bodies == [
        {
            "model": "student",
            "prompt": "Question: 1 + 1?\nSolution:\n",
            "n": 1,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 64,
        }
    ]
    assert server.headers[0]["Authorization"] == "Bearer top-secret"


async def test_completions_come_in_the_order_of_their_index(
    server: FakeVllm, engine: VllmEngine
) -> None:
    answer = completion("a", "b", "c")
    answer["choices"].reverse()
    server.gives(COMPLETIONS, answer)
    generation = await generate(engine, n=3)
    assert [text.text for text in generation.completions] == ["a", "b", "c"]
    assert generation.generated_tokens == 15


async def test_without_a_key_no_authorization_is_sent(server: FakeVllm) -> None:
    server.gives(COMPLETIONS, completion("a"))
    async with open_engine(server.url + "/", api_key=None, timeout=30.0) as engine:
        await generate(engine)
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, "bad_response"),
        (400, "rejected"),
        (401, "rejected"),
        (404, "rejected"),
        (408, "timeout"),
        (429, "overloaded"),
        (500, "failed"),
        (502, "failed"),
        (503, "overloaded"),
        (504, "timeout"),
    ],
)
async def test_a_status_becomes_a_reason(
    server: FakeVllm, engine: VllmEngine, status: int, reason: FaultReason
) -> None:
    server.sends(COMPLETIONS, b'{"error": "upstream text"}', status, Location="/elsewhere")
    assert await reason_of(engine) == reason
    posted = [body for body in server.bodies if body is not None]
    assert len(posted) == 1  # no retry, no redirect followed


async def test_the_error_holds_nothing_of_the_upstreams_text(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.sends(COMPLETIONS, b'{"error": "upstream text"}', 500)
    with pytest.raises(EngineError) as caught:
        await generate(engine)
    assert str(caught.value) == "student: failed"
    assert caught.value.explanation == "answered with HTTP 500"


async def test_what_an_answer_of_no_use_has_cost_is_reported(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.sends(COMPLETIONS, with_choice(finish_reason="abort"))
    lease = FakeLease()
    assert await reason_of(engine, lease=lease) == "failed"
    assert lease.reported.tokens == 5


def changed(key: str, value: object) -> bytes:
    return json.dumps(completion("a") | {key: value}).encode()


def with_choice(**changes: object) -> bytes:
    answer = completion("a")
    answer["choices"][0] |= changes
    return json.dumps(answer).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        changed("choices", []),
        changed("choices", None),
        changed("choices", {"0": {}}),
        changed("choices", completion("a", "b")["choices"]),
        changed("usage", None),
        changed("usage", {"prompt_tokens": 7}),
        changed("usage", {"prompt_tokens": -1, "completion_tokens": 5}),
        changed("usage", {"prompt_tokens": 10**9 + 1, "completion_tokens": 5}),
        changed("usage", {"prompt_tokens": 10**400, "completion_tokens": 5}),
        changed("usage", {"prompt_tokens": 7, "completion_tokens": 10**400}),
        changed("usage", {"prompt_tokens": 7.5, "completion_tokens": 5}),
        changed("usage", {"prompt_tokens": "7", "completion_tokens": 5}),
        changed("usage", {"prompt_tokens": float("nan"), "completion_tokens": 5}),
        with_choice(index=1),
        with_choice(index=10**400),
        with_choice(index=True),
        with_choice(text=None),
        with_choice(text=["a"]),
        with_choice(text="\ud800"),  # half a surrogate pair is no text
        with_choice(finish_reason=None),
    ],
)
async def test_anything_but_the_expected_shape_is_a_bad_response(
    server: FakeVllm, engine: VllmEngine, body: bytes
) -> None:
    server.sends(COMPLETIONS, body)
    assert await reason_of(engine) == "bad_response"


async def test_fewer_completions_than_requested_are_a_bad_response(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.gives(COMPLETIONS, completion("a", "b"))
    assert await reason_of(engine, n=3) == "bad_response"


async def test_a_completion_that_the_server_aborted_is_a_failure(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.sends(COMPLETIONS, with_choice(finish_reason="abort"))
    assert await reason_of(engine) == "failed"


@pytest.mark.parametrize(("n", "tokens"), [(1, 64), (2, 128)])
async def test_more_tokens_than_were_granted_are_a_bad_response(
    server: FakeVllm, engine: VllmEngine, n: int, tokens: int
) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": tokens}
    server.gives(COMPLETIONS, completion(*["a"] * n, usage=usage))
    assert (await generate(engine, n=n)).generated_tokens == tokens
    usage["completion_tokens"] += 1
    server.gives(COMPLETIONS, completion(*["a"] * n, usage=usage))
    assert await reason_of(engine, n=n) == "bad_response"


async def test_more_text_than_so_many_tokens_can_be_is_a_bad_response(
    server: FakeVllm, engine: VllmEngine
) -> None:
    longest = "a" * (64 * CHARACTERS_PER_TOKEN)
    server.gives(COMPLETIONS, completion("a", longest))
    assert (await generate(engine, n=2)).completions[1].text == longest
    server.gives(COMPLETIONS, completion("a", longest + "a"))
    assert await reason_of(engine, n=2) == "bad_response"


async def test_more_lines_than_so_many_tokens_can_be_are_a_bad_response(
    server: FakeVllm, engine: VllmEngine
) -> None:
    most = "\n" * (64 * LINES_PER_TOKEN)
    server.gives(COMPLETIONS, completion(most))
    assert (await generate(engine)).completions[0].text == most
    server.gives(COMPLETIONS, completion(most + "\n"))
    assert await reason_of(engine) == "bad_response"


async def test_a_body_without_end_is_not_read_to_its_end(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.sends(COMPLETIONS, b" " * (MAX_RESPONSE_BYTES + 1))
    assert await reason_of(engine) == "bad_response"


async def test_a_body_cut_off_is_a_bad_response(server: FakeVllm, engine: VllmEngine) -> None:
    server.cuts(COMPLETIONS, json.dumps(completion("a")).encode())
    assert await reason_of(engine) == "bad_response"


async def test_a_connection_closed_without_an_answer_is_a_failure(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.drops(COMPLETIONS)
    assert await reason_of(engine) == "failed"


async def test_a_fault_tells_whether_its_connection_was_used_before(
    server: FakeVllm, engine: VllmEngine
) -> None:
    async def reused() -> bool:
        with pytest.raises(EngineHTTPError) as caught:
            await engine.post(COMPLETIONS, {}, lease=Lease(30.0))
        assert caught.value.reason == "failed"
        return caught.value.reused

    server.drops(COMPLETIONS)
    assert not await reused()
    server.gives("/health", {})
    await engine.get("/health", timeout=30.0)
    assert await reused()
    assert not await reused()
    await engine.get("/health", timeout=30.0)
    server.sends(COMPLETIONS, b"", 500)
    assert not await reused()  # it answered


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with open_engine(f"http://127.0.0.1:{port}", api_key=None, timeout=30.0) as engine:
            assert await reason_of(engine) == "unreachable"


async def test_a_host_that_does_not_exist_is_unreachable() -> None:
    async with open_engine("http://engine.invalid", api_key=None, timeout=30.0) as engine:
        assert await reason_of(engine) == "unreachable"


async def test_what_is_not_http_is_a_bad_response() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"SSH-2.0-nothing to see\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_engine(f"http://127.0.0.1:{port}", api_key=None, timeout=30) as engine:
        assert await reason_of(engine) == "bad_response"


# --- time --------------------------------------------------------------------------------


@pytest.mark.parametrize(("of_call", "of_engine"), [(0.05, 60.0), (60.0, 0.05)])
async def test_the_shorter_of_the_two_limits_holds(
    server: FakeVllm, of_call: float, of_engine: float
) -> None:
    server.hangs(COMPLETIONS)
    async with open_engine(server.url, api_key=None, timeout=of_engine) as engine:
        async with asyncio.timeout(LIMIT_S):
            assert await reason_of(engine, lease=Lease(of_call)) == "timeout"


@pytest.mark.parametrize("limit", [0.0, -1.0])
async def test_no_time_left_means_no_call(
    server: FakeVllm, engine: VllmEngine, limit: float
) -> None:
    assert await reason_of(engine, lease=Lease(limit)) == "timeout"
    assert server.bodies == []


async def test_a_cancelled_call_aborts_the_request(server: FakeVllm, engine: VllmEngine) -> None:
    server.hangs(COMPLETIONS)
    call = asyncio.create_task(generate(engine))
    async with asyncio.timeout(LIMIT_S):
        await server.hanging.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.aborted.wait()


async def test_a_time_limit_around_the_call_is_left_alone(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.hangs(COMPLETIONS)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await generate(engine)
