"""Answers told while they are worked on, as server-sent events (WHATWG HTML, section 9.2)."""

import logging
import time
from typing import Final, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from glore.api.context import Context
from glore.api.disconnect import handing_over, while_connected
from glore.api.problems import Problem, internal_problem, problem_of, type_of
from glore.api.record import RequestRecord, record_of
from glore.api.schemas import SolveResponse
from glore.api.telling import Silence, Telling, Turn, telling
from glore.errors import ClientGoneError, ProblemError
from glore.refinement.progress import Advanced, Delta
from glore.refinement.types import Task

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT: Final = b": heartbeat\n\n"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx
_log = logging.getLogger("glore.streams")


class Wording(Protocol):
    """The events of one stream, whole and in bytes; empty where there is nothing to say."""

    def told(self, item: Delta | Advanced | SolveResponse) -> bytes:
        """What is said of it; the response comes last."""
        ...

    def failed(self, problem: Problem) -> bytes:
        """What is said, as the last, when there will be no response."""
        ...


class EventStreamResponse(Response):
    """Works on a question while it is sent; stops when the client goes away.

    It begins when it is the question's turn, or, when it is `late`, with the first that is said; in
    any case with the first sign of life, which a question that waits for its turn is given too.
    What goes wrong before that is raised, and so answered as for any other response. After that the
    record has the status that the answer would have had.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, task: Task, context: Context, wording: Wording, *, late: bool = False
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._task = task
        self._context = context
        self._wording = wording
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
            telling(self._task, self._context, record) as told,
            handing_over(send) as send_in_time,
        ):
            try:
                await self._tell(told, send_in_time, record)
            except ClientGoneError:
                raise
            except Exception as error:
                if not self._begun:
                    raise
                problem = _problem(error, record.request_id)
                record.status = problem.status
                record.fields["problem"] = problem.type
                await self._write(send_in_time, self._wording.failed(problem))
            await self._write(send_in_time, b"", more=False)

    async def _tell(self, told: Telling, send: Send, record: RequestRecord) -> None:
        drafting = False
        async for item in told:
            if isinstance(item, Turn):
                if not (self._late or self._begun):
                    await self._begin(send)
                continue
            if not drafting and isinstance(item, Delta):
                drafting = True
                seconds = time.perf_counter() - record.started
                self._context.metrics.first_token_seconds.observe(seconds)
            said = HEARTBEAT if isinstance(item, Silence) else self._wording.told(item)
            if said:
                await self._write(send, said)

    async def _begin(self, send: Send) -> None:
        self._begun = True
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})

    async def _write(self, send: Send, content: bytes, *, more: bool = True) -> None:
        if not self._begun:
            await self._begin(send)
        await send({"type": "http.response.body", "body": content, "more_body": more})


def _problem(error: Exception, request_id: str) -> Problem:
    """What ends a stream without a response; a bug is logged and not told of."""
    if isinstance(error, ProblemError):
        return problem_of(error, request_id)
    fields = {"request_id": request_id}
    _log.error("unhandled error in a stream", exc_info=error, extra={"fields": fields})
    return internal_problem(request_id)
