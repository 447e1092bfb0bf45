"""Engines that answer as a test wants, one class per port, and what connects them to an app."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field

from glore.app import ConnectedEngines
from glore.engines.ports import (
    NOTHING_BEGUN,
    STOPPED,
    Completion,
    EngineError,
    FaultReason,
    Generation,
    Lease,
    NoCallLeftError,
    Role,
    Scores,
)
from glore.engines.readiness import EngineState, EngineStatus
from glore.formats.writing import OnText, Prompt
from glore.refinement.runner import Engines

QUESTION = "Tom has 3 bags of 4 sweets. How many sweets does he have?"
DRAFT = "Tom has 3 bags.\n3 * 4 = 13\n#### 13"
GLOBAL = "Three bags of 4 are 12.\n#### 12"
LOCAL = "Tom has 3 bags.\n3 * 4 = 12\n#### 12"
LOCAL_TAIL = "3 * 4 = 12\n#### 12"


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a port."""

    timeout: float  # seconds
    prompt: Prompt  # of a scorer: the question
    texts: tuple[str, ...] = ()  # to be scored
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 0
    streamed: bool = False


@dataclass(slots=True)
class FakeEngine:
    """What all ports share: a record of each request, when it is answered, and with which fault."""

    role: Role
    _: KW_ONLY
    requests: list[Request] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    on_call: Callable[[], None] = lambda: None
    extra_calls: int = 0  # engine calls to reserve beyond the first, for each request
    repeated_calls: int = 0  # the same, each after a call that was lost with all its tokens
    reserved: int = 0  # how many of both were granted
    refunded: int = 0  # calls that found the circuit open
    generated_tokens: int = 0  # a call that fails once begun counts with all its tokens
    hangs: bool = False
    release: asyncio.Event | None = None  # answers wait for it
    cancelled: int = 0
    fault: FaultReason | Exception | None = None

    @property
    def calls(self) -> int:
        """Calls that reached the engine."""
        return len(self.requests) + self.reserved - self.refunded

    async def work(self, request: Request, lease: Lease) -> None:
        """Return when the request may be answered, or raise the fault."""
        self.called.set()
        self.on_call()
        for _ in range(self.extra_calls):
            await asyncio.sleep(0)
            self.reserved += lease.reserve_calls()
        for _ in range(self.repeated_calls):
            await asyncio.sleep(0)
            if lease.reserve_calls(repeated=True):
                self.reserved += 1
                self.generated_tokens += request.n * request.max_tokens
        try:
            if self.hangs:
                await asyncio.Event().wait()
            if self.release is not None:
                await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault == "circuit_open":
            self.refunded += 1
            lease.refund_call()
        if self.fault is not None:
            raise EngineError(self.role, self.fault)


@dataclass(slots=True)
class FakeGenerator(FakeEngine):
    """Gives `text`, or the first of `samples`; streams the lines of `text` before it waits."""

    text: str = DRAFT
    _: KW_ONLY
    samples: tuple[str, ...] | None = None
    finish_reason: str = "stop"
    tokens: int = 10  # of each text
    reported_tokens: int = 0  # before the answer

    async def generate(
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        lease: Lease,
        on_text: OnText | None = None,
    ) -> Generation:
        streamed = on_text is not None
        request = Request(lease.timeout, prompt, (), n, temperature, top_p, max_tokens, streamed)
        self.requests.append(request)
        lease.report_tokens(self.reported_tokens)
        try:
            if on_text is not None:
                written = ""
                for line in self.text.splitlines(keepends=True):
                    written += line
                    if on_text(line):
                        used = min(self.tokens, max_tokens)
                        self.generated_tokens += used
                        return Generation((Completion(written, STOPPED),), 20, used)
                    await asyncio.sleep(0)
            await self.work(request, lease)
        except BaseException as error:
            begun = not isinstance(error, EngineError) or error.reason not in NOTHING_BEGUN
            self.generated_tokens += n * max_tokens * (begun or self.reported_tokens > 0)
            raise
        texts = (self.text,) * n if self.samples is None else self.samples[:n]
        used = min(self.tokens, max_tokens) * len(texts)
        self.generated_tokens += used
        return Generation(tuple(Completion(text, self.finish_reason) for text in texts), 20, used)


@dataclass(slots=True)
class FakeScorer(FakeEngine):
    """Scores a text by the first part that is in it, else `default`; or texts by position."""

    scores: Mapping[str, float] | tuple[float, ...] = field(default_factory=dict)
    default: float = 0.0

    async def values(self, question: str, texts: Sequence[str], lease: Lease) -> tuple[float, ...]:
        request = Request(lease.timeout, question, tuple(texts))
        self.requests.append(request)
        await self.work(request, lease)
        if isinstance(self.scores, tuple):
            return self.scores
        parts = self.scores.items()
        return tuple(
            next((score for part, score in parts if part in text), self.default) for text in texts
        )


@dataclass(slots=True)
class FakeStepScorer(FakeScorer):
    """The SORM."""

    role: Role = "sorm"
    _: KW_ONLY
    scores: Mapping[str, float] | tuple[float, ...] = field(
        default_factory=lambda: {"3 * 4 = 13": 0.1}
    )
    default: float = 0.9

    async def score_steps(self, question: str, steps: Sequence[str], *, lease: Lease) -> Scores:
        return Scores(await self.values(question, steps, lease), prompt_tokens=30)


@dataclass(slots=True)
class FakeOutcomeScorer(FakeScorer):
    """The ORM; `singly`: it needs a call for each solution."""

    role: Role = "orm"
    _: KW_ONLY
    scores: Mapping[str, float] | tuple[float, ...] = field(
        default_factory=lambda: {LOCAL: 0.8, GLOBAL: 0.6}
    )
    default: float = 0.2
    singly: bool = False
    denied: int = 0  # requests whose calls were not granted

    async def score_outcomes(
        self, question: str, solutions: Sequence[str], *, lease: Lease
    ) -> Scores:
        further = len(solutions) - 1 if self.singly else 0
        if further and not lease.reserve_calls(further):
            self.denied += 1
            raise NoCallLeftError
        self.reserved += further
        return Scores(await self.values(question, solutions, lease), prompt_tokens=40)


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
        return Engines(
            self.student,
            self.global_refiner,
            self.local_refiner,
            self.sorm,
            self.orm,
            ranked_singly=self.orm.singly,
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ConnectedEngines]:
        self.connected = True
        yield ConnectedEngines(self.engines(), self.probes)
        self.connected = False
