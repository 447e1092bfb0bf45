"""A little server that speaks vLLM's shapes, and breaks in the ways servers break."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def completion(*texts: str, **changes: object) -> dict[str, Any]:
    """What `POST /v1/completions` answers, as vLLM 0.32 does."""
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "student",
        "choices": [
            {
                "index": index,
                "text": text,
                "logprobs": None,
                "finish_reason": "stop",
                "stop_reason": None,
            }
            for index, text in enumerate(texts)
        ],
        "usage": {
            "prompt_tokens": 7,
            "total_tokens": 7 + 5 * len(texts),
            "completion_tokens": 5 * len(texts),
            "prompt_tokens_details": None,
        },
    } | changes


def echoed(*texts: list[tuple[int, float]], **changes: object) -> dict[str, Any]:
    """What `POST /v1/completions` answers that echoes: of each token its offset and logarithm."""
    answer = completion(*["" for _ in texts])
    for choice, tokens in zip(answer["choices"], texts, strict=True):
        choice["logprobs"] = {
            "text_offset": [offset for offset, _ in tokens],
            "token_logprobs": [value for _, value in tokens],
            "tokens": ["a" for _ in tokens],
            "top_logprobs": [{"a": value} for _, value in tokens],
        }
        choice["prompt_logprobs"] = [
            {"5": {"logprob": value, "rank": 1, "decoded_token": "a"}} for _, value in tokens
        ]
    return answer | {"usage": {"prompt_tokens": 11, "completion_tokens": len(texts)}} | changes


def completion_stream(*pieces: str, **last: object) -> list[object]:
    """The events of a streamed `POST /v1/completions`; `last` changes the last choice."""
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "student"}
    choices: list[dict[str, object]] = [
        {"index": 0, "text": piece, "logprobs": None, "finish_reason": None} for piece in pieces
    ]
    choices[-1] |= {"finish_reason": "stop", "stop_reason": None} | last
    counts = {"prompt_tokens": 7, "total_tokens": 12, "completion_tokens": 5}
    return [
        *(head | {"choices": [choice]} for choice in choices),
        head | {"choices": [], "usage": counts},
        "[DONE]",
    ]


def chat_stream(*pieces: str) -> list[object]:
    """The events of a streamed `POST /v1/chat/completions`."""
    events: list[Any] = completion_stream("", *pieces)
    for event in events[:-1]:
        for choice in event["choices"]:
            choice["delta"] = {"content": choice.pop("text")}
    events[0]["choices"][0]["delta"]["role"] = "assistant"
    return events


def as_events(*data: object) -> bytes:
    """Server-sent events of these; what is no text is sent as JSON."""
    texts = (each if isinstance(each, str) else json.dumps(each) for each in data)
    return b"".join(f"data: {text}\n\n".encode() for text in texts)


def chat_completion(*texts: str, **changes: object) -> dict[str, Any]:
    """What `POST /v1/chat/completions` answers, as vLLM 0.32 does."""
    answer = completion(*texts, object="chat.completion")
    for choice in answer["choices"]:
        choice["message"] = {"role": "assistant", "content": choice.pop("text"), "tool_calls": []}
    return answer | changes


def classification(*probs: float, **changes: object) -> dict[str, Any]:
    """What `POST /classify` answers for one conversation."""
    return {
        "id": "classify-1",
        "object": "list",
        "created": 1,
        "model": "orm",
        "data": [{"index": 0, "label": "LABEL_0", "probs": probs, "num_classes": len(probs)}],
        "usage": {"prompt_tokens": 11, "total_tokens": 11, "completion_tokens": 0},
    } | changes


def pooling(*inputs: list[list[float]], **changes: object) -> dict[str, Any]:
    """What `POST /pooling` answers: per input, rows of labels."""
    return {
        "id": "pool-1",
        "object": "list",
        "created": 1,
        "model": "sorm",
        "data": [
            {"index": index, "object": "pooling", "data": rows} for index, rows in enumerate(inputs)
        ],
        "usage": {"prompt_tokens": 11, "total_tokens": 11, "completion_tokens": 0},
    } | changes


class FakeVllm:
    """Answers every path from `answers`, records what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Answer] = {}
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.hanging = asyncio.Event()
        self.aborted = asyncio.Event()

    def gives(self, path: str, body: object, status: int = 200) -> None:
        """Answer `path` with JSON."""
        self.sends(path, json.dumps(body).encode(), status)

    def sends(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer `path` with these bytes."""

        async def answer(_request: web.Request) -> web.Response:
            return web.Response(body=body, status=status, headers=headers)

        self.answers[path] = answer

    def hangs(self, path: str) -> None:
        """Never answer `path`; tell when the client gives up."""

        async def answer(_request: web.Request) -> web.Response:
            self.hanging.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.aborted.set()
            raise AssertionError

        self.answers[path] = answer

    def drops(self, path: str) -> None:
        """Close the connection without an answer."""

        async def answer(request: web.Request) -> web.Response:
            assert request.transport is not None
            request.transport.close()
            return web.Response()

        self.answers[path] = answer

    def cuts(self, path: str, body: bytes) -> None:
        """Close the connection in the middle of the body."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": str(len(body) + 100)})
            await response.prepare(request)
            await response.write(body)
            assert request.transport is not None
            request.transport.close()
            return response

        self.answers[path] = answer

    def streams(self, path: str, body: bytes, end: Literal["whole", "cut", "hang"]) -> None:
        """Answer `path` with the beginning of a stream, and with its end if it is whole."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(body)
            if end == "hang":
                self.hanging.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.aborted.set()
            if end == "cut":
                assert request.transport is not None
                request.transport.close()
            return response

        self.answers[path] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.bodies.append(json.loads(body) if body else None)
        self.headers.append(dict(request.headers))
        answer = self.answers.get(request.path)
        return web.Response(status=404) if answer is None else await answer(request)


@asynccontextmanager
async def fake_vllm() -> AsyncIterator[FakeVllm]:
    """A running FakeVllm on a free port of this machine."""
    fake = FakeVllm()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()
