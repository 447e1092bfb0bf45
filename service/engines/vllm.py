"""One vLLM server as an HTTP client: bodies and streams, bounded in time, size and work.

vLLM aborts a generation when its client disconnects, so cancelling a call here is enough to
stop the work there. Retries and the circuit breaker are around it (`resilience`), the ports on top
of it (`generating`, `scoring`, `classify`).

An answer is in memory four times at most (received, joined, parsed, text), and costs no more work
than its `size` in bytes and MAX_VALUES values of JSON.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Final, Protocol, TypeVar

import aiohttp
from aiohttp import hdrs
from pydantic import BaseModel, ValidationError

from service.engines.connection import PIECE_BYTES, SMALL_BYTES, EngineConnector, TurnBudget
from service.engines.ports import FaultReason
from service.engines.sse import EventReader, EventTooLongError

MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024
MAX_VALUES: Final = 10_000  # of an answer's JSON, counted by the brackets, commas and colons
_BYTES_PER_VALUE: Final = 32  # of one that is no string, on average
_LEAST_LINE: Final = 32  # bytes of a line of a stream, on average
_BASE_BYTES: Final = 64 * 1024
_BYTES_PER_TOKEN: Final = 2 * 1024  # an event, or 128 characters escaped in six bytes each
# Below vLLM's own 5 s (VLLM_HTTP_TIMEOUT_KEEP_ALIVE), so that no request is sent down a
# connection which the server is about to close.
_KEEP_ALIVE_S: Final = 4.0
_CONNECT_S: Final = 5.0
_OK: Final = 200
_SERVER_ERRORS: Final = 500
_CLIENT_ERRORS: Final = 400
_FAULTS_BY_STATUS: Final[Mapping[int, FaultReason]] = MappingProxyType(
    {408: "timeout", 429: "overloaded", 503: "overloaded", 504: "timeout"}
)

_Shape = TypeVar("_Shape", bound=BaseModel)
_Read = TypeVar("_Read")


class Fault(Exception):  # noqa: N818 - the reason part of an EngineError, without its role
    """An exchange with an engine gave no usable answer."""

    def __init__(
        self,
        *,
        reason: FaultReason,
        status: int | None = None,
        begun: bool = False,
        reused: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason: FaultReason = reason
        self.status = status  # the HTTP status, when one other than 200 came back
        self.begun = begun  # whether the engine had begun to answer, with status 200
        self.reused = reused  # whether a connection that was used before closed without an answer


class Exchange(Protocol):
    """An engine as HTTP: what `VllmEngine` does and what guards it."""

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        """The body of the answer, of at most `size` bytes. Raises Fault."""
        ...

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], None],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """Give `on_data` the data of each server-sent event. Raises Fault, and what it raises."""
        ...

    async def get(self, path: str, *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer. Raises Fault."""
        ...


@dataclass(slots=True)
class _Connection:
    """What one request went through."""

    reused: bool = False  # a connection that was used before


class VllmEngine:
    """One vLLM server: its URL, its connection pool, and the longest a call may take.

    Use `open_engine`, which closes the pool again.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, timeout: float, budget: TurnBudget
    ) -> None:
        self._session = session
        self._budget = budget
        self._url = url.rstrip("/")
        self._timeout = timeout  # seconds

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        """The body of the answer to a JSON request, of at most `size` bytes. Raises Fault.

        The call ends after `timeout` seconds or the engine's own limit, whichever is less.
        """

        async def read(response: aiohttp.ClientResponse) -> bytes:
            return await self._body(response, size)

        return await self._exchange("POST", path, json.dumps(payload).encode(), timeout, read)

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], None],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """Give `on_data` the data of each server-sent event that answers a JSON request.

        Limits as for `post`, on the whole stream. Raises Fault, and what `on_data` raises.
        """

        async def read(response: aiohttp.ClientResponse) -> None:
            reader = EventReader(most_lines=size // _LEAST_LINE)
            try:
                async for piece in _pieces(response, size):
                    for data in reader.feed(piece):
                        if len(data) > SMALL_BYTES:
                            await self._budget.room(len(data))
                        on_data(data)
            except EventTooLongError:
                raise Fault(reason="bad_response") from None

        await self._exchange("POST", path, json.dumps(payload).encode(), timeout, read)

    async def get(self, path: str, *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer to a GET. Raises Fault."""

        async def read(response: aiohttp.ClientResponse) -> bytes:
            return await self._body(response, MAX_RESPONSE_BYTES)

        return await self._exchange("GET", path, None, timeout, read)

    async def _body(self, response: aiohttp.ClientResponse, size: int) -> bytes:
        """The whole body, once there is room to parse it in this turn of the loop. Raises Fault."""
        body = b"".join([piece async for piece in _pieces(response, size)])
        await self._budget.room(len(body))
        return body

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        timeout: float,  # noqa: ASYNC109
        read: Callable[[aiohttp.ClientResponse], Awaitable[_Read]],
    ) -> _Read:
        limit = min(timeout, self._timeout)
        if limit <= 0:
            raise Fault(reason="timeout")
        headers = {"Content-Type": "application/json"} if body is not None else None
        begun = False
        connection = _Connection()
        try:
            async with (
                asyncio.timeout(limit),
                self._session.request(
                    method,
                    self._url + path,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=connection,
                ) as response,
            ):
                if response.status != _OK:
                    raise Fault(reason=_fault_of(response.status), status=response.status)
                if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
                    raise Fault(reason="bad_response")  # it was not asked for, and may be a bomb
                begun = True
                return await read(response)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise Fault(reason="unreachable") from error
        except TimeoutError as error:
            raise Fault(reason="timeout") from error
        except aiohttp.ClientConnectionError as error:  # closed or reset
            unanswered = connection.reused and not begun
            raise Fault(reason="failed", begun=begun, reused=unanswered) from error
        except aiohttp.ClientError as error:  # cut off, badly encoded, or not HTTP at all
            raise Fault(reason="bad_response") from error


@asynccontextmanager
async def open_engine(
    url: str,
    *,
    api_key: str | None,
    timeout: float,  # noqa: ASYNC109 - the engine's own limit, not this function's
    budget: TurnBudget | None = None,
) -> AsyncIterator[VllmEngine]:
    """A client for the engine at `url` (without `/v1`), closed on leaving. Does not connect.

    The number of connections is not limited here: how many requests run at once is decided
    where requests come in. `budget` is shared by all engines of an event loop.
    """
    budget = budget or TurnBudget()
    headers = {hdrs.ACCEPT_ENCODING: "identity"}
    if api_key:
        headers[hdrs.AUTHORIZATION] = f"Bearer {api_key}"
    async with aiohttp.ClientSession(
        connector=EngineConnector(budget, keepalive_timeout=_KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        trace_configs=[_noting_reuse()],
        auto_decompress=False,
        read_bufsize=PIECE_BYTES,
    ) as session:
        yield VllmEngine(session, url, timeout, budget)


def _noting_reuse() -> aiohttp.TraceConfig:
    """Marks the `_Connection` of a request that goes down a connection used before."""

    async def note(
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        _params: aiohttp.TraceConnectionReuseconnParams,
    ) -> None:
        context.trace_request_ctx.reused = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config


def size_of(tokens: int) -> int:
    """How many bytes an answer with so many generated tokens may have."""
    return min(_BASE_BYTES + _BYTES_PER_TOKEN * tokens, MAX_RESPONSE_BYTES)


def parse(shape: type[_Shape], body: bytes) -> _Shape:
    """`body` as JSON of this shape. Raises Fault."""
    check_values(body)
    try:
        return shape.model_validate_json(body)
    except ValidationError:
        raise Fault(reason="bad_response") from None  # its text would quote the body


def check_values(content: bytes) -> None:
    """Raise Fault for JSON that takes much longer to parse than text of its length.

    That is JSON with more than MAX_VALUES values, or with long ones that are no strings.
    """
    if len(content) <= MAX_VALUES:
        return
    strings = content.replace(rb"\\", b"").replace(rb"\"", b"")  # without escaped quotes
    if strings.count(b'"') > 4 * MAX_VALUES:
        raise Fault(reason="bad_response")
    outside = b"".join(strings.split(b'"')[::2])
    marks = sum(map(outside.count, (b"[", b"{", b",", b":")))
    if marks > MAX_VALUES or len(outside) > _BYTES_PER_VALUE * MAX_VALUES:
        raise Fault(reason="bad_response")


async def _pieces(response: aiohttp.ClientResponse, size: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Fault when it has more than `size` bytes."""
    async for piece in response.content.iter_any():
        size -= len(piece)
        if size < 0:
            raise Fault(reason="bad_response")
        yield piece


def _fault_of(status: int) -> FaultReason:
    """The fault that a status other than 200 stands for."""
    known = _FAULTS_BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= _SERVER_ERRORS:
        return "failed"
    return "rejected" if status >= _CLIENT_ERRORS else "bad_response"
