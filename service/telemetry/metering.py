"""Ports that count: each wraps a port of the same kind and leaves its answers as they are."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from models.formats.writing import Prompt
from service.engines.ports import (
    EngineError,
    Generation,
    Generator,
    OutcomeScorer,
    Role,
    Scores,
    StepScorer,
)
from service.refinement.runner import Engines
from service.telemetry.metrics import Metrics


class MeteredGenerator:
    """A Generator whose calls are counted for `role`."""

    def __init__(self, inner: Generator, role: Role, metrics: Metrics) -> None:
        self._inner = inner
        self._role = role
        self._metrics = metrics

    async def generate(  # noqa: PLR0913 - the port's signature
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        timeout: float,  # noqa: ASYNC109
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """As the inner port."""
        with _counted(self._metrics, self._role):
            return await self._inner.generate(
                prompt,
                n=n,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                timeout=timeout,
                on_text=on_text,
            )


class MeteredStepScorer:
    """A StepScorer whose calls are counted."""

    def __init__(self, inner: StepScorer, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Scores:
        """As the inner port."""
        with _counted(self._metrics, "sorm"):
            return await self._inner.score_steps(question, steps, timeout=timeout)


class MeteredOutcomeScorer:
    """An OutcomeScorer whose calls are counted."""

    def __init__(self, inner: OutcomeScorer, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Scores:
        """As the inner port."""
        with _counted(self._metrics, "orm"):
            return await self._inner.score_outcomes(question, solutions, timeout=timeout)


def metered(engines: Engines, metrics: Metrics) -> Engines:
    """The same engines, counted."""
    return Engines(
        student=MeteredGenerator(engines.student, "student", metrics),
        global_refiner=MeteredGenerator(engines.global_refiner, "global_refiner", metrics),
        local_refiner=MeteredGenerator(engines.local_refiner, "local_refiner", metrics),
        sorm=MeteredStepScorer(engines.sorm, metrics),
        orm=MeteredOutcomeScorer(engines.orm, metrics),
        formats=engines.formats,
        ranked_singly=engines.ranked_singly,
    )


@contextmanager
def _counted(metrics: Metrics, role: Role) -> Iterator[None]:
    start = time.perf_counter()
    metrics.engine_calls.labels(role).inc()
    try:
        yield
    except EngineError as error:
        metrics.engine_errors.labels(role, error.reason).inc()
        raise
    except asyncio.CancelledError:
        metrics.engine_cancellations.labels(role).inc()
        raise
    finally:
        metrics.engine_seconds.labels(role).observe(time.perf_counter() - start)
