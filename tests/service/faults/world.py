"""A gateway with one engine at fault, what it answers, and how long that may take."""

import asyncio
import json
import math
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx2
from pydantic import AnyHttpUrl, SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from service.app import create_app
from service.engines.ports import Role
from service.refinement.types import Strategy
from service.settings import EngineSettings, RoleEngines, Settings
from tests.service.lateness import Lateness

JSON = "application/json"
STREAM = "text/event-stream"
REFUSED = "refused"
DEADLINES_MS = {"hang": 3_000}  # of a request; a hanging engine is waited for
PATIENCE_MS = 30_000  # of any other, on whatever machine
BEGIN_S = 0.2  # within which the gateway has read a request
SOLUTIONS = Simulated(timing=Timing(first_token=0.002), right=0.0, seed=7)
_NAMES = {"global_refinement": "global", "local_refinement": "local"}


@dataclass(frozen=True, slots=True)
class Observed:
    """A response, what it took in seconds, and what of that the event loop was busy elsewhere."""

    response: httpx2.Response
    seconds: float
    late: float

    @property
    def answer(self) -> bytes:
        """The answer or the problem as JSON: the body, or the last event of a stream."""
        if not self.response.headers["Content-Type"].startswith(STREAM):
            return self.response.content
        last = self.response.content.rstrip().rpartition(b"\n\n")[2]
        return last.rpartition(b"\ndata: ")[2]

    @property
    def status(self) -> int:
        """The status of the answer, which a stream has in its last event."""
        return int(json.loads(self.answer).get("status", httpx2.codes.OK))

    @property
    def line(self) -> str:
        """Status, candidates, selected by, degraded: as a line of the table."""
        if self.status != httpx2.codes.OK:
            return f"{self.status} - - -"
        body = json.loads(self.answer)
        kinds = [candidate["kind"] for candidate in body["candidates"]]
        kinds[1:] = sorted(kinds[1:])  # as they arrived, which the table does not tell
        names = ",".join(_NAMES.get(kind, kind) for kind in kinds)
        missing = ",".join(f"{item['stage']}:{item['reason']}" for item in body["degraded"])
        return f"200 {names} {body['selected']['reason']} {missing or '-'}"


@asynccontextmanager
async def engines(engine: Role, fault: str) -> AsyncIterator[tuple[Settings, Simulator]]:
    """Settings of a gateway with this fault at this engine, and the simulator of the others."""
    faults = () if fault == REFUSED else (parse_fault(f"{engine}:{fault}"),)
    simulated = Simulated(
        timing=SOLUTIONS.timing, right=SOLUTIONS.right, seed=SOLUTIONS.seed, faults=faults
    )
    async with running(simulated) as (simulator, url):
        server = EngineSettings(url=AnyHttpUrl(url))
        settings = Settings(generation=server, scoring=server, store=SecretStr("off"))
        if fault != REFUSED:
            yield settings, simulator
            return
        with closed_port() as port:
            nobody = EngineSettings(url=AnyHttpUrl(f"http://127.0.0.1:{port}"))
            own = RoleEngines.model_validate({engine: nobody})
            yield settings.model_copy(update={"engines": own}), simulator


class Timed:
    """An ASGI app that notes, by the loop's clock, when a request came and when it was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.came = self.answered = math.nan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        loop = asyncio.get_running_loop()

        async def note(message: Message) -> None:
            self.answered = loop.time()
            await send(message)

        self.came = loop.time()
        await self._app(scope, receive, note)


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Timed]:
    """A fresh gateway: no breaker remembers another question's faults."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield Timed(app)


async def observe(
    app: Timed, strategy: Strategy, accept: str, deadline_ms: int, lateness: Lateness
) -> Observed:
    """An answer; the loop's lateness counts where the deadline begins, and after it."""
    body = {"question": "How many?", "strategy": strategy, "deadline_ms": deadline_ms}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        response = await client.post("/solve", json=body, headers={"Accept": accept})
    await asyncio.sleep(2 * lateness.every)  # a sample that began before the end is in
    begun = lateness.between(app.came, app.came + BEGIN_S)
    late = begun + lateness.between(app.came + deadline_ms / 1000)
    return Observed(response, app.answered - app.came, late)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
