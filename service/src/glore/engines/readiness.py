"""Whether the engines can work: each one's `/health` and `/v1/models`, probed side by side.

An engine that is healthy is also checked, once, whether it fits the families of its roles
(`glore.engines.fitness`); when it was away in between, again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from glore.engines.breaker import Circuit
from glore.engines.exchange import EngineHTTP, EngineHTTPError, parse
from glore.engines.fitness import Check
from glore.engines.ports import Role
from glore.engines.wire import ModelList

_UNAUTHORIZED: Final = frozenset({401, 403})
_STARTING: Final = 503


class EngineState(StrEnum):
    """What a probe found."""

    READY = "ready"  # It is healthy and serves its models.
    UNREACHABLE = "unreachable"  # There is no connection; perhaps vLLM still loads its model.
    UNRESPONSIVE = "unresponsive"  # It accepts connections and does not answer in time.
    STARTING = "starting"  # It answers 503: its model is not loaded yet.
    FAILED = "failed"  # It answers, but not as a healthy vLLM would.
    UNAUTHORIZED = "unauthorized"  # It refuses the API key.
    MISSING_MODELS = "missing_models"  # It does not serve all models that the settings name.
    MISFIT = "misfit"  # It does not fit the family of a role.


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The state of one engine, and the model names it should serve but does not.

    `problem` says in a sentence why an engine is a misfit.
    """

    state: EngineState
    missing: tuple[str, ...] = ()
    problem: str = ""


class Probe(Protocol):
    """Asks one engine."""

    async def check(self) -> EngineStatus:
        """The engine's state now. Does not raise."""
        ...


class VllmProbe:
    """Asks a vLLM server for its health, for the names it serves, and once for its fitness."""

    def __init__(
        self,
        engine: EngineHTTP,
        models: Collection[str],
        timeout: float,
        checks: Sequence[Check] = (),
    ) -> None:
        self._engine = engine
        self._models = tuple(sorted(set(models)))
        self._timeout = timeout  # seconds, for each question
        self._checks = tuple(checks)
        self._fits = False

    async def check(self) -> EngineStatus:
        """The server's state now. Does not raise."""
        status = await self._health()
        if status.state is not EngineState.READY:
            self._fits = False
        elif not self._fits:
            status = await self._fitness()
            self._fits = status.state is EngineState.READY
        return status

    async def _fitness(self) -> EngineStatus:
        for check in self._checks:
            try:
                problem = await check(self._timeout)
            except EngineHTTPError as fault:
                return EngineStatus(_state_of(fault))
            if problem is not None:
                return EngineStatus(EngineState.MISFIT, problem=problem)
        return EngineStatus(EngineState.READY)

    async def _health(self) -> EngineStatus:
        try:
            await self._engine.get("/health", timeout=self._timeout)
            body = await self._engine.get("/v1/models", timeout=self._timeout)
            served = {model.id for model in parse(ModelList, body).data}
        except EngineHTTPError as fault:
            return EngineStatus(_state_of(fault))
        missing = tuple(name for name in self._models if name not in served)
        return EngineStatus(EngineState.MISSING_MODELS if missing else EngineState.READY, missing)


class HasBreaker(Protocol):
    """A role's engine behind a circuit breaker."""

    @property
    def circuit(self) -> Circuit:
        """Where its breaker stands."""
        ...

    def end_rest(self) -> None:
        """Let one call through now, as a trial."""
        ...


class ReadinessMonitor:
    """The state of every engine, remembered for `ttl` seconds so that probing stays cheap.

    An engine that was not ready and is again is tried at once: the circuits of its `roles` rest no
    longer.
    """

    def __init__(
        self,
        probes: Mapping[str, Probe],
        clock: Callable[[], float],
        *,
        ttl: float = 1.0,
        guards: Mapping[Role, HasBreaker] = MappingProxyType({}),
        roles: Mapping[str, Sequence[Role]] = MappingProxyType({}),
    ) -> None:
        self._probes = dict(probes)
        self._guards = guards
        self._roles = roles
        self._clock = clock
        self._ttl = ttl
        self._lock = asyncio.Lock()
        self._checked: float | None = None
        self._statuses: dict[str, EngineStatus] = {}
        self._checking: asyncio.Task[Mapping[str, EngineStatus]] | None = None

    @property
    def latest(self) -> Mapping[str, EngineStatus]:
        """What was found last; empty before the first check."""
        return self._statuses

    async def refresh(self, within: float) -> None:
        """Check, and wait for that no longer than `within` seconds; it then goes on by itself."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self.check())
        await asyncio.wait({self._checking}, timeout=within)

    def circuits(self) -> dict[Role, Circuit]:
        """The circuit of every role that has a breaker, as it stands now."""
        return {role: engine.circuit for role, engine in self._guards.items()}

    async def check(self) -> Mapping[str, EngineStatus]:
        """Engine name -> status. Those who ask at the same time share one round of probes."""
        async with self._lock:
            if self._checked is None or self._clock() - self._checked >= self._ttl:
                found = await asyncio.gather(*(probe.check() for probe in self._probes.values()))
                before, self._statuses = self._statuses, dict(zip(self._probes, found, strict=True))
                self._checked = self._clock()
                for name, status in self._statuses.items():
                    self._compare(name, before.get(name), status)
            return self._statuses

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Ask the engines again and again while a circuit is open, until cancelled."""
        try:
            while True:
                await sleep(self._ttl)
                if Circuit.OPEN in self.circuits().values():
                    await self.check()
        finally:
            if self._checking is not None:
                self._checking.cancel()

    def _compare(self, name: str, before: EngineStatus | None, now: EngineStatus) -> None:
        """Act on what has changed since the last probe."""
        ready = now.state is EngineState.READY
        if ready and before is not None and before.state is not EngineState.READY:
            for role in self._roles.get(name, ()):
                self._guards[role].end_rest()


def _state_of(fault: EngineHTTPError) -> EngineState:
    if fault.status in _UNAUTHORIZED:
        return EngineState.UNAUTHORIZED
    if fault.status == _STARTING:
        return EngineState.STARTING
    match fault.reason:
        case "unreachable":
            return EngineState.UNREACHABLE
        case "timeout":
            return EngineState.UNRESPONSIVE
        case _:
            return EngineState.FAILED
