"""`Stream` and `AsyncStream`: the events of a question while it is answered."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Self

from glore_client.error_responses import Origin, problem_error, validated
from glore_client.errors import GloreError
from glore_client.events import READERS, DoneEvent, SolveEvent
from glore_client.questions import EVENTS, SolveCall
from glore_client.responses import checked, send
from glore_client.results import Problem, SolveResult
from glore_client.retries import BeginAttempts
from glore_client.sse import EventParser, ServerSentEvent, TooLongError
from glore_client.transport import iterate_blocking


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is open; `request_id` is the gateway's name for the request."""

    request_id: str


async def stream_events(
    call: SolveCall, silence: float, begin: BeginAttempts
) -> AsyncGenerator[Opened | SolveEvent, None]:
    """`Opened`, then the events, `done` last. Raises GloreError.

    The request is repeated where that is safe and no event has come. `silence`: seconds that may
    pass without a byte.
    """
    attempts = begin(call.time_limit)
    late = f"no answer within {call.timeout:.1f} s"
    has_event = False
    while True:
        request = call.request(attempts.offset, silence)
        try:
            async with await send(request, attempts, call.request_id) as response:
                await response.require_stream(EVENTS)
                yield Opened(response.origin.request_id)
                parser = EventParser()
                while True:
                    chunk = await response.next_chunk(call.timeout, late)
                    for event in _events(parser, chunk, response.origin):
                        has_event = True
                        yield event
                        if isinstance(event, DoneEvent):
                            return
        except GloreError as error:
            if has_event or not await attempts.retry(error):
                raise


class _StreamState:
    """What a stream has brought so far."""

    def __init__(self) -> None:
        self._request_id: str | None = None
        self._result: SolveResult | None = None

    @property
    def request_id(self) -> str | None:
        """The gateway's name for the request, once the stream is open."""
        return self._request_id

    @property
    def result(self) -> SolveResult:
        """The result, as `solve` gives it. Raises RuntimeError before the stream has ended."""
        if self._result is None:
            message = "there is no result before the last event: iterate to the end"
            raise RuntimeError(message)
        return self._result

    def _record(self, item: Opened | SolveEvent) -> SolveEvent | None:
        """The item if it is an event."""
        if isinstance(item, Opened):
            self._request_id = item.request_id
            return None
        if isinstance(item, DoneEvent):
            self._result = item.result
        return item


class Stream(_StreamState):
    """An iterator over events, the last of them `done`; use it as a context manager.

    Entering sends the question. It returns when the question has its slot, or at the first
    heartbeat while it waits. Leaving closes the connection; the gateway then stops what it has not
    finished. Entering and iterating raise GloreError.
    """

    def __init__(self, items: AsyncGenerator[Opened | SolveEvent, None]) -> None:
        super().__init__()
        self._items = iterate_blocking(items)

    def __enter__(self) -> Self:
        self._record(next(self._items))
        return self

    def __exit__(self, *_: object) -> None:
        self._items.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SolveEvent:
        event = self._record(next(self._items))
        return next(self) if event is None else event


class AsyncStream(_StreamState):
    """The same for asyncio. A cancelled iteration closes the connection as well."""

    def __init__(self, items: AsyncGenerator[Opened | SolveEvent, None]) -> None:
        super().__init__()
        self._items = items

    async def __aenter__(self) -> Self:
        self._record(await anext(self._items))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._items.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SolveEvent:
        event = self._record(await anext(self._items))
        return await anext(self) if event is None else event


def _events(parser: EventParser, chunk: bytes, origin: Origin) -> Iterator[SolveEvent]:
    """The events that end in `chunk`.

    Raises InvalidResponseError, and APIStatusError for an event `error`.
    """
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
        checked(event.result, origin)
    return event
