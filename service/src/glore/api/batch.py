"""`POST /solve/batch`: many questions in, a line of NDJSON for each as it ends."""

import json
import logging
from collections import Counter
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from glore.api.batch_asking import BatchWorker
from glore.api.batch_body import NDJSON, Batch, batch_of
from glore.api.batch_lines import NDJSONWriter
from glore.api.batch_schemas import BatchBroken, BatchDone, BatchLine
from glore.api.callers import ClientBudget, ClientBudgetDep
from glore.api.context import Context, context_of
from glore.api.disconnect import hand_over, while_connected
from glore.api.header_fields import header_parameters, read_headers
from glore.api.openapi import BATCH_ERRORS
from glore.api.problems import internal_problem, problem_of, type_of
from glore.api.record import RequestRecord, record_of
from glore.api.sample_count import ONLY_WHERE_IT_COUNTS
from glore.batches.run import BatchRun, FinishedQuestion, StoppedError
from glore.batches.store import (
    BatchName,
    NothingKept,
    OtherBatchError,
    Store,
    StoreFailedError,
)
from glore.errors import (
    ClientGoneError,
    IdempotencyMismatchError,
    ShuttingDownError,
    StoreUnavailableError,
)

PATH: Final = "/solve/batch"
_SCHEMA: Final = "#/components/schemas/"
_LINES: Final = ("BatchLine", "BatchDone", "BatchBroken")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx
_STOPPED: Final = "The gateway stops, and has not answered every question of the batch."
_log = logging.getLogger("glore.batches")

router = APIRouter()


class LinesResponse(Response):
    """Works the batch off while it is sent; stops when the client goes away or reads nothing.

    When the gateway is about to stop, a batch whose results are kept begins no more questions:
    another gateway goes on with it. One that cannot be gone on with is worked on to the end.
    """

    media_type = NDJSON

    def __init__(
        self, batch: Batch, key: str | None, left: ClientBudget, arrived: float, context: Context
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._batch = batch
        self._key = key
        self._left = left
        self._arrived = arrived  # by the clock of the context
        self._context = context
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a line per question and a last one with the counts, and the error if it broke.

        Raises OverloadedError, RateLimitedError, IdempotencyMismatchError, StoreUnavailableError,
        and ClientGoneError before the first line.
        """
        record = record_of(scope)
        try:
            with self._context.batch_limiter.slot(record.client):
                await while_connected(receive, self._tell_all(send, record))
        except ClientGoneError as error:
            if not self._begun:
                raise
            record.status = error.status
            record.fields.update(client_gone=True, problem=type_of(error))

    async def _tell_all(self, send: Send, record: RequestRecord) -> None:
        context, jobs = self._context, self._batch.jobs
        name = BatchName(str(record.fields.get("key", "")), self._key or "")
        store, replayed = await self._begin(name)
        context.gate.count_more(record.client, max(0, len(jobs) - replayed - 1))
        counts: Counter[str] = Counter()

        async def on_finished(finished: FinishedQuestion) -> None:
            outcome = ("replayed" if finished.replayed else "ok") if finished.answer.ok else "error"
            counts[outcome] += 1
            context.metrics.batch_questions.labels(outcome).inc()
            await writer.write(_line(finished, self._batch.ids[finished.index]))

        asking = BatchWorker(jobs, self._left, self._arrived, context, record)
        work = BatchRun(
            name,
            len(jobs),
            store,
            asking.answer,
            on_finished,
            context.pace,
            asking.is_late,
            context.drain.closed if self._key else context.drain.over,
        )
        self._begun = True
        start = {"status": self.status_code, "headers": self.raw_headers}
        await hand_over(send, {"type": "http.response.start", **start})
        writer = NDJSONWriter(send, context.heartbeat)
        try:
            await writer.alive_during(work.run())
            broken = None
        except ClientGoneError:
            raise
        except StoppedError:
            broken = problem_of(ShuttingDownError(_STOPPED), record.request_id)
        except StoreFailedError as error:
            broken = problem_of(_store_failed(error), record.request_id)
        except Exception:  # noqa: BLE001 - too late for a 500; it is logged
            fields = {"request_id": record.request_id}
            _log.exception("unhandled error in a batch", extra={"fields": fields})
            broken = internal_problem(record.request_id)
        finally:
            record.fields.update(questions=len(jobs), **counts)
        ok, errors = counts["ok"] + counts["replayed"], counts["error"]
        last: BatchDone | BatchBroken = BatchDone(done=True, ok=ok, errors=errors)
        if broken is not None:
            record.status = broken.status
            record.fields["problem"] = broken.type
            last = BatchBroken(done=False, ok=ok, errors=errors, error=broken)
        await writer.end(last.model_dump_json(exclude_none=True) + "\n")

    async def _begin(self, name: BatchName) -> tuple[Store, int]:
        """The store of the results, and how many it has already."""
        store: Store = NothingKept()
        if self._key is not None:
            if self._context.store is None:
                message = "This gateway keeps no results: send the batch without Idempotency-Key."
                raise StoreUnavailableError(message)
            store = self._context.store
        try:
            await store.begin(name, self._batch.digest)
            return store, len(await store.finished(name))
        except OtherBatchError:
            message = "This Idempotency-Key was used for other questions."
            raise IdempotencyMismatchError(message) from None
        except StoreFailedError as error:
            raise _store_failed(error) from None


class _KeyHeader(BaseModel):
    key: str | None = Field(
        default=None,
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9._:-]{1,200}$",
        description="Names the batch. Its results are stored, and the same batch sent again "
        "with this key continues where it stopped.",
    )


@router.post(
    PATH,
    summary="Answer many questions",
    response_class=LinesResponse,
    response_model=BatchLine | BatchDone | BatchBroken,
    status_code=200,
    responses={
        200: {
            "content": {
                NDJSON: {
                    "itemSchema": {"anyOf": [{"$ref": f"{_SCHEMA}{each}"} for each in _LINES]},
                }
            }
        },
        **BATCH_ERRORS,
    },
    openapi_extra={
        "parameters": header_parameters(_KeyHeader),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"{_SCHEMA}BatchRequest"}},
                NDJSON: {"schema": {"$ref": f"{_SCHEMA}BatchQuestion"} | ONLY_WHERE_IT_COUNTS},
            },
        },
    },
)
async def solve_batch(
    request: Request, context: Annotated[Context, Depends(context_of)], left: ClientBudgetDep
) -> Response:
    """Answer many questions, with a line for each as soon as it ends.

    A question that fails costs its line, not the batch. Blank lines are heartbeats. The last line
    says `done`: true when every question has a line, false when the gateway stops or cannot store
    results. With an idempotency key the batch may then be sent again.

    Closing the connection cancels what has not ended. With an idempotency key, results are stored.
    Each question that runs counts against a rate. `Glore-Max-Engine-Calls` and
    `Glore-Max-Generated-Tokens` bound each question, `Glore-Deadline-Ms` the whole batch.
    """
    arrived = context.clock()
    key = read_headers(_KeyHeader, request).key
    batch = await batch_of(request, context.limits)
    return LinesResponse(batch, key, left, arrived, context)


def _store_failed(error: StoreFailedError) -> StoreUnavailableError:
    """Note why the store failed; the error that the client gets."""
    _log.warning("the store failed", extra={"fields": {"reason": str(error)}})
    return StoreUnavailableError("The results cannot be kept now.")


def _line(finished: FinishedQuestion, name: str | None) -> str:
    """A BatchLine; the answer is JSON already, and is not parsed again."""
    answer = finished.answer
    status, result, error = (
        ("ok", answer.text, "null") if answer.ok else ("error", "null", answer.text)
    )
    return (
        f'{{"index":{finished.index},"id":{json.dumps(name)},"status":"{status}",'
        f'"result":{result},"error":{error}}}\n'
    )
