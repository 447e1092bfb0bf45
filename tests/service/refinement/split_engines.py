"""The fake engines of the algorithm's tests: the student's draft and samples apart."""

from dataclasses import dataclass, field, replace
from typing import Any

from glore.engines.ports import Generation
from glore.formats.writing import Prompt
from glore.refinement.runner import Engines
from glore.verifiers.ports import Verifier
from tests.service.fakes import (
    GLOBAL,
    LOCAL_TAIL,
    FakeEngine,
    FakeEngines,
    FakeGenerator,
    FakeOutcomeScorer,
    FakeStepScorer,
)


@dataclass
class SplitStudent:
    """The first request goes to one generator, all others to another."""

    draft: FakeGenerator
    samples: FakeGenerator

    async def generate(self, prompt: Prompt, **options: Any) -> Generation:
        engine = self.samples if self.draft.requests else self.draft
        return await engine.generate(prompt, **options)


@dataclass
class SplitEngines(FakeEngines):
    """Engines whose student has its samples from a generator of their own; 5 tokens a text."""

    student: FakeGenerator = field(default_factory=lambda: FakeGenerator("student", tokens=5))
    samples: FakeGenerator = field(
        default_factory=lambda: FakeGenerator(
            "student", samples=("#### 1", "#### 12", "#### 3"), tokens=5
        )
    )
    global_refiner: FakeGenerator = field(
        default_factory=lambda: FakeGenerator("global_refiner", GLOBAL, tokens=5)
    )
    local_refiner: FakeGenerator = field(
        default_factory=lambda: FakeGenerator("local_refiner", LOCAL_TAIL, tokens=5)
    )
    sorm: FakeStepScorer = field(default_factory=lambda: FakeStepScorer(scores={"13": 0.2}))
    orm: FakeOutcomeScorer = field(
        default_factory=lambda: FakeOutcomeScorer(scores={"12": 0.8}, default=0.3)
    )
    verifiers: tuple[Verifier, ...] = ()

    def engines(self) -> Engines:
        student = SplitStudent(self.student, self.samples)
        return replace(FakeEngines.engines(self), student=student, verifiers=self.verifiers)

    def all(self) -> tuple[FakeEngine, ...]:
        return (
            self.student,
            self.samples,
            self.global_refiner,
            self.local_refiner,
            self.sorm,
            self.orm,
        )
