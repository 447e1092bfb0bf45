"""The questions of one batch, each in a slot, within what is left of the client's own budget."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from glore.api.answering import count_answer, no_draft_problem, refined
from glore.api.callers import ClientBudget
from glore.api.context import Context
from glore.api.problems import Problem, internal_problem, problem_of
from glore.api.record import RequestRecord
from glore.batches.run import QuestionAnswer
from glore.errors import NoDraftInTimeError, ProblemError, ShuttingDownError
from glore.refinement.runner import NoDraftError, Solved
from glore.refinement.types import Job

_log: Final = logging.getLogger("glore.batches")


class BatchWorker:
    """Answers the questions of a batch that arrived at `arrived`, by the clock of the context.

    Engine calls and generated tokens of `left` are those of each question, its deadline is that
    of the whole batch. A question's own deadline begins with its turn.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        left: ClientBudget,
        arrived: float,
        context: Context,
        record: RequestRecord,
    ) -> None:
        self._tasks = jobs
        self._left = left
        self._context = context
        self._record = record
        self._ends = arrived + left.deadline_ms / 1000

    def is_late(self) -> bool:
        """Whether the time of the batch is up: every answer is a problem then."""
        return self._seconds_left <= 0

    async def answer(self, index: int) -> QuestionAnswer | None:
        """The result of one question, or the problem; None where the gateway's end broke it off.

        Never raises.
        """
        request_id = self._record.request_id
        try:
            outcome = await self._with_slot(index)
        except ShuttingDownError:
            return None
        except ProblemError as error:
            return _failed(problem_of(error, request_id))
        except NoDraftError as error:
            self._context.metrics.used(error.state)
            return _failed(problem_of(no_draft_problem(error), request_id))
        except Exception:  # noqa: BLE001 - a bug costs its line, not the batch; it is logged
            fields = {"request_id": request_id, "index": index}
            _log.exception("unhandled error in a batch", extra={"fields": fields})
            return _failed(internal_problem(request_id))
        question_id = self._question_id(index)
        result = count_answer(outcome, self._record, self._context, question_id)
        return QuestionAnswer(result.model_dump_json(), ok=True)

    async def _with_slot(self, index: int) -> Solved:
        """Raises NoDraftError, NoDraftInTimeError, ShuttingDownError."""
        context = self._context
        async with context.drain.work():
            if self.is_late():
                message = "The time of the batch was up before it was the question's turn."
                raise NoDraftInTimeError(message)
            async with context.admission.batch_slot(self._seconds_left, self._record.client):
                with context.metrics.solving():
                    job = self._bound(self._tasks[index])
                    return await refined(job, context, self._question_id(index))

    def _question_id(self, index: int) -> str:
        return f"{self._record.request_id}-{index}"

    def _bound(self, job: Job) -> Job:
        """The job with no more of each than the caller has left now."""
        milliseconds = max(0, math.ceil(self._seconds_left * 1000))
        return replace(self._left, deadline_ms=milliseconds).bound(job)

    @property
    def _seconds_left(self) -> float:
        return self._ends - self._context.clock()


def _failed(problem: Problem) -> QuestionAnswer:
    return QuestionAnswer(problem.model_dump_json(exclude_none=True), ok=False)
