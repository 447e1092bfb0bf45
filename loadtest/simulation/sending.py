"""How an answer goes out, whole or in events, and what befalls it on the way."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from loadtest.simulation.calls import UPSTREAM_TEXT, Call, failure, hang_up
from loadtest.simulation.settings import TRICKLE_S

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream; charset=utf-8"
MORE: Final = "and so on " * 100  # of a text that does not end
_MUCH: Final = MORE.encode() * 64


async def send_whole(call: Call, content: Mapping[str, Any]) -> web.StreamResponse:
    """The answer as one body of JSON."""
    body = json.dumps(content).encode()
    half = len(body) // 2
    match call.fault:
        case "cut" | "stall":
            response = await _begun(call, _JSON, len(body))
            await response.write(body[:half])
            await _break_off(call)
            return response
        case "trickle":
            response = await _begun(call, _JSON, len(body))
            await _trickle(response, body)
            return response
        case "unbounded" if b'""' in body:
            response = await _begun(call, _JSON)
            await response.write(body.partition(b'""')[0] + b'"')
            while True:
                await response.write(_MUCH)
                await asyncio.sleep(0)
        case "noise":  # no string of JSON goes over the end of a line
            body = body[:half] + f"\n{UPSTREAM_TEXT}".encode() + body[half:]
        case _:
            pass
    return web.Response(body=body, content_type=_JSON)


class Events:
    """The answer as server-sent events. Use `begin` first, `done` last."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.response = web.StreamResponse()

    async def begin(self) -> None:
        """Send the head."""
        self.response = await _begun(self._call, _EVENTS)

    async def send(self, content: Mapping[str, Any]) -> None:
        """One event."""
        await self._write(json.dumps(content))

    async def done(self) -> None:
        """The end."""
        await self._write("[DONE]")

    async def middle(self) -> bool:
        """What befalls the stream when half of it is sent; whether it ends there."""
        match self._call.fault:
            case "cut" | "stall":
                await _break_off(self._call)
                return True
            case "noise":
                await self._write(f"{{{UPSTREAM_TEXT}")
            case "broken":
                await self.send(failure(500))
                await self.done()
                return True
            case _:
                pass
        return False

    async def _write(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        if self._call.fault == "trickle":
            await _trickle(self.response, event)
        else:
            await self.response.write(event)


async def _begun(call: Call, media_type: str, length: int | None = None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": media_type})
    if length is not None:
        response.content_length = length
    await response.prepare(call.request)
    return response


async def _break_off(call: Call) -> None:
    if call.fault == "stall":
        await asyncio.Event().wait()
    hang_up(call)


async def _trickle(response: web.StreamResponse, content: bytes) -> None:
    for place in range(len(content)):
        await response.write(content[place : place + 1])
        await asyncio.sleep(TRICKLE_S)
