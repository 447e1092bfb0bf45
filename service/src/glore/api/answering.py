"""One question on its way through the gateway: queue, answer, metrics and log line."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from fastapi import Request

from glore.api.callers import with_deadline
from glore.api.context import Context
from glore.api.disconnect import while_connected
from glore.api.record import RequestRecord, record_of
from glore.api.schemas import SolveResponse
from glore.errors import (
    NoDraftInTimeError,
    ProblemError,
    StudentRejectedError,
    StudentUnavailableError,
)
from glore.refinement.progress import OnProgress
from glore.refinement.runner import Engines, NoDraftError, Solved, refine
from glore.refinement.types import Job, State

_WAITING_SHARE: Final = 0.5  # of the deadline, at most, may be used in the queue


async def solve_once(job: Job, request: Request, context: Context) -> SolveResponse:
    """The answer to a question, once it has a slot.

    Raises OverloadedError, RateLimitedError, ShuttingDownError, what `no_draft_problem` gives
    without a draft, and ClientGoneError when the client disconnects, which cancels the work.
    """
    record = record_of(request.scope)
    with context.metrics.solving():
        try:
            work = _with_slot(job, context, record)
            outcome = await while_connected(request.receive, work)
        except NoDraftError as error:
            raise failed(error, record, context) from error
    return finished(outcome, record, context)


@asynccontextmanager
async def admitted(job: Job, context: Context, client: str) -> AsyncIterator[Job]:
    """A slot to work in, and the job with what the queue has left of its deadline.

    Raises OverloadedError, RateLimitedError.
    """
    arrived = context.clock()
    async with context.admission.slot(job.budget.deadline * _WAITING_SHARE, client):
        left = job.budget.deadline - (context.clock() - arrived)
        yield replace(job, budget=with_deadline(job.budget, left))


async def refined(
    job: Job,
    context: Context,
    request_id: str,
    on_progress: OnProgress | None = None,
    *,
    engines: Engines | None = None,
    start: State | None = None,
) -> Solved:
    """The answer to a question that has its turn. Raises NoDraftError."""
    work = partial(
        refine,
        job,
        engines or context.engines,
        context.clock,
        on_progress,
        request_id=request_id,
        start=start,
    )
    if context.tracing is None:
        return await work()
    with context.tracing.question(job, request_id) as span:
        outcome = await work(observer=span)
        span.answered(outcome)
        return outcome


def finished(outcome: Solved, record: RequestRecord, context: Context) -> SolveResponse:
    """Count and note an answered question; its response."""
    response = count_answer(outcome, record, context, record.request_id)
    _note(record, outcome, response.id)
    return response


def count_answer(
    outcome: Solved, record: RequestRecord, context: Context, question_id: str
) -> SolveResponse:
    """Count an answered question, one of perhaps many of its request; its response."""
    context.metrics.solved(outcome)
    solve_id = f"solve_{uuid.uuid4().hex}"
    answer = context.answers.remember(outcome, solve_id, record.request_id, record.client)
    context.shadows.consider(outcome, question_id, answer, context)
    return SolveResponse.of(outcome, solve_id=solve_id, request_id=record.request_id)


def failed(error: NoDraftError, record: RequestRecord, context: Context) -> ProblemError:
    """Count and note a question without a draft; what it is answered with."""
    record.fields["no_draft"] = str(error.reason)
    context.metrics.used(error.state)
    return no_draft_problem(error)


def no_draft_problem(error: NoDraftError) -> ProblemError:
    """What a question without a draft is answered with."""
    why = f" The student's engine {error.explanation}." if error.explanation else ""
    if error.timed_out:
        return NoDraftInTimeError(f"There was no draft when the time was up: {error.reason}.{why}")
    if error.reason == "rejected":
        return StudentRejectedError(why.strip() or "The student's engine refused the request.")
    return StudentUnavailableError(f"The student gave no draft: {error.reason}.{why}")


async def _with_slot(job: Job, context: Context, record: RequestRecord) -> Solved:
    async with context.drain.work(), admitted(job, context, record.client) as timely:
        return await refined(timely, context, record.request_id)


def _note(record: RequestRecord, outcome: Solved, solve_id: str) -> None:
    """What the log line tells of an answered question: ids and numbers, no text."""
    state = outcome.state
    record.fields.update(
        id=solve_id,
        selected=outcome.selected.kind.value,
        reason=outcome.selection.reason.value,
        candidates=len(state.candidates),
        first_error=outcome.first_error.step if outcome.first_error else None,
        first_error_by=outcome.first_error.found_by if outcome.first_error else None,
        refuted=sum(bool(candidate.findings) for candidate in state.candidates),
        rounds=state.round,
        engine_calls=state.engine_calls,
        generated_tokens=state.generated_tokens,
        degraded=[f"{item.stage.value}:{item.reason}" for item in state.degraded],
    )
