"""Who may ask, and how often: the key of a request, and its client's token bucket.

A pure ASGI middleware in front of everything that is not open: a path is asked for a key unless
it is named here, so that a new one is never open by mistake. It is decided before the body is
read.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from glore.api.problems import problem_response
from glore.api.rates import Rate, TokenBucket
from glore.api.record import ANONYMOUS, path_of, record_of
from glore.errors import ProblemError, RateLimitedError, UnauthorizedError
from glore.keys import Keyring

# For supervisors, balancers and Prometheus; the docs of the API; the page.
OPEN_PATHS: Final = frozenset(
    {"/", "/livez", "/readyz", "/health", "/metrics", "/openapi.json", "/docs"}
)
_OPEN_FILES: Final = ("/page/", "/docs/")  # of the two pages
_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)


class Authenticator:
    """Lets a request in or raises: its key must be on the ring, its client within the rate.

    Without keys everybody is one client, `anonymous`. There is one bucket per client and the
    clients are known, so memory is bounded. `clock` gives monotonic seconds.
    """

    def __init__(self, keyring: Keyring, rate: Rate | None, clock: Callable[[], float]) -> None:
        self._keyring = keyring
        self._rate = rate
        clients = keyring.names or (ANONYMOUS,)
        self._buckets: Mapping[str, TokenBucket] = MappingProxyType(
            {client: TokenBucket(rate, clock) for client in clients} if rate else {}
        )

    @property
    def asks_for_a_key(self) -> bool:
        """Whether there are keys at all."""
        return bool(self._keyring)

    def client_of(self, headers: Headers) -> str:
        """The name of the client that asks. Raises UnauthorizedError.

        The error is the same for no key, several and a wrong one.
        """
        if not self._keyring:
            return ANONYMOUS
        given = headers.getlist("authorization")
        match = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        name = self._keyring.name_of(match[1].encode("latin-1")) if match else None
        if name is None:
            message = "Send a key that this gateway knows, as Authorization: Bearer KEY."
            raise UnauthorizedError(message)
        return name

    def count(self, client: str) -> None:
        """Take one request of the client's rate. Raises RateLimitedError."""
        if self._rate is None:
            return
        wait = self._buckets[client].take()
        if wait:
            message = (
                f"{self._rate.per_minute} requests a minute are taken from one client, "
                f"{self._rate.burst} at once."
            )
            raise RateLimitedError(message, wait)

    def count_more(self, client: str, questions: int) -> None:
        """Count what a request that was let in asks beyond one question; later ones wait for it."""
        if self._rate is not None:
            self._buckets[client].owe(questions)


class AccessMiddleware:
    """Answers 401 and 429 where the gate says no, and notes the key's name for the log line.

    Needs RequestMiddleware around it.
    """

    def __init__(self, app: ASGIApp, gate: Authenticator) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is open or let in."""
        if scope["type"] == "http" and not _is_open(path_of(scope)):
            record = record_of(scope)
            try:
                record.client = self._gate.client_of(Headers(scope=scope))
                if self._gate.asks_for_a_key:
                    record.fields["key"] = record.client
                self._gate.count(record.client)
            except ProblemError as error:
                await problem_response(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(_OPEN_FILES)
