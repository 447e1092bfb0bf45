"""Ports that are observed: around every call of an engine stands one context manager."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeAlias

from glore.engines.ports import (
    Generation,
    Generator,
    Lease,
    OutcomeScorer,
    Role,
    Scores,
    StepScorer,
)
from glore.formats.writing import OnText, Prompt
from glore.refinement.runner import Engines


@dataclass(frozen=True, slots=True)
class Writing:
    """What a model is to write, with its sampling parameters."""

    prompt: Prompt
    n: int
    temperature: float
    top_p: float
    max_tokens: int


@dataclass(slots=True)
class PortCall:
    """One call of a role's port; without `writing`, for scores.

    An observer may replace `lease` and `on_text`, which the engine gets. `answer` is the engine's,
    once it has come.
    """

    role: Role
    lease: Lease
    writing: Writing | None = None
    on_text: OnText | None = None
    answer: Generation | Scores | None = None


Observer: TypeAlias = Callable[[PortCall], AbstractContextManager[None]]


def observed(engines: Engines, observer: Observer) -> Engines:
    """The same engines; each call runs in what `observer` gives for it."""
    return replace(
        engines,
        student=_ObservedGenerator(engines.student, "student", observer),
        global_refiner=_ObservedGenerator(engines.global_refiner, "global_refiner", observer),
        local_refiner=_ObservedGenerator(engines.local_refiner, "local_refiner", observer),
        sorm=_ObservedStepScorer(engines.sorm, observer),
        orm=_ObservedOutcomeScorer(engines.orm, observer),
    )


class _ObservedGenerator:
    """A Generator."""

    def __init__(self, inner: Generator, role: Role, observer: Observer) -> None:
        self._inner = inner
        self._role = role
        self._observer = observer

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
        """As the inner port."""
        writing = Writing(prompt, n, temperature, top_p, max_tokens)
        call = PortCall(self._role, lease, writing, on_text)
        with self._observer(call):
            call.answer = generation = await self._inner.generate(
                prompt,
                n=n,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                lease=call.lease,
                on_text=call.on_text,
            )
        return generation


class _ObservedStepScorer:
    """A StepScorer."""

    def __init__(self, inner: StepScorer, observer: Observer) -> None:
        self._inner = inner
        self._observer = observer

    async def score_steps(self, question: str, steps: Sequence[str], *, lease: Lease) -> Scores:
        """As the inner port."""
        call = PortCall("sorm", lease)
        with self._observer(call):
            call.answer = scores = await self._inner.score_steps(question, steps, lease=call.lease)
        return scores


class _ObservedOutcomeScorer:
    """An OutcomeScorer."""

    def __init__(self, inner: OutcomeScorer, observer: Observer) -> None:
        self._inner = inner
        self._observer = observer

    async def score_outcomes(
        self, question: str, solutions: Sequence[str], *, lease: Lease
    ) -> Scores:
        """As the inner port."""
        call = PortCall("orm", lease)
        with self._observer(call):
            call.answer = scores = await self._inner.score_outcomes(
                question, solutions, lease=call.lease
            )
        return scores
