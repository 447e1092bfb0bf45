"""Many questions in one request, told as they end, as a flow of steps."""

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from glore_client.answers import Origin, consistent, heard, opened, problem_error, validated
from glore_client.errors import GloreError, InvalidQuestionError
from glore_client.ndjson import LineParser
from glore_client.outcomes import Answered, Failed, Outcome
from glore_client.questions import NDJSON, BatchCall
from glore_client.results import Problem, Received, SolveResult
from glore_client.retries import RetryPolicy, Tries
from glore_client.sse import TooLongError
from glore_client.steps import Flow, Give, Pause


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
    """The batch cannot be gone on with now: the store failed, or the gateway."""

    done: Literal[False]
    ok: int
    errors: int
    error: Problem


_Lines: TypeAlias = OkLine | ErrorLine | LastLine | BrokenLine
_LINE: TypeAdapter[_Lines] = TypeAdapter(_Lines)


def solve_batch(call: BatchCall, policy: RetryPolicy, clock: Callable[[], float]) -> Flow[Outcome]:
    """Ask for all, and give how each question ended, once, in the order in which they end.

    With a key, an answer that was cut off, or ended by a gateway that shuts down, is asked for
    again; the retries are counted anew with every line. Without one, nothing is asked again that
    has begun. Raises GloreError for what befell the batch, not one question.
    """
    for index, fault in call.faults.items():
        error = InvalidQuestionError(fault, request_id="")
        yield Give(Failed(index, call.questions[index], error))
    tries = Tries(policy, clock, call.timeout)
    late = f"the batch was not done within {call.timeout:.1f} s"
    untold = set(range(len(call.sendable)))
    while untold:
        send = call.send(tries.elapsed)
        try:
            response = yield from opened(send, tries, call.request_id, NDJSON)
            origin = Origin.of(response, call.request_id)
            parser = LineParser()
            while True:
                chunk = yield from heard(send, tries, call.timeout, late, origin)
                for line in _lines(parser, chunk, origin):
                    if isinstance(line, LastLine):
                        _require_all_told(untold, origin)
                        return
                    if isinstance(line, BrokenLine):
                        raise problem_error(line.error, origin)
                    if line.index in untold:  # else it was told before the answer was cut off
                        untold.discard(line.index)
                        tries.progressed()
                        yield Give(_outcome(line, call, origin))
        except GloreError as error:
            keyless = call.key is None
            told = len(untold) < len(call.sendable)
            wait = None if keyless and told else tries.wait(error, repeatable=not keyless)
            if wait is None:
                raise
        yield Pause(wait)
        tries.again()


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
        return Answered(index, question, consistent(line.result, origin))
    return Failed(index, question, problem_error(line.error, origin))


def _require_all_told(untold: set[int], origin: Origin) -> None:
    if untold:
        message = f"the batch ended without {len(untold)} of its questions"
        raise origin.invalid(message)
