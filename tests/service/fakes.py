"""Hand-written stand-ins for the ports, and an app on top of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from glore.app import ConnectedEngines
from glore.engines.ports import (
    Completion,
    EngineError,
    FaultReason,
    Generation,
    Lease,
    Role,
    Scores,
)
from glore.engines.readiness import EngineState, EngineStatus
from glore.formats.writing import Prompt
from glore.refinement.runner import Engines

QUESTION = "Tom has 3 bags of 4 sweets. How many sweets does he have?"
DRAFT = "Tom has 3 bags.\n3 * 4 = 13\n#### 13"
GLOBAL = "Three bags of 4 are 12.\n#### 12"
LOCAL = "Tom has 3 bags.\n3 * 4 = 12\n#### 12"
LOCAL_TAIL = "3 * 4 = 12\n#### 12"


@dataclass(slots=True)
class FakeGenerator:
    """Gives `text` for every completion, or fails, or never answers; tells its lines first."""

    role: Role
    text: str = DRAFT
    fault: FaultReason | None = None
    bug: Exception | None = None
    hangs: bool = False
    calls: int = 0
    streamed: int = 0
    prompts: list[Prompt] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    async def generate(
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        lease: Lease,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        self.calls += 1
        self.streamed += on_text is not None
        self.prompts.append(prompt)
        if on_text is not None:
            for line in self.text.splitlines(keepends=True):
                on_text(line)
                await asyncio.sleep(0)
        self.called.set()
        if self.hangs:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        if self.fault is not None:
            raise EngineError(self.role, self.fault)
        if self.bug is not None:
            raise self.bug
        return Generation((Completion(self.text, "stop"),) * n, 20, 10 * n)


@dataclass(slots=True)
class FakeStepScorer:
    """Scores a step by its text."""

    scores: Mapping[str, float] = field(default_factory=lambda: {"3 * 4 = 13": 0.1})
    fault: FaultReason | None = None

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        if self.fault is not None:
            raise EngineError(role="sorm", reason=self.fault)
        return Scores(tuple(self.scores.get(step, 0.9) for step in steps), 30)


@dataclass(slots=True)
class FakeOutcomeScorer:
    """Scores a solution by its text."""

    scores: Mapping[str, float] = field(default_factory=lambda: {LOCAL: 0.8, GLOBAL: 0.6})
    fault: FaultReason | None = None

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        if self.fault is not None:
            raise EngineError(role="orm", reason=self.fault)
        return Scores(tuple(self.scores.get(text, 0.2) for text in solutions), 40)


@dataclass(slots=True)
class FakeProbe:
    """Finds what it is told to find."""

    status: EngineStatus = field(default_factory=lambda: EngineStatus(EngineState.READY))
    checks: int = 0

    async def check(self) -> EngineStatus:
        self.checks += 1
        await asyncio.sleep(0)
        return self.status


@dataclass(slots=True)
class FakeEngines:
    """All five roles; `connect` is what `create_app` takes."""

    student: FakeGenerator = field(default_factory=lambda: FakeGenerator("student"))
    global_refiner: FakeGenerator = field(
        default_factory=lambda: FakeGenerator("global_refiner", GLOBAL)
    )
    local_refiner: FakeGenerator = field(
        default_factory=lambda: FakeGenerator("local_refiner", LOCAL_TAIL)
    )
    sorm: FakeStepScorer = field(default_factory=FakeStepScorer)
    orm: FakeOutcomeScorer = field(default_factory=FakeOutcomeScorer)
    probes: dict[str, FakeProbe] = field(
        default_factory=lambda: {"generation": FakeProbe(), "scoring": FakeProbe()}
    )
    connected: bool = False

    def engines(self) -> Engines:
        return Engines(self.student, self.global_refiner, self.local_refiner, self.sorm, self.orm)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ConnectedEngines]:
        self.connected = True
        yield ConnectedEngines(self.engines(), self.probes)
        self.connected = False
