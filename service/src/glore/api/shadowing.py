"""Questions that were answered by their draft are refined, unseen, to see what that would gain.

Which ones follows from the ids of their requests. A shadow goes on from the draft that was sent. It
takes a slot that is spare, and gives it back at once when a question needs it. Its engine calls are
not counted among those of questions; the engines' time is shared all the same.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from glore.api.admission import NoSpareSlotError
from glore.api.answering import refined
from glore.api.callers import with_deadline
from glore.api.context import Context
from glore.refinement.runner import Engines, Solved
from glore.refinement.types import Job, Strategy, gate_of
from glore.telemetry.feedback import RememberedAnswer
from glore.telemetry.shadows import ShadowMetrics, ShadowOutcome

_RANGE: Final = 2**64  # of the numbers that ids become

_log = logging.getLogger("glore.shadows")


class Shadows:
    """Refines a `share` (0..1) of such questions by `strategy` on `engines`, in the background."""

    def __init__(
        self, share: float, strategy: Strategy, engines: Engines, metrics: ShadowMetrics
    ) -> None:
        self._share = share
        self._strategy = strategy
        self._engines = engines
        self._metrics = metrics
        self._running: set[asyncio.Task[ShadowOutcome]] = set()
        self._displaced: set[asyncio.Task[ShadowOutcome]] = set()

    def consider(
        self, outcome: Solved, request_id: str, answer: RememberedAnswer | None, context: Context
    ) -> None:
        """Refine an answered question too, if it is one of those; `answer` then learns of it."""
        if outcome.state.job.strategy is not Strategy.DRAFT or context.drain.begun:
            return
        if not self._chosen(request_id):
            return
        work = self._refine(outcome, f"{request_id}-shadow", answer, context)
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Drop those that are being refined."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _chosen(self, request_id: str) -> bool:
        digest = hashlib.sha256(request_id.encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._share * _RANGE

    async def _refine(
        self, before: Solved, name: str, answer: RememberedAnswer | None, context: Context
    ) -> ShadowOutcome:
        try:
            with context.admission.spare_slot(self._giving_way(asyncio.current_task())):
                after = await refined(
                    self._job(before, context),
                    context,
                    name,
                    engines=self._engines,
                    start=before.state,
                )
            self._metrics.refined(before, after)
            if answer is not None:
                answer.shadow = RememberedAnswer.of(after, answer.solve_id, name, answer.client)
        except NoSpareSlotError:
            return "no_slot"
        except Exception:  # noqa: BLE001 - a bug costs no answer; it is logged
            _log.exception("unhandled error in a shadow", extra={"fields": {"request_id": name}})
            return "failed"
        return "refined"

    def _job(self, before: Solved, context: Context) -> Job:
        """The question by the strategy of shadows, within what its own budget has left."""
        job, limits = before.state.job, context.limits
        return replace(
            job,
            strategy=self._strategy,
            budget=with_deadline(job.budget, max(0.0, job.budget.deadline - before.seconds)),
            gate=gate_of(self._strategy, limits.gate, verified=job.verify and limits.verifies),
        )

    def _giving_way(self, task: "asyncio.Task[ShadowOutcome] | None") -> Callable[[], None]:
        def give_way() -> None:
            if task is not None:
                self._displaced.add(task)
                task.cancel()

        return give_way

    def _ended(self, task: asyncio.Task[ShadowOutcome]) -> None:
        self._running.discard(task)
        if task.cancelled():
            outcome: ShadowOutcome = "displaced" if task in self._displaced else "dropped"
        else:
            outcome = task.result()
        self._displaced.discard(task)
        self._metrics.shadows.labels(outcome).inc()
