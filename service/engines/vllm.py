"""One vLLM server as an HTTP client: bodies and streams, bounded in time and size, and faults.

vLLM aborts a generation when its client disconnects, so cancelling a call here is enough to
stop the work there. Retries and the circuit breaker are around it (`service.engines.guarded`), the
ports on top of it (`generating`, `scoring`, `classify`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Final, Protocol, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from service.engines.ports import FaultReason
from service.engines.sse import EventReader, EventTooLongError

MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024
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

    async def post(self, path: str, payload: Mapping[str, object], *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer. Raises Fault."""
        ...

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], None],
        *,
        timeout: float,  # noqa: ASYNC109
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

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout: float) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._timeout = timeout  # seconds

    async def post(self, path: str, payload: Mapping[str, object], *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer to a JSON request. Raises Fault.

        The call ends after `timeout` seconds or the engine's own limit, whichever is less.
        """
        body = json.dumps(payload).encode()
        return await self._exchange("POST", path, body, timeout, _bounded_body)

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], None],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> None:
        """Give `on_data` the data of each server-sent event that answers a JSON request.

        Limits as for `post`, on the whole stream. Raises Fault, and what `on_data` raises.
        """

        async def read(response: aiohttp.ClientResponse) -> None:
            reader = EventReader()

            def take(piece: bytes) -> None:
                for data in reader.feed(piece):
                    on_data(data)

            try:
                await _bounded(response, take)
            except EventTooLongError:
                raise Fault(reason="bad_response") from None

        await self._exchange("POST", path, json.dumps(payload).encode(), timeout, read)

    async def get(self, path: str, *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer to a GET. Raises Fault."""
        return await self._exchange("GET", path, None, timeout, _bounded_body)

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
) -> AsyncIterator[VllmEngine]:
    """A client for the engine at `url` (without `/v1`), closed on leaving. Does not connect.

    The number of connections is not limited here: how many requests run at once is decided
    where requests come in.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        trace_configs=[_noting_reuse()],
    ) as session:
        yield VllmEngine(session, url, timeout)


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


def parse(shape: type[_Shape], body: bytes) -> _Shape:
    """`body` as JSON of this shape. Raises Fault."""
    try:
        return shape.model_validate_json(body)
    except ValidationError:
        raise Fault(reason="bad_response") from None  # its text would quote the body


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises Fault."""
    body = bytearray()
    await _bounded(response, body.extend)
    return bytes(body)


async def _bounded(response: aiohttp.ClientResponse, take: Callable[[bytes], None]) -> None:
    """Give `take` the body as it comes. Raises Fault when it is larger than any sound answer."""
    size = 0
    async for piece in response.content.iter_chunked(_READ_BYTES):
        size += len(piece)
        if size > MAX_RESPONSE_BYTES:
            raise Fault(reason="bad_response")
        take(piece)


def _fault_of(status: int) -> FaultReason:
    """The fault that a status other than 200 stands for."""
    known = _FAULTS_BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= _SERVER_ERRORS:
        return "failed"
    return "rejected" if status >= _CLIENT_ERRORS else "bad_response"
