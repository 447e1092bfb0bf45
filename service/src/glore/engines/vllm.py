"""One vLLM server as an HTTP client: bodies and streams, bounded in time, size and work.

vLLM aborts a generation when its client disconnects, so cancelling a call here is enough to
stop the work there. Retries and the circuit breaker are around it (`resilience`), the ports on top
of it (`generating`, `scoring`, `classify`).
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, TypeVar

import aiohttp
from aiohttp import hdrs

from glore.engines import refusals
from glore.engines.connection import PIECE_BYTES, SMALL_BYTES, EngineConnector, TurnBudget
from glore.engines.exchange import MAX_RESPONSE_BYTES, EngineHTTPError, parse
from glore.engines.ports import FaultReason, Lease
from glore.engines.sse import EventReader, EventTooLongError
from glore.engines.wire import ModelList, ServedModel

_LEAST_LINE: Final = 32  # bytes of a line of a stream, on average
# Below vLLM's own 5 s (VLLM_HTTP_TIMEOUT_KEEP_ALIVE), so that no request is sent down a
# connection which the server is about to close.
_KEEP_ALIVE_S: Final = 4.0
_CONNECT_S: Final = 5.0
_EXCERPT_S: Final = 0.25  # to read the beginning of a body that explains an error
_MODELS_TIMEOUT_S: Final = 1.0
_MODELS_TTL_S: Final = 10.0  # a list of models is fetched again after it
# vLLM takes it for the id of its own request, which no two requests at once may share.
_REQUEST_ID: Final = "X-Request-Id"
_OK: Final = 200
_SERVER_ERRORS: Final = 500
_CLIENT_ERRORS: Final = 400
_FAULTS_BY_STATUS: Final[Mapping[int, FaultReason]] = MappingProxyType(
    {408: "timeout", 429: "overloaded", 503: "overloaded", 504: "timeout"}
)

_Read = TypeVar("_Read")


@dataclass(slots=True)
class _Connection:
    """What one request went through."""

    reused: bool = False  # a connection that was used before


class VllmEngine:
    """One vLLM server: its URL, its connection pool, and the longest a call may take.

    Use `open_engine`, which closes the pool again.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        key: str | None,
        timeout: float,
        budget: TurnBudget,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._key = key
        self._timeout = timeout  # seconds
        self._budget = budget
        self._served: tuple[ServedModel, ...] = ()
        self._models_until = -math.inf  # when the list of models is too old
        self._asking_models = asyncio.Lock()

    def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> Coroutine[Any, Any, bytes]:
        """The body of the answer to a JSON request, of at most `size` bytes.

        The call ends after the timeout of its lease or of the engine, whichever is less. Raises
        EngineHTTPError.
        """

        async def read(response: aiohttp.ClientResponse) -> bytes:
            return await self._body(response, size)

        return self._ask(path, payload, lease, read)

    def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], bool | None],
        *,
        lease: Lease,
        size: int = MAX_RESPONSE_BYTES,
    ) -> Coroutine[Any, Any, None]:
        """Give `on_data` the data of each server-sent event that answers a JSON request.

        Once it returns True, the connection is closed, by which the server stops its work. Limits
        as for `post`, on the whole stream. Raises EngineHTTPError, and what `on_data` raises.
        """

        async def read(response: aiohttp.ClientResponse) -> None:
            reader = EventReader(most_lines=size // _LEAST_LINE)
            try:
                async for piece in _pieces(response, size):
                    for data in reader.feed(piece):
                        if len(data) > SMALL_BYTES:
                            await self._budget.room(len(data))
                        if on_data(data):
                            return
            except EventTooLongError:
                raise EngineHTTPError(
                    reason="bad_response", problem="an event that is too long"
                ) from None

        return self._ask(path, payload, lease, read)

    def get(self, path: str, *, timeout: float) -> Coroutine[Any, Any, bytes]:
        """The body of the answer to a GET. Raises EngineHTTPError."""

        async def read(response: aiohttp.ClientResponse) -> bytes:
            return await self._body(response, MAX_RESPONSE_BYTES)

        return self._exchange("GET", path, None, {}, timeout, read)

    async def _ask(
        self,
        path: str,
        payload: Mapping[str, object],
        lease: Lease,
        read: Callable[[aiohttp.ClientResponse], Awaitable[_Read]],
    ) -> _Read:
        """A POST. A refusal is explained, with the models of the server where that helps."""
        loop = asyncio.get_running_loop()
        end = loop.time() + lease.timeout
        headers = {"Content-Type": "application/json", **lease.trace_context}
        if (call_id := lease.new_call_id()) is not None:
            headers[_REQUEST_ID] = call_id
        body = json.dumps(payload).encode()
        try:
            return await self._exchange("POST", path, body, headers, lease.timeout, read)
        except EngineHTTPError as fault:
            if fault.reason == "rejected" and fault.status is not None:
                needed = refusals.needs_models(fault.status)
                served = await self._models(end - loop.time()) if needed else ()
                model = str(payload.get("model"))
                fault.explanation = refusals.explanation(
                    fault.status, fault.excerpt, model, served, self._key
                )
            raise

    async def _models(self, seconds: float) -> tuple[ServedModel, ...]:
        """The models of the server, empty if it does not list them within `seconds`."""
        loop = asyncio.get_running_loop()
        async with self._asking_models:
            if loop.time() >= self._models_until:
                self._models_until = loop.time() + _MODELS_TTL_S
                with suppress(EngineHTTPError):
                    body = await self.get("/v1/models", timeout=min(_MODELS_TIMEOUT_S, seconds))
                    self._served = parse(ModelList, body).data
            return self._served

    async def _excerpt(self, response: aiohttp.ClientResponse) -> str:
        """The beginning of a body that explains an error, as far as it comes at once."""
        body = b""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_EXCERPT_S):
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) >= refusals.MAX_BYTES:
                        break
        return refusals.excerpt(body[: refusals.MAX_BYTES], self._key)

    async def _body(self, response: aiohttp.ClientResponse, size: int) -> bytes:
        """The whole body, once there is room to parse it in this turn of the loop.

        Raises EngineHTTPError.
        """
        body = b"".join([piece async for piece in _pieces(response, size)])
        await self._budget.room(len(body))
        return body

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
        read: Callable[[aiohttp.ClientResponse], Awaitable[_Read]],
    ) -> _Read:
        limit = min(timeout, self._timeout)
        if limit <= 0:
            raise EngineHTTPError(reason="timeout")
        begun, status = False, _OK
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
                status = response.status
                if status != _OK:
                    raise _fault(status, await self._excerpt(response))
                if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
                    raise EngineHTTPError(
                        reason="bad_response", problem="encoded, which was not asked for"
                    )
                begun = True
                return await read(response)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise EngineHTTPError(reason="unreachable") from error
        except TimeoutError as error:
            if status != _OK:  # while its body was read
                raise _fault(status) from error
            raise EngineHTTPError(reason="timeout") from error
        except aiohttp.ClientConnectionError as error:  # closed or reset
            unanswered = connection.reused and not begun
            problem = "the connection closed before the answer was complete"
            raise EngineHTTPError(
                reason="failed", problem=problem, begun=begun, reused=unanswered
            ) from error
        except aiohttp.ClientError as error:  # cut off, badly encoded, or not HTTP at all
            raise EngineHTTPError(reason="bad_response", problem=type(error).__name__) from error


@asynccontextmanager
async def open_engine(
    url: str,
    *,
    api_key: str | None,
    timeout: float,
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
        yield VllmEngine(session, url, api_key, timeout, budget)


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


async def _pieces(response: aiohttp.ClientResponse, size: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises EngineHTTPError when it has more than `size` bytes."""
    async for piece in response.content.iter_any():
        size -= len(piece)
        if size < 0:
            raise EngineHTTPError(reason="bad_response", problem="a body that is too long")
        yield piece


def _fault(status: int, excerpt: str = "") -> EngineHTTPError:
    """The fault that a status other than 200 stands for."""
    if status >= _SERVER_ERRORS:
        reason = _FAULTS_BY_STATUS.get(status, "failed")
    elif status >= _CLIENT_ERRORS:
        reason = _FAULTS_BY_STATUS.get(status, "rejected")
    else:
        reason = "bad_response"
    explanation = f"answered with HTTP {status}"
    return EngineHTTPError(reason=reason, status=status, excerpt=excerpt, explanation=explanation)
