"""Engines that say what they are told to, note what they were asked, and can be held up."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from glore.engines.ports import (
    NOTHING_BEGUN,
    Completion,
    EngineError,
    FaultReason,
    Generation,
    Lease,
    NoCallLeftError,
    Role,
    Scores,
)
from glore.formats.writing import Prompt
from glore.refinement.calls import Engines
from glore.verifiers.ports import Verifier
from tests.service.refinement.builders import DRAFT, GLOBAL


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Asked:
    """One call of a fake engine."""

    timeout: float
    prompt: Prompt = ""
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 0
    texts: tuple[str, ...] = ()  # what was to be scored
    streamed: bool = False


@dataclass
class FakeEngine:
    """What all fakes share: a gate to wait at, a fault to raise, a note of each call."""

    role: Role = "student"
    fault: FaultReason | Exception | None = None
    gate: asyncio.Event | None = None  # None: open
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    requested: list[Asked] = field(default_factory=list)
    cancelled: int = 0
    wants: int = 0  # engine calls beyond the one promised, for each call of the port
    repeats: int = 0  # likewise, each after one that has generated all it might and was lost
    took: int = 0  # of these, granted
    refused: int = 0  # calls that found the circuit open
    generated: int = 0  # tokens in all: a call that fails once begun has written all it might
    on_call: Callable[[], None] = lambda: None

    @property
    def created(self) -> int:
        """Calls that reached the engine."""
        return len(self.requested) + self.took - self.refused

    async def pass_gate(self, requested: Asked, lease: Lease) -> None:
        self.requested.append(requested)
        self.arrived.set()
        self.on_call()
        for _ in range(self.wants):
            await asyncio.sleep(0)
            self.took += lease.reserve_calls()
        for _ in range(self.repeats):
            await asyncio.sleep(0)
            if lease.reserve_calls(repeated=True):
                self.took += 1
                self.generated += requested.n * requested.max_tokens
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            if self.fault == "circuit_open":
                self.refused += 1
                lease.refund_call()
            raise EngineError(self.role, self.fault)


@dataclass
class FakeGenerator(FakeEngine):
    """Gives `text` for one completion and `samples` for several; 5 tokens each, prompt 20.

    The text is told line by line before the gate and the fault, and `tells` tokens of it.
    """

    text: str = ""
    samples: tuple[str, ...] = ()
    finish_reason: str = "stop"
    tells: int = 0

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
        if on_text is not None:
            for line in self.text.splitlines(keepends=True):
                on_text(line)
        lease.report_tokens(self.tells)
        requested = Asked(lease.timeout, prompt, n, temperature, top_p, max_tokens)
        try:
            await self.pass_gate(replace(requested, streamed=on_text is not None), lease)
        except BaseException as error:
            begun = not isinstance(error, EngineError) or error.reason not in NOTHING_BEGUN
            self.generated += n * max_tokens * (begun or self.tells > 0)
            raise
        texts = (self.text,) if n == 1 and not self.samples else self.samples[:n]
        completions = tuple(Completion(text, self.finish_reason) for text in texts)
        used = min(5, max_tokens) * len(texts)
        self.generated += used
        return Generation(completions, prompt_tokens=20, generated_tokens=used)


@dataclass
class FakeStudent(FakeEngine):
    """A student whose draft and samples come from generators of their own."""

    draft: FakeGenerator = field(default_factory=lambda: FakeGenerator(text=DRAFT))
    samples: FakeGenerator = field(
        default_factory=lambda: FakeGenerator(samples=("#### 1", "#### 12", "#### 3"))
    )

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
        engine = self.draft if not self.draft.requested else self.samples
        return await engine.generate(
            prompt,
            n=n,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            lease=lease,
            on_text=on_text,
        )


@dataclass
class FakeSorm(FakeEngine):
    """The scores of a text's steps: as told, else 0.2 for a step that says 13, else 0.9."""

    values: tuple[float, ...] | None = None

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        await self.pass_gate(Asked(lease.timeout, question, texts=tuple(steps)), lease)
        values = tuple(0.2 if "13" in step else 0.9 for step in steps)
        return Scores(self.values if self.values is not None else values, prompt_tokens=30)


@dataclass
class FakeOrm(FakeEngine):
    """The score of a solution: as told, else 0.8 if it says 12, else 0.3."""

    values: tuple[float, ...] | None = None
    singly: bool = False  # a call for each solution
    without_calls: int = 0  # how often it was asked when those were not there

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        if self.singly and len(solutions) > 1:
            if not lease.reserve_calls(len(solutions) - 1):
                self.without_calls += 1
                raise NoCallLeftError
            self.took += len(solutions) - 1
        await self.pass_gate(Asked(lease.timeout, question, texts=tuple(solutions)), lease)
        values = tuple(0.8 if "12" in text else 0.3 for text in solutions)
        return Scores(self.values if self.values is not None else values, prompt_tokens=40)


@dataclass
class FakeEngines:
    """All five, each with its own type, so that a test can turn its screws."""

    student: FakeStudent = field(default_factory=FakeStudent)
    global_refiner: FakeGenerator = field(
        default_factory=lambda: FakeGenerator("global_refiner", text=GLOBAL)
    )
    local_refiner: FakeGenerator = field(
        default_factory=lambda: FakeGenerator("local_refiner", text="3 * 4 = 12\n#### 12")
    )
    sorm: FakeSorm = field(default_factory=lambda: FakeSorm("sorm"))
    orm: FakeOrm = field(default_factory=lambda: FakeOrm("orm"))
    verifiers: tuple[Verifier, ...] = ()

    def engines(self) -> Engines:
        return Engines(
            student=self.student,
            global_refiner=self.global_refiner,
            local_refiner=self.local_refiner,
            sorm=self.sorm,
            orm=self.orm,
            ranked_singly=self.orm.singly,
            verifiers=self.verifiers,
        )

    def all(self) -> tuple[FakeEngine, ...]:
        return (
            self.student.draft,
            self.student.samples,
            self.global_refiner,
            self.local_refiner,
            self.sorm,
            self.orm,
        )
