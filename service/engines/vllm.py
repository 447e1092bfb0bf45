"""The adapter to vLLM: one HTTP client per engine, and the three ports on top of it.

vLLM aborts a generation when its client disconnects, so cancelling a call here is enough to
stop the work there. There are no retries, and a request never carries a `seed`: on CPU one
seeded batch can end the server.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from models.formats.scores import ORM_COLUMN, SORM_COLUMN, NewlineScores, ScoreFormat
from models.formats.steps import split_steps
from service.engines.ports import Completion, EngineError, FaultReason, Generation, Role, Scores
from service.engines.wire import CompletionResponse, PoolingItem, PoolingResponse

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
    """Fills the Generator port: a completion model under its name on the server."""

    def __init__(self, engine: VllmEngine, role: Role, model: str) -> None:
        self._engine = engine
        self._role = role
        self._model = model

    async def generate(  # noqa: PLR0913 - the port's signature
        self,
        prompt: str,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        timeout: float,  # noqa: ASYNC109
    ) -> Generation:
        """`n` completions of `prompt`, in the server's order. Raises EngineError."""
        payload = {
            "model": self._model,
            "prompt": prompt,
            "n": n,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
        }
        try:
            body = await self._engine.post("/v1/completions", payload, timeout=timeout)
            response = parse(CompletionResponse, body)
            completions = _completions(response, n)
        except Fault as fault:
            raise EngineError(self._role, fault.reason) from fault
        return Generation(
            completions, response.usage.prompt_tokens, response.usage.completion_tokens
        )


class VllmStepScorer:
    """Fills the StepScorer port: the SORM on a pooling server."""

    def __init__(self, engine: VllmEngine, model: str, scores: ScoreFormat | None = None) -> None:
        self._engine = engine
        self._model = model
        self._scores = scores or NewlineScores(SORM_COLUMN)

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Scores:
        """One score per step; no call for no steps. Raises EngineError."""
        if not steps:
            return Scores((), 0)
        try:
            values, tokens = await _pool(
                self._engine, self._model, self._scores, question, (steps,), timeout
            )
        except Fault as fault:
            raise EngineError(role="sorm", reason=fault.reason) from fault
        return Scores(values[0], tokens)


class VllmOutcomeScorer:
    """Fills the OutcomeScorer port: the ORM on a pooling server.

    The score of a solution is the one at its last step. A solution without steps has none
    and scores 0, without asking.
    """

    def __init__(self, engine: VllmEngine, model: str, scores: ScoreFormat | None = None) -> None:
        self._engine = engine
        self._model = model
        self._scores = scores or NewlineScores(ORM_COLUMN)

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Scores:
        """One score per solution, from one call for all. Raises EngineError."""
        texts = [[step.text for step in split_steps(solution)] for solution in solutions]
        scored = [steps for steps in texts if steps]
        if not scored:
            return Scores((0.0,) * len(texts), 0)
        try:
            values, tokens = await _pool(
                self._engine, self._model, self._scores, question, scored, timeout
            )
        except Fault as fault:
            raise EngineError(role="orm", reason=fault.reason) from fault
        last = iter(values)
        return Scores(tuple(next(last)[-1] if steps else 0.0 for steps in texts), tokens)


async def _pool(  # noqa: PLR0913 - one call, spelled out
    engine: VllmEngine,
    model: str,
    scores: ScoreFormat,
    question: str,
    solutions: Sequence[Sequence[str]],
    timeout: float,  # noqa: ASYNC109
) -> tuple[list[tuple[float, ...]], int]:
    """Scores per step of each solution (a list of steps), and the prompt tokens. Raises Fault."""
    texts = [scores.encode(question, steps) for steps in solutions]
    payload = {"model": model, "input": texts, "task": "token_classify"}
    response = parse(PoolingResponse, await engine.post("/pooling", payload, timeout=timeout))
    if sorted(item.index for item in response.data) != list(range(len(texts))):
        raise Fault(reason="wrong_scores")

    def place(item: PoolingItem) -> int:
        return item.index

    try:
        values = [
            scores.decode(item.data, len(steps))
            for item, steps in zip(sorted(response.data, key=place), solutions, strict=True)
        ]
    except (ValueError, IndexError) as error:  # another count, no such column, or outside 0..1
        raise Fault(reason="wrong_scores") from error
    return values, response.usage.prompt_tokens


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
