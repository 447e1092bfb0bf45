"""The adapter to vLLM: one HTTP client per engine, and the Generator port on top of it.

vLLM aborts a generation when its client disconnects, so cancelling a call here is enough to
stop the work there. Retries and the circuit breaker are around it (`service.engines.guarded`), and
a request never carries a `seed`: on CPU one seeded batch can end the server.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from models.formats.chat import Chat
from models.formats.writing import Prompt
from service.engines.ports import Completion, EngineError, FaultReason, Generation, Role
from service.engines.wire import (
    ChatResponse,
    CompletionChoice,
    CompletionResponse,
)

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
_WHOLE_TEXT: Final = frozenset({"stop", "length", "repetition"})

_Shape = TypeVar("_Shape", bound=BaseModel)


class Fault(Exception):  # noqa: N818 - the reason part of an EngineError, without its role
    """An exchange with an engine gave no usable answer."""

    def __init__(self, *, reason: FaultReason, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason: FaultReason = reason
        self.status = status  # the HTTP status, when one other than 200 came back


class Exchange(Protocol):
    """An engine as HTTP: what `VllmEngine` does and what guards it."""

    async def post(self, path: str, payload: Mapping[str, object], *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer. Raises Fault."""
        ...

    async def get(self, path: str, *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer. Raises Fault."""
        ...


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
        return await self._exchange("POST", path, body, timeout)

    async def get(self, path: str, *, timeout: float) -> bytes:  # noqa: ASYNC109
        """The body of the answer to a GET. Raises Fault."""
        return await self._exchange("GET", path, None, timeout)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        timeout: float,  # noqa: ASYNC109
    ) -> bytes:
        limit = min(timeout, self._timeout)
        if limit <= 0:
            raise Fault(reason="timeout")
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            async with (
                asyncio.timeout(limit),
                self._session.request(
                    method, self._url + path, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                if response.status != _OK:
                    raise Fault(reason=_fault_of(response.status), status=response.status)
                return await _bounded_body(response)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise Fault(reason="unreachable") from error
        except TimeoutError as error:
            raise Fault(reason="timeout") from error
        except aiohttp.ClientConnectionError as error:  # closed or reset without an answer
            raise Fault(reason="failed") from error
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
    ) as session:
        yield VllmEngine(session, url, timeout)


class VllmGenerator:
    """Fills the Generator port: a model under its name on the server.

    A text is continued through `/v1/completions`. A conversation goes through
    `/v1/chat/completions`, where the server applies the model's own chat template; a turn that
    is begun is left open and gone on with.
    """

    def __init__(self, engine: Exchange, role: Role, model: str) -> None:
        self._engine = engine
        self._role = role
        self._model = model

    async def generate(  # noqa: PLR0913 - the port's signature
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        timeout: float,  # noqa: ASYNC109
    ) -> Generation:
        """`n` completions of `prompt`, in the server's order. Raises EngineError."""
        sampling = {
            "n": n,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
        }
        path, asked = _asked(prompt)
        payload = {"model": self._model, **asked, **sampling}
        try:
            body = await self._engine.post(path, payload, timeout=timeout)
            response = (
                _written(body) if isinstance(prompt, Chat) else parse(CompletionResponse, body)
            )
            completions = _completions(response, n)
        except Fault as fault:
            raise EngineError(self._role, fault.reason) from fault
        return Generation(
            completions, response.usage.prompt_tokens, response.usage.completion_tokens
        )


def _asked(prompt: Prompt) -> tuple[str, dict[str, object]]:
    """Where a prompt goes, and how it is put there."""
    if isinstance(prompt, str):
        return "/v1/completions", {"prompt": prompt}
    return "/v1/chat/completions", conversation(prompt)


def conversation(chat: Chat) -> dict[str, object]:
    """A conversation in a request: with a turn to go on with, or with a new one to open."""
    turns = [{"role": turn.role, "content": turn.content} for turn in chat.messages]
    begun = bool(chat.begun.strip())
    if begun:
        turns.append({"role": "assistant", "content": chat.begun})
    return {
        "messages": turns,
        "add_generation_prompt": not begun,
        "continue_final_message": begun,
    }


def _written(body: bytes) -> CompletionResponse:
    """A chat's answer as completions. Raises Fault."""
    response = parse(ChatResponse, body)
    choices = (
        CompletionChoice(index=one.index, text=one.message.content, finish_reason=one.finish_reason)
        for one in response.choices
    )
    return CompletionResponse(choices=tuple(choices), usage=response.usage)


def _completions(response: CompletionResponse, n: int) -> tuple[Completion, ...]:
    """The `n` completions in order. Raises Fault unless each is there once, and whole."""
    choices = sorted(response.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(n)):
        raise Fault(reason="bad_response")
    if any(choice.finish_reason not in _WHOLE_TEXT for choice in choices):
        raise Fault(reason="failed")  # aborted on the server's side
    return tuple(Completion(choice.text, choice.finish_reason) for choice in choices)


def parse(shape: type[_Shape], body: bytes) -> _Shape:
    """`body` as JSON of this shape. Raises Fault."""
    try:
        return shape.model_validate_json(body)
    except ValidationError:
        raise Fault(reason="bad_response") from None  # its text would quote the body


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises Fault when it is larger than any sound answer."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_READ_BYTES):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise Fault(reason="bad_response")
    return bytes(body)


def _fault_of(status: int) -> FaultReason:
    """The fault that a status other than 200 stands for."""
    known = _FAULTS_BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= _SERVER_ERRORS:
        return "failed"
    return "rejected" if status >= _CLIENT_ERRORS else "bad_response"
