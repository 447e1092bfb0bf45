"""Gateways on simulated engines, a vLLM that only has metrics, and a Prometheus that scrapes them.

Whatever can happen to a gateway is made to happen once: every strategy, every fault of an engine,
every refusal. So every query of a dashboard has something to show.
"""

import asyncio
import json
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvicorn
from aiohttp import web
from pydantic import AnyHttpUrl, SecretStr

from dashboards.files import RULES
from glore.api.draining import Drain
from glore.app import create_app
from glore.keys import new_key
from glore.refinement.types import Strategy
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import FAULTS, Fault, Simulated, Timing
from tests.dashboards.known import VLLM

INTERVAL_S: Final = 2.0  # of scrapes and of rules: all of the gateways are in one process
PATIENCE_S: Final = 120.0  # ends what hangs
NEEDED: Final = "Prometheus is missing; on Debian and Ubuntu: apt-get install prometheus"
QUESTION: Final = "Tom has {} bags of 4 sweets. How many sweets does he have?"
KEY: Final = new_key()
_MICROSECONDS: Final = re.compile(r"(\.\d{6})\d+")  # of a time in nanoseconds
_ENDLESS: Final = ("hang", "stall", "trickle", "unbounded")  # each takes its question's deadline
_TIMING: Final = Timing(first_token=0.005, between_tokens=0.0005, spread=0.2)


@dataclass(frozen=True, slots=True)
class Gateway:
    """One that runs, and what ends it."""

    url: str
    drain: Drain


class Prometheus:
    """A server that scrapes the targets and evaluates the rules of `dashboards/rules`."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url = url
        self._client = client
        self.began = 0.0  # Unix seconds: what is to be seen begins then

    async def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP API; an error fails."""
        url = f"{self._url}/api/v1/{path}"
        async with self._client.get(url, params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """The series that a query has now, those without a number left out."""
        data = await self.get("query", query=expr)
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        return [each for each in data["result"] if each["value"][1] != "NaN"]

    async def range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series that a query had between two moments (Unix seconds)."""
        moments = {"start": f"{start}", "end": f"{end}", "step": f"{step}"}
        data = await self.get("query_range", query=expr, **moments)
        series: list[dict[str, Any]] = data["result"]
        return series

    async def scraped(self) -> None:
        """Wait until every target has answered a scrape that began after now, and once more."""
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(2):
                now = time.time()
                while not await self._scraped_since(now):
                    await asyncio.sleep(0.1)

    async def _scraped_since(self, moment: float) -> bool:
        targets = (await self.get("targets"))["activeTargets"]
        return bool(targets) and all(
            each["health"] == "up"
            and datetime.fromisoformat(_MICROSECONDS.sub(r"\1", each["lastScrape"])).timestamp()
            > moment
            for each in targets
        )


@asynccontextmanager
async def prometheus(
    folder: Path, client: aiohttp.ClientSession, targets: Mapping[str, Iterable[str]]
) -> AsyncIterator[Prometheus]:
    """One that scrapes `targets`, which are addresses by job. Raises AssertionError without it."""
    program = shutil.which("prometheus")
    assert program is not None, NEEDED
    port = _free_port()
    jobs = [
        {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
        for job, addresses in targets.items()
    ]
    every = f"{round(INTERVAL_S * 1000)}ms"
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(RULES / "*.yml")],
        "scrape_configs": jobs,
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config), encoding="utf-8")  # YAML, too
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await _answers(client, f"{url}/-/ready"):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        yield Prometheus(url, client)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The address of an app that runs in this event loop."""
    config = uvicorn.Config(
        app, port=0, access_log=False, log_config=None, http="h11", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    server.config.load()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server._serve([listener]))
        async with asyncio.timeout(PATIENCE_S):
            while not server.started:
                assert not task.done()
                await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def gateway(writes: str, scores: str, **changes: Any) -> AsyncIterator[Gateway]:
    """A gateway on engines at these addresses."""
    settings = Settings(
        generation=EngineSettings(url=AnyHttpUrl(writes)),
        scoring=EngineSettings(url=AnyHttpUrl(scores)),
        **{"threshold": 0.6, "gate": 0.6, "store": SecretStr("off"), **changes},
    )
    drain = Drain()
    async with served(create_app(settings, drain=drain)) as url:
        yield Gateway(url, drain)


@asynccontextmanager
async def recorded_vllm() -> AsyncIterator[str]:
    """The address of what says the recorded metrics of a vLLM; all counts grow at each scrape."""
    text, scrapes = VLLM.read_text(encoding="utf-8"), count(1)

    async def metrics(_request: web.Request) -> web.Response:
        more = next(scrapes)
        lines = [_grown(line, more) for line in text.splitlines()]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _grown(line: str, scrapes: int) -> str:
    """A sample of a counter with as many more as there were scrapes; other lines as they are."""
    name, _, value = line.rpartition(" ")
    metric = name.partition("{")[0]
    if line.startswith("#") or not metric.endswith(("_total", "_count", "_sum", "_bucket")):
        return line
    return f"{name} {float(value) + scrapes}"


class World:
    """Everything that runs, and the client that asks it."""

    def __init__(self, client: aiohttp.ClientSession, simulators: tuple[Simulator, ...]) -> None:
        self.client = client
        self._simulators = simulators
        self._numbers = count(1)

    def breaks(self, *faults: Fault) -> None:
        """Have both engines fail in these ways from now on."""
        for each in self._simulators:
            each.settings = replace(each.settings, faults=faults)

    def body(self, **options: object) -> dict[str, object]:
        """A question that nobody asked before."""
        return {"question": QUESTION.format(next(self._numbers)), **options}

    async def ask(
        self, url: str, body: object, path: str = "/solve", **headers: str
    ) -> tuple[int, str]:
        """Status and text of an answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(url + path, json=body, headers=sent) as response:
            return response.status, await response.text()

    async def solved(self, url: str, **options: object) -> dict[str, Any]:
        """The answer to a new question."""
        status, text = await self.ask(url, self.body(**options))
        assert status == 200, text
        answer: dict[str, Any] = json.loads(text)
        return answer


async def every_strategy(world: World, url: str) -> None:
    """Whole, streamed, as a chat and in batches; then callers judge some answers."""
    events = {"Accept": "text/event-stream"}
    for strategy in Strategy:
        options = {"strategy": strategy.value}
        if strategy in {Strategy.GLORE, Strategy.ADAPTIVE, Strategy.GATED}:
            options["rounds"] = 2  # type: ignore[assignment]
        asked = [world.solved(url, verify=number % 2 > 0, **options) for number in range(4)]
        answers = await asyncio.gather(*asked)
        await asyncio.gather(*(world.ask(url, world.body(**options), **events) for _ in range(2)))
        await asyncio.gather(*(judge(world, url, number, a) for number, a in enumerate(answers)))
    chat = {"model": "glore", "messages": [{"role": "user", "content": QUESTION.format("no")}]}
    await world.ask(url, chat, "/v1/chat/completions")
    questions = {"questions": [world.body() for _ in range(3)]}
    for _ in range(2):  # the second time from the store
        await world.ask(url, questions, "/solve/batch", Idempotency_Key="again")


async def judge(world: World, url: str, number: int, answer: Mapping[str, Any]) -> None:
    """Right, wrong, or wrong although another candidate was right."""
    others = {each["answer"] for each in answer["candidates"]} - {answer["answer"], None}
    verdict: dict[str, object] = {"correct": bool(number % 2)}
    if number % 3 == 0 and answer["answer"]:
        verdict = {"expected_answer": answer["answer"]}
    elif others:
        verdict = {"expected_answer": min(others)}
    await world.ask(url, {"id": answer["id"], **verdict}, "/feedback")


async def shadows(world: World, url: str) -> None:
    """Drafts that are refined in the background, and verdicts on some of them."""
    for number in range(4):
        before = await _refined(world, url)
        answer = await world.solved(url, strategy="draft")
        async with asyncio.timeout(PATIENCE_S):
            while await _refined(world, url) == before:
                await asyncio.sleep(0.1)
        expected = answer["answer"] if number % 2 and answer["answer"] else "7"
        await world.ask(url, {"id": answer["id"], "expected_answer": expected}, "/feedback")


async def _refined(world: World, url: str) -> str:
    """How many shadows were refined, as the metrics have it."""
    async with world.client.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (found,) = [each for each in lines if each.startswith('glore_shadows_total{outcome="refined"}')]
    return found


async def every_fault(world: World, url: str) -> None:
    """Each kind of fault of the refiners and the scorers; then those of the student."""
    for kind in FAULTS:
        if kind == "refused":
            continue  # of a gateway whose engines nobody started
        roles = ("global_refiner", "local_refiner", "sorm", "orm")
        world.breaks(*(Fault(kind, 1.0, role) for role in roles))
        deadline = 500 if kind in _ENDLESS else 1500
        budgets: tuple[dict[str, int], ...] = (
            *({}, {}),
            {"max_generated_tokens": 330},
            {"max_engine_calls": 2},
        )
        await asyncio.gather(
            *(world.ask(url, world.body(deadline_ms=deadline, **budget)) for budget in budgets)
        )
    world.breaks()


async def every_refusal(world: World, small: str, keyed: Gateway, nobody: str) -> None:
    """Each problem that a client can be answered with, once.

    `small` has one place at work and one to wait. `keyed` asks for a key, takes few requests and
    ends. The engines of `nobody` are not there.
    """
    client, text = world.client, {"Content-Type": "text/plain"}
    await world.ask(small, {"question": ""})
    await client.post(f"{small}/solve", data=b"x", headers=text)
    await client.post(f"{small}/solve", data=b"\xff", headers={"Content-Type": "application/json"})
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    await client.post(f"{small}/solve", data=b"{}", headers=packed)
    await world.ask(small, {"question": "x" * 100_000})
    await client.get(f"{small}/nowhere")
    await client.put(f"{small}/solve")
    chat = {"model": "other", "messages": [{"role": "user", "content": "x"}]}
    await world.ask(small, chat, "/v1/chat/completions")
    for body in ({"questions": [world.body()]}, {"questions": [world.body(), world.body()]}):
        await world.ask(small, body, "/solve/batch", Idempotency_Key="one", X_Request_ID="many")
    await world.ask(nobody, {"questions": [world.body()]}, "/solve/batch", Idempotency_Key="one")
    questions = {"questions": [world.body(), world.body()]}
    await world.ask(small, questions, "/solve/batch", X_Request_ID="several")
    for verdict in (True, False):
        await world.ask(small, {"id": "several", "correct": verdict}, "/feedback")
    answer = await world.solved(small)
    for verdict in (True, False):
        await world.ask(small, {"id": answer["id"], "correct": verdict}, "/feedback")
    await world.ask(small, {"id": "nothing", "correct": True}, "/feedback")
    await world.ask(keyed.url, world.body())
    bearer = {"Authorization": f"Bearer {KEY}"}
    for _ in range(3):
        await world.ask(keyed.url, world.body(strategy="draft"), **bearer)
    for _ in range(60):  # more failures than any objective allows
        await world.ask(nobody, world.body())
    await _slow_body(small)
    world.breaks(Fault("400", 1.0, "student"))
    await world.ask(small, world.body())
    world.breaks(Fault("hang", 1.0, "student"))
    await _leave(world.ask(small, world.body()))
    await asyncio.gather(
        *(world.ask(small, world.body(deadline_ms=800, strategy="draft")) for _ in range(4))
    )
    world.breaks()
    keyed.drain.end()
    await world.ask(keyed.url, world.body(), **bearer)


async def _leave(asking: Awaitable[object]) -> None:
    """Close the connection before the answer is there."""
    asked = asyncio.ensure_future(asking)
    await asyncio.sleep(0.3)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def _slow_body(url: str) -> None:
    """Announce a body that never comes."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /solve HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n"
    )
    await reader.read()
    writer.close()


@asynccontextmanager
async def driven(folder: Path, repeats: int = 1) -> AsyncIterator[Prometheus]:
    """A Prometheus that has seen everything happen; questions are asked `repeats` times."""
    timing = Simulated(timing=_TIMING, right=0.5)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        client = await enter(aiohttp.ClientSession())
        writer, writes = await enter(running(timing))
        scorer, scores = await enter(running(timing))
        vllm = await enter(recorded_vllm())
        world = World(client, (writer, scorer))
        store = SecretStr(f"sqlite:///{folder / 'batches.sqlite3'}")
        main = await enter(gateway(writes, scores, store=store, shadow=1.0))
        small = await enter(
            gateway(writes, scores, store=store, max_running=1, max_waiting=1, body_timeout=0.3)
        )
        keyed = await enter(
            gateway(writes, scores, api_keys=SecretStr(KEY), rate_per_minute=30, rate_burst=2)
        )
        closed = f"http://127.0.0.1:{_free_port()}"
        nobody = await enter(gateway(closed, closed))
        gateways = (main, small, keyed, nobody)
        targets = {
            "glore": [_address(each.url) for each in gateways],
            "vllm": [_address(url) for url in (writes, vllm)],
        }
        watching = await enter(prometheus(folder, client, targets))
        await watching.scraped()  # every series is there at zero
        watching.began = time.time()
        for _ in range(repeats):
            await every_strategy(world, main.url)
            await shadows(world, main.url)
        await every_refusal(world, small.url, keyed, nobody.url)
        await every_fault(world, main.url)
        await watching.scraped()
        yield watching


def _address(url: str) -> str:
    return url.removeprefix("http://").rstrip("/")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
