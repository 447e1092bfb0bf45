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
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final, TypeAlias

from aiohttp import web

from loadtest.simulation import gauges, shapes, writing
from loadtest.simulation.calls import UPSTREAM_TEXT, Call, Refused, as_json, failed, hang_up
from loadtest.simulation.listening import Outages, listening
from loadtest.simulation.sending import MORE, Events, send_whole
from loadtest.simulation.settings import OVERLONG_BY, SLOW_FACTOR, FaultKind, Simulated
from loadtest.simulation.tokenizing import Vocabulary, rendered

__all__ = ["UPSTREAM_TEXT", "Call", "Simulator", "running"]
_SCORED: Final = 2  # labels of the head
_MORE_TOKENS: Final = len(writing.tokens(MORE))
_POOLING: Final = frozenset({"/pooling", "/classify"})  # which name no field at fault
_FAULT: Final = web.RequestKey("fault", str)
_LAST: Final = 1000  # calls that are remembered
_Stage: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]


class Simulator:
    """The state of one engine: what runs, what waits, what came."""

    def __init__(self, settings: Simulated) -> None:
        self.settings = settings
        self.running = 0
        self.waiting = 0
        self.finished: Counter[str] = Counter()  # by gauges.REASONS, and "pooled"
        self.came: Counter[bytes] = Counter()
        self.called: deque[tuple[str, Mapping[str, str]]] = deque(maxlen=_LAST)  # model, headers
        self.faults: Counter[str] = Counter()
        self.written = 0  # tokens, those included that went out to nobody
        self._slots = asyncio.Semaphore(settings.timing.slots)
        self._vocabulary = Vocabulary()

    def app(self) -> web.Application:
        """All endpoints. Serve it with handler cancellation on (`running` does)."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.on_response_prepare.append(_mark)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/v1/models", self._models),
                web.post("/tokenize", self._aside(self._tokenize)),
                web.post("/detokenize", self._aside(self._detokenize)),
                web.post("/v1/completions", self._endpoint(self._complete)),
                web.post("/v1/chat/completions", self._endpoint(self._chat)),
                web.post("/pooling", self._endpoint(self._pool)),
                web.post("/classify", self._endpoint(self._classify)),
            ]
        )
        return app

    # --- endpoints -------------------------------------------------------------------

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, _request: web.Request) -> web.Response:
        known = self.settings
        return as_json(shapes.models(known.models, known.max_model_len))

    async def _tokenize(self, call: Call) -> web.StreamResponse:
        ids, pieces = self._vocabulary.encode(rendered(call.body))
        strings = pieces if call.body.get("return_token_strs") else None
        return as_json(shapes.tokenized(ids, strings, self.settings.max_model_len))

    async def _detokenize(self, call: Call) -> web.StreamResponse:
        return as_json({"prompt": self._vocabulary.decode(call.body.get("tokens", []))})

    async def _metrics(self, _request: web.Request) -> web.Response:
        text = gauges.exposition(self.settings.models[0], self.running, self.waiting, self.finished)
        return web.Response(body=text.encode(), headers={"Content-Type": gauges.MEDIA_TYPE})

    def _aside(self, stage: _Stage) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """What no model is asked for: it takes no slot, and no fault befalls it."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await stage(self._call(request, await request.read()))
            except Refused as refused:
                return refused.answer()

        return handle

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
            field = None if request.path in _POOLING else "model"
            raise Refused(404, message, "NotFoundError", field)
        self.called.append((model, request.headers))
        digest = hashlib.sha256(request.path.encode() + raw).digest()
        self.came[digest] += 1
        rng = random.Random(f"{self.settings.seed}-{digest.hex()}-{self.came[digest]}")
        if body.get("temperature") == 0.0:  # the same text every time; the same fault not
            fault = self._fault(model, rng)
            rng = random.Random(f"{self.settings.seed}-{digest.hex()}")
        else:
            fault = self._fault(model, rng)
        return Call(request, body, model, fault, rng)

    def _fault(self, model: str, rng: random.Random) -> FaultKind | None:
        for fault in self.settings.faults:
            asked = fault.model in (None, model) and fault.kind != "refused"
            if asked and rng.random() < fault.share:
                return fault.kind
        return None

    async def _early(self, call: Call) -> web.StreamResponse | None:
        """The answer of a fault that needs no work; None if the work is to be done."""
        match call.fault:
            case "reset":
                await asyncio.sleep(self.settings.timing.refusal)
                hang_up(call)
                return web.Response()
            case "hang":
                async with self._slot():
                    await asyncio.Event().wait()
            case "400" | "429" | "500" as status:
                await asyncio.sleep(self.settings.timing.refusal)
                return failed(int(status))
            case "broken" if not call.streamed:
                self.finished["error"] += 1
                return failed(500)
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
        if call.body.get("echo") and call.body.get("max_tokens") == 0:
            return await self._echo(call, [prompt] if isinstance(prompt, str) else prompt)
        if not isinstance(prompt, str):
            raise Refused(400, "prompt must be a string here", "BadRequestError")
        return await self._generate(call, prompt, chat=False)

    async def _echo(self, call: Call, prompts: object) -> web.StreamResponse:
        """The texts again, each token with its log-probability."""
        if not isinstance(prompts, list) or not all(isinstance(each, str) for each in prompts):
            raise Refused(400, "prompt must be a string or strings here", "BadRequestError")
        texts = [writing.likelihoods(each) for each in prompts]
        asked = sum(map(len, texts))
        await self._wait(call, self._first(asked))
        if call.fault == "nan":
            texts = [[(token, math.nan) for token, _ in text] for text in texts]
        if call.fault == "count":
            texts = texts[:-1]
        self.finished["length"] += len(texts)
        return await send_whole(call, shapes.echoed(call.model, texts, asked))

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
        if call.streamed:
            return await self._stream(call, texts, asked, chat=chat)
        self.written += sum(lengths)
        await self._wait(call, self.settings.timing.between_tokens * max(lengths, default=0))
        made = shapes.chat if chat else shapes.completion
        for _, reason in texts:
            self.finished[reason] += 1
        return await send_whole(call, made(call.model, texts, shapes.usage(asked, sum(lengths))))

    def _text(self, call: Call, prompt: str, most: int) -> tuple[str, str]:
        """A text and why it ended; cut at the token limit."""
        if call.fault in {"empty", "unbounded"}:
            return "", "stop"
        if call.fault not in {"endless", "overlong"}:
            text = writing.written(prompt, call.rng, self.settings.right)
        else:
            text = writing.endless(call.rng)
        pieces = writing.tokens(text)
        if call.fault == "overlong":
            return "".join(pieces[: most + OVERLONG_BY]), "stop"
        return ("".join(pieces[:most]), "length") if len(pieces) > most else (text, "stop")

    async def _stream(
        self, call: Call, texts: Sequence[tuple[str, str]], asked: int, *, chat: bool
    ) -> web.StreamResponse:
        events = Events(call)
        await events.begin()
        head = shapes.stream_head("chatcmpl" if chat else "cmpl", call.model)
        chunk = shapes.chat_chunk if chat else shapes.completion_chunk
        if chat:
            for index in range(len(texts)):
                opening = shapes.chat_opening(head, index)
                await events.send({**opening, **_so_far(call, asked, 0, chat=chat)})
        pieces = [writing.tokens(text) or [""] for text, _ in texts]
        longest = max((len(each) for each in pieces), default=0)
        for place in count() if call.fault == "unbounded" else range(longest):
            await self._wait(call, self.settings.timing.between_tokens)
            if place == longest // 2 and await events.middle():
                self.finished["error"] += call.fault == "broken"
                return events.response
            if call.fault == "unbounded":
                self.written += _MORE_TOKENS
                await events.send(chunk(head, 0, MORE, None))
                continue
            for index, each in enumerate(pieces):
                if place < len(each):
                    reason = texts[index][1] if place == len(each) - 1 else None
                    self.written += bool(each[place])
                    event = chunk(head, index, each[place], reason)
                    await events.send({**event, **_so_far(call, asked, place + 1, chat=chat)})
        if (call.body.get("stream_options") or {}).get("include_usage"):
            written = sum(len(writing.tokens(text)) for text, _ in texts)
            await events.send(shapes.usage_chunk(head, shapes.stream_usage(asked, written)))
        await events.done()
        for _, reason in texts:
            self.finished[reason] += 1
        return events.response

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
        return await send_whole(call, shapes.pooling(call.model, rows, asked))

    async def _classify(self, call: Call) -> web.StreamResponse:
        turns = call.body.get("messages")
        if not isinstance(turns, list) or not turns:
            raise Refused(400, "messages must be a list here", "BadRequestError")
        prompt = rendered({**call.body, "add_generation_prompt": False})
        asked = len(writing.tokens(prompt))
        await self._wait(call, self._first(asked))
        chance = min(row[0] for row in writing.score_rows(f"{turns[-1]['content']}\n", 1))
        value = chance if call.body.get("use_activation", True) else writing.logit(chance)
        labels = {"nan": [math.nan], "count": []}.get(call.fault or "", [value])
        self.finished["pooled"] += 1
        return await send_whole(call, shapes.classification(call.model, labels, asked))

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


def _so_far(call: Call, asked: int, written: int, *, chat: bool) -> shapes.Json:
    """What an event of a stream says of tokens besides, if that was asked for."""
    options = call.body.get("stream_options") or {}
    if not (options.get("include_usage") and options.get("continuous_usage_stats")):
        return {}
    return {"usage": shapes.running_usage(asked, written, chat=chat)}


async def _mark(request: web.Request, response: web.StreamResponse) -> None:
    if _FAULT in request:
        response.headers["X-Simulated-Fault"] = f"{request[_FAULT]}; {UPSTREAM_TEXT}"


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
    outages = Outages(settings.refused, settings.outage, random.Random(settings.seed))
    try:
        async with listening(runner, host, port, outages) as taken:
            yield simulator, f"http://{host}:{taken}"
    finally:
        await runner.cleanup()
