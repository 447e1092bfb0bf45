"""Many questions in one request, whose results come as they end."""

from collections.abc import AsyncGenerator, Iterator
from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from glore_client.error_responses import Origin, problem_error, validated
from glore_client.errors import GloreError, InvalidQuestionError
from glore_client.ndjson import LineParser
from glore_client.outcomes import Answered, Failed, Outcome
from glore_client.questions import NDJSON, BatchCall
from glore_client.responses import checked, send
from glore_client.results import Problem, Received, SolveResult
from glore_client.retries import BeginAttempts
from glore_client.sse import TooLongError


class _Line(Received):
    index: int
    id: str | None


class OkLine(_Line):
    """One question has ended with a result."""

    status: Literal["ok"]
    result: SolveResult


class ErrorLine(_Line):
    """One question has ended with a problem."""

    status: Literal["error"]
    error: Problem


class LastLine(Received):
    """How many questions ended in which way."""

    done: Literal[True]
    ok: int
    errors: int


class BrokenLine(Received):
    """The batch cannot continue now: the store or the gateway failed."""

    done: Literal[False]
    ok: int
    errors: int
    error: Problem


_Lines: TypeAlias = OkLine | ErrorLine | LastLine | BrokenLine
_LINE: TypeAdapter[_Lines] = TypeAdapter(_Lines)


async def solve_batch(call: BatchCall, begin: BeginAttempts) -> AsyncGenerator[Outcome, None]:
    """Send all questions; yield how each ended, once, in the order in which they end.

    With a key the request is repeated if its response breaks off, or if the gateway shuts down.
    The retries are counted again after every line. Without a key nothing is repeated that has
    begun. Raises GloreError for a fault of the batch, not for one of a question.
    """
    for index, fault in call.faults.items():
        error = InvalidQuestionError(fault, request_id="")
        yield Failed(index, call.questions[index], error)
    attempts = begin(call.timeout)
    late = f"the batch was not done within {call.timeout:.1f} s"
    pending = set(range(len(call.sendable)))
    while pending:
        request = call.request(attempts.offset)
        try:
            async with await send(request, attempts, call.request_id) as response:
                await response.require_stream(NDJSON)
                origin = response.origin
                parser = LineParser()
                while True:
                    chunk = await response.next_chunk(call.timeout, late)
                    for line in _lines(parser, chunk, origin):
                        if isinstance(line, LastLine):
                            _require_none(pending, origin)
                            return
                        if isinstance(line, BrokenLine):
                            raise problem_error(line.error, origin)
                        if line.index in pending:  # else it came in an earlier attempt
                            pending.remove(line.index)
                            attempts.restore_retries()
                            yield _outcome(line, call, origin)
        except GloreError as error:
            has_key = call.key is not None
            begun = len(pending) < len(call.sendable)
            may_retry = has_key or not begun
            if not (may_retry and await attempts.retry(error, repeatable=has_key)):
                raise


def _lines(parser: LineParser, chunk: bytes, origin: Origin) -> Iterator[_Lines]:
    """The lines that end in `chunk`. Raises InvalidResponseError."""
    try:
        lines = parser.feed(chunk)
    except TooLongError as error:
        raise origin.invalid(str(error)) from None
    for line in lines:
        yield validated(_LINE.validate_json, line, origin)


def _outcome(line: OkLine | ErrorLine, call: BatchCall, origin: Origin) -> Outcome:
    index = call.sendable[line.index]
    question = call.questions[index]
    if isinstance(line, OkLine):
        return Answered(index, question, checked(line.result, origin))
    return Failed(index, question, problem_error(line.error, origin))


def _require_none(pending: set[int], origin: Origin) -> None:
    if pending:
        message = f"the batch ended without {len(pending)} of its questions"
        raise origin.invalid(message)
