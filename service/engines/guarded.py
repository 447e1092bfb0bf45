"""An engine behind its circuit breaker, asked again when that is safe.

An engine here is a role on its server: each role has a breaker and retries of its own, so that
one which fails is left alone and those beside it on the same server are not.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from service.engines.breaker import Circuit, CircuitBreaker
from service.engines.ports import not_made
from service.engines.retries import SAFE, Retrier, Retry
from service.engines.vllm import MAX_RESPONSE_BYTES, Exchange, Fault

_Given = TypeVar("_Given")


class GuardedEngine:
    """Refuses calls while the engine is unwell, and makes some again; both count for it alone."""

    def __init__(self, engine: Exchange, breaker: CircuitBreaker, retrier: Retrier) -> None:
        self._engine = engine
        self._breaker = breaker
        self._retrier = retrier

    @property
    def circuit(self) -> Circuit:
        """Whether calls go through."""
        return self._breaker.circuit

    @property
    def retries(self) -> int:
        """How many calls were made again so far."""
        return self._retrier.retries

    async def post(
        self,
        path: str,
        payload: Mapping[str, object],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> bytes:
        """The body of the answer, within `timeout` seconds for all attempts. Raises Fault."""

        async def once(seconds: float) -> bytes:
            ask = partial(self._engine.post, path, payload, timeout=seconds, size=size)
            return await self._once(ask)

        return await self._retrier.call(once, timeout, _Retryable())

    async def stream(
        self,
        path: str,
        payload: Mapping[str, object],
        on_data: Callable[[bytes], None],
        *,
        timeout: float,  # noqa: ASYNC109
        size: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """As the engine, within `timeout` seconds for all attempts: one alone gives events."""

        async def once(seconds: float) -> None:
            ask = partial(self._engine.stream, path, payload, on_data, timeout=seconds, size=size)
            await self._once(ask)

        await self._retrier.call(once, timeout, _Retryable())

    async def get(self, path: str, *, timeout: float) -> bytes:  # noqa: ASYNC109
        """As the engine: probes ask whatever the circuit says."""
        return await self._engine.get(path, timeout=timeout)

    async def _once(self, call: Callable[[], Awaitable[_Given]]) -> _Given:
        admitted = self._breaker.admits()
        if admitted is None:
            not_made()
            raise Fault(reason="circuit_open")
        try:
            given = await call()
        except Fault as fault:
            self._breaker.failed(admitted, fault.reason)
            raise
        except BaseException:  # cancelled, or what a reader of events raised
            self._breaker.given_up(admitted)
            raise
        self._breaker.succeeded(admitted)
        return given


class _Retryable:
    """Which faults of one call are worth asking again: those of work that was not begun.

    A connection that closes without an answer does not tell whether the work had begun: vLLM
    sends nothing of a whole answer before it is done. One that was used before was most likely
    closed for its age while the request was on its way; that is believed once in a call.
    """

    def __init__(self) -> None:
        self._believed = False

    def __call__(self, error: Exception) -> Retry:
        """Whether the call may be made again after this."""
        if not isinstance(error, Fault) or error.begun:
            return Retry.NO
        if error.reason in SAFE:
            return Retry.UNBEGUN
        believed, self._believed = self._believed, self._believed or error.reused
        return Retry.REPEATED if error.reused and not believed else Retry.NO
