"""`Stream` and `AsyncStream`: a question that is told of while it is answered."""

from types import TracebackType
from typing import Self

from glore_client.carriers import AsyncCarrier, Carrier
from glore_client.events import DoneEvent, SolveEvent
from glore_client.results import SolveResult
from glore_client.telling import Opened, Told


class _Heard:
    """What a stream has told so far."""

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

    def _note(self, told: Told) -> SolveEvent | None:
        if isinstance(told, Opened):
            self._request_id = told.request_id
            return None
        if isinstance(told, DoneEvent):
            self._result = told.result
        return told


class Stream(_Heard):
    """An iterator over events, the last of them `done`; use it as a context manager.

    Entering asks, and returns when it is the question's turn, or at the first sign of life while it
    waits for one. Leaving closes the connection; the gateway then stops what it has not finished.
    Entering and iterating raise GloreError.
    """

    def __init__(self, told: Carrier[Told]) -> None:
        super().__init__()
        self._told = told

    def __enter__(self) -> Self:
        self._note(next(self._told))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._told.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SolveEvent:
        event = self._note(next(self._told))
        return next(self) if event is None else event


class AsyncStream(_Heard):
    """The same for asyncio. A cancelled iteration closes the connection as well."""

    def __init__(self, told: AsyncCarrier[Told]) -> None:
        super().__init__()
        self._told = told

    async def __aenter__(self) -> Self:
        self._note(await anext(self._told))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._told.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SolveEvent:
        event = self._note(await anext(self._told))
        return await anext(self) if event is None else event
