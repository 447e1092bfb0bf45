"""Ports that count calls and log faults: each leaves the answers of the port it wraps alone."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from glore.engines.ports import (
    EngineError,
    Generation,
    Generator,
    Lease,
    OutcomeScorer,
    Role,
    Scores,
    StepScorer,
)
from glore.formats.writing import Prompt
from glore.refinement.runner import Engines
from glore.telemetry.engine_log import EngineLog
from glore.telemetry.metrics import Metrics
from glore.telemetry.overhead import time_away

OnText: TypeAlias = Callable[[str], None]
_NEARLY: Final = 0.99  # of its time: a call that is cancelled after it has run out of time


@dataclass(frozen=True, slots=True)
class _Observer:
    """Where calls are counted and faults are logged."""

    metrics: Metrics
    log: EngineLog

    @contextmanager
    def call(self, role: Role, timeout: float) -> Iterator[None]:
        """Around one call of a port that may take `timeout` seconds."""
        metrics = self.metrics
        start = time.perf_counter()
        metrics.engine_calls.labels(role).inc()
        away, outcome = time_away(), "ok"
        if away is not None:
            away.begin()
        try:
            yield
        except EngineError as error:
            outcome = "error"
            metrics.engine_errors.labels(role, error.reason).inc()
            self.log.failed(error)
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            metrics.engine_cancellations.labels(role).inc()
            if time.perf_counter() - start >= _NEARLY * timeout:
                self.log.failed(_late(role, timeout))
            raise
        finally:
            if away is not None:
                away.end()
            seconds = time.perf_counter() - start
            metrics.engine_seconds.labels(role, outcome).observe(seconds)

    def timed(self, role: Role, on_text: OnText | None) -> OnText | None:
        """`on_text`, which notes when the first text of a call that begins now has come."""
        if on_text is None:
            return None
        start, noted = time.perf_counter(), False

        def note(text: str) -> None:
            nonlocal noted
            if not noted:
                noted = True
                seconds = time.perf_counter() - start
                self.metrics.engine_first_token_seconds.labels(role).observe(seconds)
            on_text(text)

        return note


class MeteredGenerator:
    """A Generator whose calls are observed for `role`."""

    def __init__(self, inner: Generator, role: Role, observer: _Observer) -> None:
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
        with self._observer.call(self._role, lease.timeout):
            return await self._inner.generate(
                prompt,
                n=n,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                lease=lease,
                on_text=self._observer.timed(self._role, on_text),
            )


class MeteredStepScorer:
    """A StepScorer whose calls are observed."""

    def __init__(self, inner: StepScorer, observer: _Observer) -> None:
        self._inner = inner
        self._observer = observer

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """As the inner port."""
        with self._observer.call("sorm", lease.timeout):
            return await self._inner.score_steps(question, steps, lease=lease)


class MeteredOutcomeScorer:
    """An OutcomeScorer whose calls are observed."""

    def __init__(self, inner: OutcomeScorer, observer: _Observer) -> None:
        self._inner = inner
        self._observer = observer

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """As the inner port."""
        with self._observer.call("orm", lease.timeout):
            return await self._inner.score_outcomes(question, solutions, lease=lease)


def metered(engines: Engines, metrics: Metrics, log: EngineLog) -> Engines:
    """The same engines; calls are counted and faults are logged."""
    observer = _Observer(metrics, log)
    return replace(
        engines,
        student=MeteredGenerator(engines.student, "student", observer),
        global_refiner=MeteredGenerator(engines.global_refiner, "global_refiner", observer),
        local_refiner=MeteredGenerator(engines.local_refiner, "local_refiner", observer),
        sorm=MeteredStepScorer(engines.sorm, observer),
        orm=MeteredOutcomeScorer(engines.orm, observer),
    )


def _late(role: Role, timeout: float) -> EngineError:
    problem = f"no answer in the {timeout:.1f} s that were left of the request's deadline"
    return EngineError(role, "timeout", details={"problem": problem})
