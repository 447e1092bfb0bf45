"""Streams held against what the OpenAPI document says of them, item by item.

schemathesis reads events and looks at their fields, but not into their data, and it reads no
NDJSON. Here the data of every event and every line is parsed and validated, and their order is.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"
STREAMED: Final = frozenset({EVENTS, LINES})
_ENDS: Final = frozenset({"done", "error"})  # events of `POST /solve`


class Streams:
    """The streams of the operations in an OpenAPI document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._paths = document["paths"]
        self._components = document["components"]
        self._validators: dict[tuple[str, str], jsonschema_rs.Validator] = {}

    def faults(self, path: str, media_type: str, body: bytes) -> list[str]:
        """What is wrong with a stream that `POST path` gave."""
        read = _events if media_type == EVENTS else _lines
        try:
            items = read(body)
        except ValueError as error:
            return [f"no {media_type}: {error}"]
        validator = self._validator(path, media_type)
        found = [
            f"{item}: {error.message}" for item in items for error in validator.iter_errors(item)
        ]
        if found or not items:
            return found or [f"nothing in {media_type}"]
        if media_type == LINES:
            return _order_of_lines(items)
        return _order_of_events(items) if "id" in items[0] else _order_of_chunks(items)

    def _validator(self, path: str, media_type: str) -> jsonschema_rs.Validator:
        key = path, media_type
        if key not in self._validators:
            described = self._paths[path]["post"]["responses"]["200"]["content"][media_type]
            schema = _with_content(described["itemSchema"]) | {"components": self._components}
            self._validators[key] = jsonschema_rs.validator_for(schema)
        return self._validators[key]


def _with_content(schema: Any) -> Any:
    """The schema of an item whose JSON in strings has been parsed."""
    if isinstance(schema, list):
        return [_with_content(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "contentSchema" in schema:
        return schema["contentSchema"]
    return {key: _with_content(value) for key, value in schema.items()}


def _events(body: bytes) -> list[dict[str, Any]]:
    """The events, with the JSON of their data parsed. Raises ValueError."""
    *events, rest = body.decode().split("\n\n")
    if rest:
        message = f"it ends in the middle of an event: {rest}"
        raise ValueError(message)
    found = []
    for event in events:
        fields = dict(line.split(": ", 1) for line in event.split("\n") if line[:1] != ":")
        if fields:  # else a sign of life
            found.append({**fields, "data": _json(fields["data"])})
    return found


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _lines(body: bytes) -> list[dict[str, Any]]:
    """The lines, parsed; empty ones are signs of life. Raises ValueError."""
    *lines, rest = body.decode().split("\n")
    if rest:
        message = f"it ends in the middle of a line: {rest}"
        raise ValueError(message)
    return [json.loads(line) for line in lines if line]


def _order_of_events(items: list[dict[str, Any]]) -> list[str]:
    """Numbered from 1; `done` or `error` ends them."""
    found = []
    if [item["id"] for item in items] != [str(number) for number in range(1, len(items) + 1)]:
        found.append(f"ids of events: {[item['id'] for item in items]}")
    if [item["event"] in _ENDS for item in items] != [False] * (len(items) - 1) + [True]:
        found.append(f"order of events: {[item['event'] for item in items]}")
    return found


def _order_of_chunks(items: list[dict[str, Any]]) -> list[str]:
    """`[DONE]` or an error ends them."""
    ends = [item["data"] == "[DONE]" or "error" in item["data"] for item in items]
    return [] if ends == [False] * (len(items) - 1) + [True] else [f"order of chunks: {items}"]


def _order_of_lines(items: list[dict[str, Any]]) -> list[str]:
    """A line per question, each its own; the last line counts them."""
    *reported, last = items
    if "done" not in last or any("index" not in line for line in reported):
        return [f"order of lines: {items}"]
    counts = Counter(line["status"] for line in reported)
    indices = {line["index"] for line in reported}
    whole = indices == set(range(len(reported))) or not last["done"]
    right = (counts["ok"], counts["error"]) == (last["ok"], last["errors"])
    return (
        [] if whole and right and len(indices) == len(reported) else [f"counts of lines: {items}"]
    )
