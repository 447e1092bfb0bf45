"""One request to the simulated engine, and the plainest answers to it."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from loadtest.simulation import shapes
from loadtest.simulation.settings import FaultKind

# In every answer with a fault: a gateway that passes it on leaks what an engine says.
UPSTREAM_TEXT: Final = "simulated fault: this text belongs to the engine and to nobody else"
_KINDS: Final[Mapping[int, str]] = {
    400: "BadRequestError",
    429: "TooManyRequests",
    500: "InternalServerError",
}


class Refused(Exception):
    """A request that a sound engine refuses."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param

    def answer(self) -> web.Response:
        """The refusal as the engine words it."""
        return as_json(shapes.error(self.status, str(self), self.kind, self.param), self.status)


@dataclass(slots=True)
class Call:
    """One request on its way: what was asked, what befalls it, and its own random numbers."""

    request: web.Request
    body: dict[str, Any]
    model: str
    fault: FaultKind | None
    rng: random.Random

    @property
    def streamed(self) -> bool:
        """Whether the answer is asked for in events."""
        return bool(self.body.get("stream"))


def as_json(
    content: Mapping[str, Any], status: int = 200, reason: str | None = None
) -> web.Response:
    """A whole answer."""
    body = json.dumps(content).encode()
    return web.Response(body=body, status=status, reason=reason, content_type="application/json")


def failure(status: int) -> dict[str, Any]:
    """What an engine at fault says of it, to nobody's use."""
    return shapes.error(status, UPSTREAM_TEXT, _KINDS[status])


def failed(status: int) -> web.Response:
    """An answer that refuses, in an engine's own words."""
    return as_json(failure(status), status, UPSTREAM_TEXT)


def hang_up(call: Call) -> None:
    """End the connection as a crash does: a reset, no last chunk."""
    if call.request.transport is not None:  # else the client was first
        call.request.transport.abort()
