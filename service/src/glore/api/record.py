"""What is noted about one request while it runs, for its response, its log line and metrics."""

import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.routing import BaseRoute, Match

ANONYMOUS: Final = "anonymous"  # every client of a gateway without keys
UNMATCHED: Final = "unmatched"
_KEY: Final = "glore.record"


@dataclass(slots=True)
class RequestRecord:
    """`fields` go into the log line as they are: no question, no solution, no secret."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    client: str = ANONYMOUS  # the name of its API key
    strategy: str = "none"
    status: int | None = None  # how it ended, if that is not what its response began with
    fields: dict[str, object] = field(default_factory=dict)

    def ask(self, strategy: str) -> None:
        """Note by which strategy the request asks for an answer."""
        self.strategy = strategy
        self.fields["strategy"] = strategy


def start_record(scope: MutableMapping[str, Any], request_id: str) -> RequestRecord:
    """Begin the record of the request of this ASGI scope."""
    record = RequestRecord(request_id)
    scope[_KEY] = record
    return record


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """The record of the request of this ASGI scope; it was begun by the middleware."""
    record: RequestRecord = scope[_KEY]
    return record


def path_of(scope: MutableMapping[str, Any]) -> str:
    """The path as the routes name it, below where a proxy has put the gateway."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def route_of(scope: MutableMapping[str, Any], routes: Sequence[BaseRoute]) -> str:
    """The template of the request's path, UNMATCHED where no route has it.

    A request that was refused before it was routed is looked up in `routes`: so what is counted by
    it stays bounded, whatever is asked for.
    """
    found = scope.get("route")
    if found is None:
        found = next((each for each in routes if each.matches(scope)[0] is not Match.NONE), None)
    return str(getattr(found, "path", UNMATCHED))
