"""Requests that cost their client little and could cost a gateway much, by name."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Final

SINGLE: Final = 64 * 1024  # bytes that a body may have
BATCH: Final = 4 * 1024 * 1024
_CHAT: Final = b"/v1/chat/completions"
_ASKED: Final = b'{"question":"x","strategy":"draft"'
_CHATTED: Final = b'{"model":"glore","messages":[{"role":"user","content":"x"}]'


def request(method: bytes, target: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    """A whole request; a body is JSON unless the lines say otherwise."""
    head = [b"%b %b HTTP/1.1" % (method, target), b"Host: gateway", *lines]
    if body:
        head.append(b"Content-Length: %d" % len(body))
        if not any(line.startswith(b"Content-Type") for line in lines):
            head.append(b"Content-Type: application/json")
    return b"\r\n".join([*head, b"", body])


def full(
    size: int, first: bytes, unit: bytes | Callable[[int], bytes], last: bytes, sep: bytes = b","
) -> bytes:
    """`first`, as many of a unit as fit into `size` bytes, `last`."""
    units, left, count = [], size - len(first) - len(last), 0
    while left > 0:
        each = unit if isinstance(unit, bytes) else unit(count)
        units.append(each)
        left -= len(each) + len(sep)
        count += 1
    return first + sep.join(units[:-1]) + last


def member(index: int) -> bytes:
    """A field of an object that no model knows."""
    return b'"%x":0' % index


def _bodies(target: bytes, requested: bytes) -> Iterator[tuple[str, bytes]]:
    """Bodies of a single question."""
    bodies = {
        "unknown fields": full(SINGLE, requested + b",", member, b"}"),
        "one field again and again": full(SINGLE, requested + b",", b'"a":0', b"}"),
        "numbers": full(SINGLE, b"[", b"0", b"]"),
        "empty lists": full(SINGLE, requested + b',"a":[', b"[]", b"]}"),
        "depth": b"[" * 32_000 + b"]" * 32_000,
        "escapes": full(SINGLE, b'{"question":"', b"\\n", b'"}', b""),
        "digits": requested + b',"deadline_ms":' + b"1" * 65_000 + b"}",
        "integers": full(SINGLE, requested + b',"a":[', b"1" * 4299, b"]}"),
        "spaces": requested + b" " * 65_000 + b"}",
        "no end": requested + b',"a":"' + b"x" * 65_000,
    }
    name = target.decode()
    for what, body in bodies.items():
        yield f"{name}: {what}", request(b"POST", target, body=body)


def _chats() -> Iterator[tuple[str, bytes]]:
    """Chats of many parts."""
    first = b'{"model":"glore","messages":['
    parts = first + b'{"role":"user","content":['
    kinds = {
        "empty messages": full(SINGLE, first, b"{}", b"]}"),
        "messages that are numbers": full(SINGLE, first, b"0", b"]}"),
        "messages without content": full(SINGLE, first, b'{"role":"user"}', b"]}"),
        "messages": full(SINGLE, first, b'{"role":"user","content":"x"}', b"]}"),
        "empty parts": full(SINGLE, parts, b"{}", b"]}]}"),
        "parts": full(SINGLE, parts, b'{"type":"text","text":"x"}', b"]}]}"),
        "stops": full(SINGLE, _CHATTED + b',"stop":[', b"0", b"]}"),
        "tools": full(SINGLE, _CHATTED + b',"tools":[', b"{}", b"]}"),
        "options": full(SINGLE, _CHATTED + b',"stream_options":{', member, b"}}"),
    }
    for what, unit in {
        "messages": b'{"role":"user","content":"x"}',
        "half of the messages": b'{"role":"user","content":"x"},0',
        "hints": b'{"role":"user","content":"x","a":[],"b":[],"c":{}}',
        "errors": b'{"role":"user","content":[{"type":"text","text":"x"},0]}',
    }.items():
        body = (
            first + b",".join([unit] * (3900 // (2 + unit.count(b":") + unit.count(b"[")))) + b"]}"
        )
        kinds[f"{what}, as many as may be"] = body[:SINGLE]
    kinds["parts, as many as may be"] = (
        parts + b",".join([b'{"type":"text","text":"x"}'] * 1300) + b"]}]}"
    )
    kinds["empty texts"] = parts + b",".join([b'{"type":"text","text":""}'] * 1300) + b"]}]}"
    kinds["fields, as many as may be"] = (
        _CHATTED + b"".join(b',"f%d":0' % index for index in range(190)) + b"}"
    )
    for what, body in kinds.items():
        yield f"chat: {what}", request(b"POST", _CHAT, body=body)


def _batches() -> Iterator[tuple[str, bytes]]:
    """Batches as large as they may be."""
    first, path = b'{"questions":[', b"/solve/batch"
    wide = full(4000, _ASKED + b",", member, b"}")
    many = {
        "numbers": full(BATCH, first, b"0", b"]}"),
        "empty questions": full(BATCH, first, b"{}", b"]}"),
        "empty lists": full(BATCH, b"[", b"[]", b"]"),
        "fields": full(BATCH, b'{"questions":[],', member, b"}"),
        "the questions again and again": full(BATCH, b"{", b'"questions":[]', b"}"),
        "fields of lists": full(
            BATCH, b"{", lambda i: b'"%x":' % i + full(60_000, b"[", b"[]", b"]"), b"}"
        ),
        "one question of fields": full(BATCH, first + b"{", member, b"}]}"),
        "questions of fields": full(BATCH, first, wide, b"]}"),
        "one question": full(BATCH, first + b'{"question":"', b"\\n", b'"}]}', b""),
        "depth": b"[" * (BATCH // 2),
        "integers": full(BATCH, first, b"1" * 4299, b"]}"),
        "an integer": first + b"1" * (BATCH - 100) + b"]}",
        "long questions": full(BATCH, first, b'{"question":"' + b"x" * 4100 + b'"}', b"]}"),
        "spaces": first + b" " * (BATCH - 100) + b"0]}",
        "no text": b"\xff" * BATCH,
    }
    for what, body in many.items():
        yield f"batch: {what}", request(b"POST", path, body=body)
    lines = {
        "blank lines": b"\n" * BATCH,
        "lines that are numbers": b"0\n" * (BATCH // 2),
        "empty questions": b"{}\n" * 1000,
        "no JSON": b"x\n" * 1000,
        "one line": full(BATCH, b"{", member, b"}"),
        "lines of fields": full(BATCH, b"", wide, b"", b"\n"),
    }
    ndjson = b"Content-Type: application/x-ndjson"
    for what, body in lines.items():
        yield f"NDJSON: {what}", request(b"POST", path, ndjson, body=body)


def _heads() -> Iterator[tuple[str, bytes]]:
    """Heads within and beyond the limits."""
    body = _ASKED + b"}"
    heads: dict[str, Iterable[bytes]] = {
        "a cookie with escapes": [b'Cookie: a="' + b'\\"' * 60_000 + b'"'],
        "a shorter cookie with escapes": [b'Cookie: a="' + b'\\"' * 30_000 + b'"'],
        "cookies": [b"Cookie: " + b"a=b; " * 12_000],
        "5,000 lines": [b"x: y"] * 5_000,
        "30,000 lines": [b"x: y"] * 30_000,
        "60,000 lines": [b"a:"] * 60_000,
        "90 deadlines": [b"Glore-Deadline-Ms: 1000"] * 90,
        "a long deadline": [b"Glore-Deadline-Ms: " + b"1" * 60_000],
        "folded lines": [b"a: b", *[b" c"] * 15_000],
        "a value of spaces": [b"a: b" + b" " * 60_000 + b"\x00"],
        "ranges": [b"Accept: " + b"," * 60_000],
        "parameters of a range": [b"Accept: a/b" + b";q=1" * 15_000],
        "lines of ranges": [b"Accept: " + b"a," * 300] * 90,
        "an authorization": [b"Authorization: bearer" + b" " * 60_000 + b"x"],
        "an id": [b"X-Request-ID: " + b"a" * 60_000],
        "a type": [b"Content-Type: application/json" + b';a="\\""' * 8_000],
        "an encoding": [b"Content-Encoding: " + b"gzip," * 12_000],
        "a length": [b"Content-Length: " + b"0" * 60_000],
        "connections": [b"Connection: " + b"a," * 30_000],
        "an idempotency key": [b"Idempotency-Key: " + b"a" * 60_000],
        "an origin": [
            b"Origin: " + b"a" * 60_000,
            b"Access-Control-Request-Headers: " + b"a," * 99,
        ],
    }
    for what, lines in heads.items():
        yield f"head: {what}", request(b"POST", b"/solve", *lines, body=body)
    targets = {
        "a query": b"/solve?" + b"a&" * 30_000,
        "a query as long as may be": b"/solve?" + b"a&" * 4_000,
        "a query of other names": b"/v1/models?" + b"&".join(b"%x=1" % i for i in range(1400)),
        "a path of escapes": b"/" + b"%e2" * 20_000,
        "a path of escapes as long as may be": b"/" + b"%41" * 2_700,
        "slashes": b"/" * 60_000,
        "slashes, as many as may be": b"/" * 8_000,
        "a model": b"/v1/models/" + b"x" * 8_000,
    }
    for what, target in targets.items():
        yield f"target: {what}", request(b"GET", target)
    yield "host", b"GET /nowhere HTTP/1.1\r\nHost: " + b"a." * 30_000 + b"\r\n\r\n"
    yield "metrics: ranges", request(b"GET", b"/metrics", b"Accept: " + b"a;q=1," * 10_000)
    for target in (b"/docs", b"/openapi.json", b"/metrics"):
        yield target.decode(), request(b"GET", target)


def _framings() -> Iterator[tuple[str, bytes]]:
    """Much that is little by little."""
    chunked = b"Content-Type: application/json", b"Transfer-Encoding: chunked"
    for target in (b"/solve", b"/solve/batch"):
        head = request(b"POST", target, *chunked)
        yield f"{target.decode()}: tiny chunks", head + b"1\r\n \r\n" * 300_000 + b"0\r\n\r\n"
    head = request(b"POST", b"/solve", *chunked)
    yield "small chunks", head + b"40\r\n%b\r\n" % (b" " * 64) * 1_000 + b"0\r\n\r\n"
    yield "trailers", head + b"0\r\n" + b"a: b\r\n" * 40_000 + b"\r\n"
    yield "an extension", head + b"1;" + b"a" * 200_000
    yield "pipelined", request(b"GET", b"/livez") * 6_000


def hostile() -> Iterator[tuple[str, bytes]]:
    """All of them, each made when it is wanted."""
    yield from _bodies(b"/solve", _ASKED)
    yield from _bodies(_CHAT, _CHATTED)
    for some in (_chats, _batches, _heads, _framings):
        yield from some()


# What is taken, and as much as may be taken.
LARGEST: Final = {
    "a batch": json.dumps(
        {
            "questions": [
                {"question": "word " * 790, "strategy": "draft", "id": str(index)}
                for index in range(1000)
            ]
        }
    ).encode(),
    "a batch of escapes": b'{"questions":['
    + b",".join([b'{"question":"' + b"\\t" * 1900 + b'x","strategy":"draft"}'] * 1000)
    + b"]}",
}
