"""Connections to engines that cannot hold up the event loop, whatever an engine sends.

aiohttp parses all that one read brings, up to 256 KiB, in one turn of the event loop. Here it is
parsed in pieces of PIECE_BYTES, and all connections that share a `TurnBudget` get TURN_BYTES in one
turn; the others wait for a later turn, first come first served. Answers that are parsed as JSON
count for the same budget (`TurnBudget.room`).

An engine may send HEAD_BYTES and MAX_INTERIM responses of status 1xx before the head of its answer
is complete, WIRE_BYTES in all, and nothing after the answer. Beyond that the connection is closed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

PIECE_BYTES: Final = 8 * 1024
TURN_BYTES: Final = 16 * 1024
SMALL_BYTES: Final = 1024  # parsed as JSON without a budget: the read of as many bytes had one
HEAD_BYTES: Final = 64 * 1024
MAX_INTERIM: Final = 64
WIRE_BYTES: Final = 4 * 1024 * 1024  # twice the longest body: chunks have heads of their own
_SWITCHING: Final = 101  # the last on its connection
_FIRST_FINAL: Final = 200


class TurnBudget:
    """The bytes that may be parsed in one turn of the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = TURN_BYTES
        self._renewing = False
        self._queue: deque[tuple[int, Callable[[], object]]] = deque()

    def take(self, size: int) -> bool:
        """Take `size` bytes of this turn. False: none are left, or others wait for them.

        What is taken may have been left over by earlier turns, so it is never more than of one.
        """
        if self._queue or self._left <= 0:
            return False
        self._spend(size)
        return True

    def when_free(self, size: int, work: Callable[[], object]) -> None:
        """Call `work` in a later turn, with `size` bytes of that turn taken."""
        self._queue.append((size, work))
        self._spend(0)

    async def room(self, size: int) -> None:
        """Return once `size` bytes of the current turn are taken."""
        if size > SMALL_BYTES and not self.take(size):
            free = asyncio.Event()
            self.when_free(size, free.set)
            await free.wait()

    def _spend(self, size: int) -> None:
        self._left -= size
        if not self._renewing and (self._queue or self._left < TURN_BYTES // 2):
            self._renewing = True
            self._loop.call_soon(self._renew)

    def _renew(self) -> None:
        self._renewing = False
        self._left = TURN_BYTES
        while self._queue and self._left > 0:
            size, work = self._queue.popleft()
            self._spend(size)
            work()


class EngineConnection(ResponseHandler):
    """aiohttp's client connection, which parses what it has read within a budget."""

    def __init__(self, budget: TurnBudget, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._budget = budget
        self._unparsed = bytearray()  # of one read
        self._waiting = False  # for the budget
        self._end: tuple[BaseException | None] | None = None  # of the connection, once it is known
        self._parsed = 0  # bytes since the request
        self._interim = 0
        self._answered = False  # the head of the answer is there

    @property
    def should_close(self) -> bool:
        """Whether no other request may follow on this connection."""
        return bool(self._unparsed) or super().should_close

    def set_response_params(self, **options: Any) -> None:
        """A request is made on this connection."""
        self._parsed = self._interim = 0
        self._answered = False
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, now or in later turns. aiohttp sends none after its reader has paused."""
        if not data:
            super().data_received(data)
        elif self._complete:
            self._refuse()
        elif len(data) <= PIECE_BYTES and not self._unparsed and self._budget.take(len(data)):
            self._parse_piece(data)
            return
        self._unparsed += data
        self._parse()

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a response whose head is complete; nobody waits for an interim one."""
        final = data[0].code >= _FIRST_FINAL or data[0].code == _SWITCHING
        self._interim += not final
        if self._answered or self._interim > MAX_INTERIM:
            self._refuse()
        elif final:
            self._answered = True
            super().feed_data(data, size)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end comes after what is unparsed."""
        self._end = (exc,)
        self._parse()

    def close(self) -> None:
        """Nobody wants the rest."""
        super().close()
        self._drop()

    def abort(self) -> None:
        """Nobody wants the rest."""
        super().abort()
        self._drop()

    @property
    def _complete(self) -> bool:
        """Whether the answer has come, so that nothing may follow."""
        return self._answered and (self._payload is None or self._payload.is_eof())

    def _drop(self) -> None:
        self._unparsed.clear()
        self._parse()

    def _parse(self) -> None:
        """Parse as much as this turn of the loop and the reader have room for."""
        while self._unparsed and not (self._waiting or self._reading_paused):
            if self._budget.take(PIECE_BYTES):
                self._parse_piece(self._next_piece())
            else:
                self._waiting = True
                self._budget.when_free(PIECE_BYTES, self._go_on)
        if len(self._unparsed) > PIECE_BYTES:
            self._pause_reading_for_buffer()
        elif self._buffer_paused and not self._unparsed:
            self._resume_reading_for_buffer()
        if self._end is not None and not self._unparsed:
            (exc,), self._end = self._end, None
            super().connection_lost(exc)

    def _go_on(self) -> None:
        self._waiting = False
        if self._unparsed and not self._reading_paused:
            self._parse_piece(self._next_piece())
        self._parse()

    def _next_piece(self) -> bytes:
        piece = bytes(self._unparsed[:PIECE_BYTES])
        del self._unparsed[:PIECE_BYTES]
        return piece

    def _parse_piece(self, piece: bytes) -> None:
        self._parsed += len(piece)
        if self._complete or self._parsed > (WIRE_BYTES if self._answered else HEAD_BYTES):
            self._refuse()
        else:
            super().data_received(piece)

    def _refuse(self) -> None:
        """Close the connection; what waits for its answer gets an error."""
        error = aiohttp.ClientPayloadError("the engine sends more than an answer may have")
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(error)
        self.set_exception(error)
        self._unparsed.clear()
        if self.transport is not None:
            self.transport.abort()


class EngineConnector(aiohttp.TCPConnector):
    """A pool of such connections, without a limit to their number."""

    def __init__(self, budget: TurnBudget, *, keepalive_timeout: float) -> None:
        super().__init__(limit=0, keepalive_timeout=keepalive_timeout)
        make = partial(EngineConnection, budget, loop=self._loop)
        self._factory = make  # type: ignore[assignment]  # a partial of a subclass
