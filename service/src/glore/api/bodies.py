"""Bodies of requests: each is read whole before the app runs, within limits of size and time.

Reading takes no place at work, so any number of bodies may be on their way: what bounds them is the
memory that all of them have together.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glore.api.problems import problem_response
from glore.api.record import path_of, record_of
from glore.errors import (
    BodyTooLargeError,
    BodyTooLateError,
    OverloadedError,
    ProblemError,
    UnsupportedEncodingError,
)

_RETRY_AFTER: Final = 5  # seconds, for a body that there is no memory for
_SHOWN: Final = 40  # characters of an encoding


@dataclass(slots=True, eq=False)
class _Body:
    """One body: how much of it is held, and the time that it may still take."""

    client: str
    time: asyncio.Timeout
    size: int = 0  # bytes
    is_whole: bool = False
    is_given_up: bool = False


class BodyMemory:
    """`most` bytes for the bodies that are being read or checked.

    Where that is not enough, bodies that are not whole yet are given up: of the client that holds
    the most bytes, the one that was begun first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._bodies: dict[_Body, None] = {}  # in the order of their beginnings
        self.taken = 0  # bytes

    def hold(self, body: _Body) -> None:
        """Count the body until it is released. Its time is running."""
        self._bodies[body] = None

    def release(self, body: _Body) -> None:
        """Count it no more."""
        if body in self._bodies:
            del self._bodies[body]
            self.taken -= body.size

    def grow(self, body: _Body, size: int) -> None:
        """Hold so many bytes more. Raises OverloadedError once the body is given up."""
        if not body.is_given_up:
            body.size += size
            self.taken += size
        while self.taken > self._most and (victim := self._victim()) is not None:
            self.release(victim)
            victim.is_given_up = True
            victim.time.reschedule(asyncio.get_running_loop().time())
        if body.is_given_up:
            raise _given_up()

    def _victim(self) -> _Body | None:
        held: dict[str, int] = {}
        for body in self._bodies:
            held[body.client] = held.get(body.client, 0) + body.size
        unfinished = [body for body in self._bodies if body.size and not body.is_whole]
        return max(unfinished, key=lambda body: held[body.client], default=None)


@dataclass(frozen=True, slots=True)
class BodyRules:
    """Of the requests to one path: the most bytes, and what may refuse a client at once."""

    limit: int
    check: Callable[[str], None] = lambda _client: None  # raises a ProblemError


class BodyMiddleware:
    """Reads a body here, so that the app sees it as one message.

    Refused are compressed bodies (415), those of more than `limit` bytes, announced or not (413),
    those that are not whole `timeout` seconds after their request began (408), and those that there
    is no `memory` for (503). `others` are paths with rules of their own. The app does not run for a
    client that leaves before its body is whole. Needs AccessMiddleware around it.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        timeout: float,
        memory: BodyMemory,
        others: Mapping[str, BodyRules] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._rules = BodyRules(limit)
        self._timeout = timeout
        self._memory = memory
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body of an HTTP request and pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = record_of(scope).client
        rules = self._others.get(path_of(scope), self._rules)
        body = _Body(client, asyncio.timeout(self._timeout))
        try:
            rules.check(client)
            _check_head(Headers(scope=scope), rules.limit)
            content = await self._read(receive, body, rules.limit)
        except ProblemError as error:
            await problem_response(error, scope)(scope, receive, send)
            return
        if content is None:
            return
        try:
            await self._app(scope, self._replay(content, receive, body), send)
        finally:
            self._memory.release(body)

    async def _read(self, receive: Receive, body: _Body, limit: int) -> bytes | None:
        """The whole body; None when the client has left.

        Raises BodyTooLargeError, BodyTooLateError, OverloadedError.
        """
        content = bytearray()
        try:
            async with body.time:
                self._memory.hold(body)
                while not body.is_whole:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    part = message.get("body", b"")
                    if len(content) + len(part) > limit:
                        raise _too_large(limit)
                    self._memory.grow(body, len(part))
                    content += part
                    body.is_whole = not message.get("more_body", False)
        except TimeoutError:
            if body.is_given_up:
                raise _given_up() from None
            late = f"The body was not there within {self._timeout:g} s."
            raise BodyTooLateError(late) from None
        finally:
            if not body.is_whole:
                self._memory.release(body)
        return bytes(content)

    def _replay(self, content: bytes, receive: Receive, body: _Body) -> Receive:
        """A `receive` that gives the body first; the app is done with it when it asks for more."""
        left: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

        async def replay() -> Message:
            if left:
                return left.pop()
            self._memory.release(body)
            return await receive()

        return replay


def _check_head(headers: Headers, limit: int) -> None:
    """Raises UnsupportedEncodingError, BodyTooLargeError for what the head says of the body."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", ""}:
        message = f"Send the body as it is: Content-Encoding {encoding[:_SHOWN]!r} is not read."
        raise UnsupportedEncodingError(message)
    digits = headers.get("content-length", "0").lstrip("0") or "0"
    if len(digits) > len(str(limit)) or (digits.isdecimal() and int(digits) > limit):
        raise _too_large(limit)


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"A request's body may have {limit} bytes at most.")


def _given_up() -> OverloadedError:
    message = "Too many bodies are being sent at once; this one was not read to its end."
    return OverloadedError(message, _RETRY_AFTER)
