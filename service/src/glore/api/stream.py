"""Answers as streams of server-sent events (WHATWG HTML, section 9.2)."""

import logging
import time
from typing import Final, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from glore.api.context import Context
from glore.api.disconnect import handing_over, while_connected
from glore.api.problems import Problem, internal_problem, problem_of, type_of
from glore.api.progress_queue import Admitted, Heartbeat, ProgressQueue, run_streaming
from glore.api.record import RequestRecord, record_of
from glore.api.schemas import SolveResponse
from glore.errors import ClientGoneError, ProblemError
from glore.refinement.progress import Delta, StageDone
from glore.refinement.types import Job

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT: Final = b": heartbeat\n\n"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx
_log = logging.getLogger("glore.streams")


class EventEncoder(Protocol):
    """Encodes the events of one stream; empty bytes where an item has no event."""

    def encode(self, item: Delta | StageDone | SolveResponse) -> bytes:
        """The event of an item; the response comes last."""
        ...

    def encode_error(self, problem: Problem) -> bytes:
        """The last event of a stream without a response."""
        ...


class EventStreamResponse(Response):
    """Works on a question while it is sent; stops when the client goes away.

    It begins when the question leaves the queue, or with the first event if it is `late`. A
    heartbeat begins it too, in the queue as well. An error before that is raised, and answered like
    that of any other response. After that the record has the status of the error.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, job: Job, context: Context, encoder: EventEncoder, *, late: bool = False
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._task = job
        self._context = context
        self._encoder = encoder
        self._late = late
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events. Raises OverloadedError, and ClientGoneError before the first byte."""
        record = record_of(scope)
        try:
            await while_connected(receive, self._answer(record, send))
        except ClientGoneError as error:
            if not self._begun:
                raise
            record.status = error.status
            record.fields.update(client_gone=True, problem=type_of(error))

    async def _answer(self, record: RequestRecord, send: Send) -> None:
        async with (
            run_streaming(self._task, self._context, record) as queue,
            handing_over(send) as send_in_time,
        ):
            try:
                await self._send_items(queue, send_in_time, record)
            except ClientGoneError:
                raise
            except Exception as error:
                if not self._begun:
                    raise
                problem = _problem(error, record.request_id)
                record.status = problem.status
                record.fields["problem"] = problem.type
                await self._write(send_in_time, self._encoder.encode_error(problem))
            await self._write(send_in_time, b"", more=False)

    async def _send_items(self, queue: ProgressQueue, send: Send, record: RequestRecord) -> None:
        drafting = False
        async for item in queue:
            if isinstance(item, Admitted):
                if not (self._late or self._begun):
                    await self._begin(send)
                continue
            if not drafting and isinstance(item, Delta):
                drafting = True
                seconds = time.perf_counter() - record.started
                self._context.metrics.first_token_seconds.observe(seconds)
            content = HEARTBEAT if isinstance(item, Heartbeat) else self._encoder.encode(item)
            if content:
                await self._write(send, content)

    async def _begin(self, send: Send) -> None:
        self._begun = True
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})

    async def _write(self, send: Send, content: bytes, *, more: bool = True) -> None:
        if not self._begun:
            await self._begin(send)
        await send({"type": "http.response.body", "body": content, "more_body": more})


def _problem(error: Exception, request_id: str) -> Problem:
    """What ends a stream without a response. A bug is logged, and its text is not sent."""
    if isinstance(error, ProblemError):
        return problem_of(error, request_id)
    fields = {"request_id": request_id}
    _log.error("unhandled error in a stream", exc_info=error, extra={"fields": fields})
    return internal_problem(request_id)
