"""That what is wrong with a stream is found."""

import json
from functools import cache
from typing import Any

import pytest

from glore.app import create_app
from glore.settings import Settings
from tests.service.documented import EVENTS, LINES, Streams
from tests.service.fakes import FakeEngines

PROBLEM = {
    "type": "/problems/no-draft-in-time",
    "title": "Late",
    "status": 504,
    "detail": "There was no draft.",
    "request_id": "7",
}
LINE = {"index": 0, "id": None, "status": "error", "result": None, "error": PROBLEM}
DONE = {"done": True, "ok": 0, "errors": 1}
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "glore",
    "choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": None, "finish_reason": None}],
}


@cache
def streams() -> Streams:
    return Streams(create_app(Settings(), connect=FakeEngines().connect).openapi())


def events(*reported: tuple[str, Any], first: int = 1) -> bytes:
    numbered = enumerate(reported, start=first)
    return b"".join(
        f"id: {i}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
        for i, (name, data) in numbered
    )


def chunks(*data: object) -> bytes:
    texts = (each if isinstance(each, str) else json.dumps(each) for each in data)
    return b"".join(f"data: {text}\n\n".encode() for text in texts)


def lines(*each: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in each)


DELTA = ("draft.delta", {"text": "a"})
ERROR = ("error", PROBLEM)


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        ("/solve", EVENTS, events(DELTA, ERROR)),
        ("/solve", EVENTS, b": alive\n\n" + events(ERROR)),
        ("/solve/batch", LINES, lines(LINE, DONE)),
        ("/solve/batch", LINES, b"\n" + lines(LINE) + b"\n\n" + lines(DONE)),
        ("/solve/batch", LINES, lines(LINE, {**DONE, "done": False, "error": PROBLEM})),
        ("/v1/chat/completions", EVENTS, chunks(CHUNK, "[DONE]")),
    ],
)
def test_a_stream_as_documented_has_no_fault(path: str, media_type: str, body: bytes) -> None:
    assert streams().faults(path, media_type, body) == []


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        ("/solve", EVENTS, b""),
        ("/solve", EVENTS, events(DELTA)),
        ("/solve", EVENTS, events(ERROR, DELTA)),
        ("/solve", EVENTS, events(DELTA, ERROR, first=2)),
        ("/solve", EVENTS, events(("draft.delta", {}), ERROR)),
        ("/solve", EVENTS, events(("other", {}), ERROR)),
        ("/solve", EVENTS, events(ERROR)[:-1]),
        ("/solve/batch", LINES, lines(LINE)),
        ("/solve/batch", LINES, lines(LINE, DONE)[:-1]),
        ("/solve/batch", LINES, lines(DONE, LINE)),
        ("/solve/batch", LINES, lines(LINE, LINE, {**DONE, "errors": 2})),
        ("/solve/batch", LINES, lines({**LINE, "index": 1}, DONE)),
        ("/solve/batch", LINES, lines(LINE, {**DONE, "ok": 1})),
        ("/solve/batch", LINES, lines({**LINE, "status": "late"}, DONE)),
        ("/solve/batch", LINES, b"{\n" + lines(DONE)),
        ("/v1/chat/completions", EVENTS, chunks(CHUNK)),
        ("/v1/chat/completions", EVENTS, chunks("[DONE]", CHUNK)),
        ("/v1/chat/completions", EVENTS, chunks({**CHUNK, "choices": [{}]}, "[DONE]")),
    ],
)
def test_what_is_wrong_is_found(path: str, media_type: str, body: bytes) -> None:
    assert streams().faults(path, media_type, body) != []
