"""What is noted about one request while it runs, for its response, its log line and metrics."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

_KEY: Final = "glore.record"


@dataclass(slots=True)
class RequestRecord:
    """`fields` go into the log line as they are: no question, no solution, no secret."""

    request_id: str
    strategy: str = "none"
    fields: dict[str, object] = field(default_factory=dict)


def start_record(scope: MutableMapping[str, Any], request_id: str) -> RequestRecord:
    """Begin the record of the request of this ASGI scope."""
    record = RequestRecord(request_id)
    scope[_KEY] = record
    return record


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """The record of the request of this ASGI scope; it was begun by the middleware."""
    record: RequestRecord = scope[_KEY]
    return record
