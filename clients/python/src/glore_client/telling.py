"""A question that is told of while it is answered, as a flow of steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from glore_client.answers import Origin, consistent, heard, opened, problem_error, validated
from glore_client.errors import GloreError
from glore_client.events import READERS, DoneEvent, SolveEvent
from glore_client.questions import EVENTS, SolveCall
from glore_client.results import Problem
from glore_client.retries import RetryPolicy, Tries
from glore_client.sse import EventParser, ServerSentEvent, TooLongError
from glore_client.steps import Flow, Give, Pause


@dataclass(frozen=True, slots=True)
class Opened:
    """The gateway has begun to answer; `request_id` is its name for the question."""

    request_id: str


Told: TypeAlias = Opened | SolveEvent


def tell(
    call: SolveCall, silence: float, policy: RetryPolicy, clock: Callable[[], float]
) -> Flow[Told]:
    """Ask for events, and ask again where that is safe and none has been given. Raises GloreError.

    Gives `Opened` once and then the events, `done` last. `silence`: seconds without a byte.
    """
    tries = Tries(policy, clock, min(call.deadline, call.timeout))
    late = f"no answer within {call.timeout:.1f} s"
    is_open = told = False
    while True:
        send = call.send(tries.elapsed, silence)
        try:
            response = yield from opened(send, tries, call.request_id, EVENTS)
            origin = Origin.of(response, call.request_id)
            if not is_open:
                is_open = True
                yield Give(Opened(origin.request_id))
            parser = EventParser()
            while True:
                chunk = yield from heard(send, tries, call.timeout, late, origin)
                for event in _events(parser, chunk, origin):
                    told = True
                    yield Give(event)
                    if isinstance(event, DoneEvent):
                        return
        except GloreError as error:
            wait = None if told else tries.wait(error)
            if wait is None:
                raise
        yield Pause(wait)
        tries.again()


def _events(parser: EventParser, chunk: bytes, origin: Origin) -> Iterator[SolveEvent]:
    """The events that end in `chunk`. Raises the problem of an `error`, InvalidResponseError."""
    try:
        messages = parser.feed(chunk)
    except TooLongError as error:
        raise origin.invalid(str(error)) from None
    for message in messages:
        event = _event(message, origin)
        if event is not None:
            yield event


def _event(message: ServerSentEvent, origin: Origin) -> SolveEvent | None:
    if message.event == "error":
        problem = validated(Problem.model_validate_json, message.data, origin)
        raise problem_error(problem, origin)
    read = READERS.get(message.event)
    if read is None:
        return None
    event = validated(read, message.data, origin)
    if isinstance(event, DoneEvent):
        consistent(event.result, origin)
    return event
