"""The simulated engine as an aiohttp application: endpoints, queue, faults.

A client that goes away cancels its request at once, as in vLLM: the gauge of running requests
falls. Faults and texts are drawn from the seed, the request, and how often that request came
before, so that a run can be repeated and a retry may fare better.
"""

import asyncio
import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiohttp import web

from loadtest.simulation import shapes, writing
from loadtest.simulation.settings import SLOW_FACTOR, FaultKind, Simulated

_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "400": (400, "BadRequestError"),
    "429": (429, "TooManyRequests"),
    "500": (500, "InternalServerError"),
}
# In every answer that a fault befell: whoever passes it on leaks what an engine says.
UPSTREAM_TEXT: Final = "simulated fault: this text belongs to the engine and to nobody else"
_SCORED: Final = 2  # labels of the head
_FAULT: Final = web.RequestKey("fault", str)
_Stage: TypeAlias = Callable[["Call"], Awaitable[web.StreamResponse]]


class Refused(Exception):  # noqa: N818 - an answer, not a failure of the simulator
    """A request that a sound engine refuses."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param

    def answer(self) -> web.Response:
        """The refusal as the engine words it."""
        return _json(shapes.error(self.status, str(self), self.kind, self.param), self.status)


@dataclass(slots=True)
class Call:
    """One request on its way: what was asked, what befalls it, and its own random numbers."""

    request: web.Request
    body: dict[str, Any]
    model: str
    fault: FaultKind | None
    rng: random.Random


class Simulator:
    """The state of one engine: what runs, what waits, what came."""

    def __init__(self, settings: Simulated) -> None:
        self.settings = settings
        self.running = 0
        self.waiting = 0
        self.finished: Counter[str] = Counter()  # by "stop", "length", "abort", "pooled"
        self.came: Counter[bytes] = Counter()
        self.faults: Counter[str] = Counter()
        self._slots = asyncio.Semaphore(settings.timing.slots)

    def app(self) -> web.Application:
        """All endpoints. Serve it with handler cancellation on (`running` does)."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.on_response_prepare.append(_mark)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/v1/models", self._models),
                web.post("/tokenize", self._tokenize),
                web.post("/v1/completions", self._endpoint(self._complete)),
                web.post("/v1/chat/completions", self._endpoint(self._chat)),
                web.post("/pooling", self._endpoint(self._pool)),
            ]
        )
        return app

    # --- endpoints -------------------------------------------------------------------

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, _request: web.Request) -> web.Response:
        known = self.settings
        return _json(shapes.models(known.models, known.max_model_len))

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        pieces = writing.tokens(str(body.get("prompt", "")))
        ids = [int.from_bytes(hashlib.sha256(p.encode()).digest()[:2], "big") for p in pieces]
        return _json(
            {
                "count": len(ids),
                "max_model_len": self.settings.max_model_len,
                "tokens": ids,
                "token_strs": pieces if body.get("return_token_strs") else None,
            }
        )

    async def _metrics(self, _request: web.Request) -> web.Response:
        label = f'engine="0",model_name="{self.settings.models[0]}"'
        gauges = {"vllm:num_requests_running": self.running}
        gauges["vllm:num_requests_waiting"] = self.waiting
        lines = []
        for name, value in gauges.items():
            lines += [f"# HELP {name} {name}", f"# TYPE {name} gauge"]
            lines.append(f"{name}{{{label}}} {float(value)}")
        name = "vllm:request_success_total"
        lines += [f"# HELP {name} {name}", f"# TYPE {name} counter"]
        for reason, count in sorted(self.finished.items()):
            lines.append(f'{name}{{{label},finished_reason="{reason}"}} {float(count)}')
        return web.Response(text="\n".join(lines) + "\n")

    def _endpoint(self, stage: _Stage) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                call = self._call(request, await request.read())
            except Refused as refused:
                return refused.answer()
            if call.fault is not None:
                self.faults[call.fault] += 1
                request[_FAULT] = call.fault
            try:
                if (early := await self._early(call)) is not None:
                    return early
                async with self._slot():
                    return await stage(call)
            except Refused as refused:
                return refused.answer()
            except (asyncio.CancelledError, ConnectionError):
                self.finished["abort"] += 1
                raise

        return handle

    # --- before the work -------------------------------------------------------------

    def _call(self, request: web.Request, raw: bytes) -> Call:
        key = self.settings.api_key
        if key is not None and request.headers.get("Authorization") != f"Bearer {key}":
            raise Refused(401, "Unauthorized", "Unauthorized")
        try:
            body = json.loads(raw)
            model = str(body["model"])
        except (ValueError, KeyError, TypeError):
            raise Refused(400, "not a request", "BadRequestError") from None
        if model not in self.settings.models:
            message = f"The model `{model}` does not exist."
            raise Refused(404, message, "NotFoundError", "model")
        digest = hashlib.sha256(request.path.encode() + raw).digest()
        self.came[digest] += 1
        rng = random.Random(f"{self.settings.seed}-{digest.hex()}-{self.came[digest]}")  # noqa: S311
        if body.get("temperature") == 0.0:  # the same text every time; the same fault not
            fault = self._fault(model, rng)
            rng = random.Random(f"{self.settings.seed}-{digest.hex()}")  # noqa: S311
        else:
            fault = self._fault(model, rng)
        return Call(request, body, model, fault, rng)

    def _fault(self, model: str, rng: random.Random) -> FaultKind | None:
        for fault in self.settings.faults:
            if fault.model in (None, model) and rng.random() < fault.share:
                return fault.kind
        return None

    async def _early(self, call: Call) -> web.StreamResponse | None:
        """The answer of a fault that needs no work; None if the work is to be done."""
        match call.fault:
            case "reset":
                _hang_up(call)
                return web.Response()
            case "hang":
                async with self._slot():
                    await asyncio.Event().wait()
            case "400" | "429" | "500" as status:
                code, kind = _REFUSALS[status]
                return _json(shapes.error(code, UPSTREAM_TEXT, kind), code, UPSTREAM_TEXT)
            case "garbage":
                return web.Response(text=f"{{{UPSTREAM_TEXT}", content_type="application/json")
            case _:
                pass
        return None

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()

    # --- the work --------------------------------------------------------------------

    async def _complete(self, call: Call) -> web.StreamResponse:
        prompt = call.body.get("prompt")
        if not isinstance(prompt, str):
            raise Refused(400, "prompt must be a string here", "BadRequestError")
        return await self._generate(call, prompt, chat=False)

    async def _chat(self, call: Call) -> web.StreamResponse:
        turns = call.body.get("messages")
        if not isinstance(turns, list) or not turns:
            raise Refused(400, "messages must be a list", "BadRequestError")
        prompt = "\n".join(str(turn.get("content")) for turn in turns)
        return await self._generate(call, f"{prompt}\nSolution:\n", chat=True)

    async def _generate(self, call: Call, prompt: str, *, chat: bool) -> web.StreamResponse:
        body, asked = call.body, len(writing.tokens(prompt))
        n, most = int(body.get("n") or 1), int(body.get("max_tokens") or 16)
        if asked + most > self.settings.max_model_len:
            message = f"max_tokens={most} cannot be had of {self.settings.max_model_len} tokens"
            raise Refused(400, message, "BadRequestError", "max_tokens")
        texts = [self._text(call, prompt, most) for _ in range(n)]
        lengths = [len(writing.tokens(text)) for text, _ in texts]
        await self._wait(call, self._first(asked))
        if body.get("stream"):
            return await self._stream(call, texts, asked, chat=chat)
        await self._wait(call, self.settings.timing.between_tokens * max(lengths, default=0))
        made = shapes.chat if chat else shapes.completion
        for _, reason in texts:
            self.finished[reason] += 1
        return await self._send(call, made(call.model, texts, shapes.usage(asked, sum(lengths))))

    def _text(self, call: Call, prompt: str, most: int) -> tuple[str, str]:
        """A text and why it ended; cut at the token limit."""
        if call.fault == "empty":
            return "", "stop"
        if call.fault == "endless":
            text = writing.endless(call.rng)
        else:
            text = writing.written(prompt, call.rng, self.settings.right)
        pieces = writing.tokens(text)
        return ("".join(pieces[:most]), "length") if len(pieces) > most else (text, "stop")

    async def _stream(
        self, call: Call, texts: Sequence[tuple[str, str]], asked: int, *, chat: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(call.request)
        head = shapes.stream_head("chatcmpl" if chat else "cmpl", call.model)

        async def event(content: Mapping[str, Any]) -> None:
            await response.write(f"data: {json.dumps(content)}\n\n".encode())

        if chat:
            for index in range(len(texts)):
                await event(shapes.chat_opening(head, index))
        pieces = [writing.tokens(text) for text, _ in texts]
        half = max((len(each) for each in pieces), default=0) // 2
        for place in range(max((len(each) for each in pieces), default=0) or 1):
            await self._wait(call, self.settings.timing.between_tokens)
            if call.fault == "cut" and place >= half:
                _hang_up(call)
                return response
            for index, each in enumerate(pieces):
                last = place >= len(each) - 1
                reason = texts[index][1] if last else None
                if place < max(len(each), 1):
                    piece = each[place] if each else ""
                    await event(
                        shapes.chat_chunk(head, index, piece, reason)
                        if chat
                        else shapes.completion_chunk(head, index, piece, reason)
                    )
        if (call.body.get("stream_options") or {}).get("include_usage"):
            counts = shapes.stream_usage(asked, sum(len(each) for each in pieces))
            await event(shapes.usage_chunk(head, counts))
        await response.write(b"data: [DONE]\n\n")
        for _, reason in texts:
            self.finished[reason] += 1
        return response

    async def _pool(self, call: Call) -> web.StreamResponse:
        given = call.body.get("input")
        inputs = [given] if isinstance(given, str) else given
        if not isinstance(inputs, list) or not all(isinstance(each, str) for each in inputs):
            raise Refused(400, "input must be a string or strings here", "BadRequestError")
        asked = sum(len(writing.tokens(each)) for each in inputs)
        await self._wait(call, self._first(asked))
        rows = [writing.score_rows(each, _SCORED) for each in inputs]
        if call.fault == "nan":
            rows = [[[math.nan] * _SCORED for _ in each] for each in rows]
        if call.fault == "count":
            rows = [each[:-1] for each in rows]
        self.finished["pooled"] += 1
        return await self._send(call, shapes.pooling(call.model, rows, asked))

    async def _send(self, call: Call, content: Mapping[str, Any]) -> web.StreamResponse:
        """The whole answer, or half of it and an end."""
        body = json.dumps(content).encode()
        if call.fault != "cut":
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": str(len(body))}
        )
        await response.prepare(call.request)
        await response.write(body[: len(body) // 2])
        _hang_up(call)
        return response

    def _first(self, prompt_tokens: int) -> float:
        timing = self.settings.timing
        return timing.first_token + timing.per_prompt_token * prompt_tokens

    async def _wait(self, call: Call, seconds: float) -> None:
        """That many seconds of an idle engine, longer beside other requests."""
        timing = self.settings.timing
        busy = 1.0 + timing.per_request * (self.running - 1)
        drawn = call.rng.lognormvariate(0.0, timing.spread) if timing.spread else 1.0
        slow = SLOW_FACTOR if call.fault == "slow" else 1.0
        await asyncio.sleep(seconds * busy * drawn * slow)


def _json(content: Mapping[str, Any], status: int = 200, reason: str | None = None) -> web.Response:
    body = json.dumps(content).encode()
    return web.Response(body=body, status=status, reason=reason, content_type="application/json")


async def _mark(request: web.Request, response: web.StreamResponse) -> None:
    if _FAULT in request:
        response.headers["X-Simulated-Fault"] = f"{request[_FAULT]}; {UPSTREAM_TEXT}"


def _hang_up(call: Call) -> None:
    """End the connection as a crash does: a reset, no last chunk."""
    if call.request.transport is not None:  # else the client was first
        call.request.transport.abort()


@asynccontextmanager
async def running(
    settings: Simulated, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[Simulator, str]]:
    """A simulated engine that listens, and its URL; port 0 takes a free one."""
    simulator = Simulator(settings)
    runner = web.AppRunner(
        simulator.app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        taken = runner.addresses[0][1]
        yield simulator, f"http://{host}:{taken}"
    finally:
        await runner.cleanup()
