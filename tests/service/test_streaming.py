"""Streams of the whole gateway before simulated engines: what is told when, and faults."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from pydantic import AnyHttpUrl
from starlette.types import Message

from glore.api.stream import HEARTBEAT
from glore.app import create_app
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.service.api.asgi import Exchange
from tests.service.test_overload import gateway

EVENT_STREAM = {"Accept": "text/event-stream"}
Events = list[tuple[str, dict[str, Any]]]


async def stream(client: httpx2.AsyncClient, **body: object) -> Events:
    answer = await client.post(
        "/solve", json={"question": "How many?", **body}, headers=EVENT_STREAM
    )
    assert answer.status_code == 200, answer.text
    blocks = answer.text.replace(HEARTBEAT.decode(), "").split("\n\n")[:-1]
    lines = [block.split("\n") for block in blocks]
    return [(name.removeprefix("event: "), json.loads(data[6:])) for _, name, data in lines]


def text_of(events: Events, name: str, **also: str) -> str:
    return "".join(
        data["text"] for each, data in events if each == name and also.items() <= data.items()
    )


async def test_what_is_reported_is_what_the_answer_is_built_of(settings: Settings) -> None:
    simulated = Simulated(right=0.0)
    async with gateway(settings, simulated, verifiers=()) as (client, simulator):
        events = await stream(client)
        assert simulator.finished == {"stop": 3, "pooled": 3}
    name, done = events[-1]
    assert name == "done"
    assert done["degraded"] == []
    by_kind = {each["kind"]: each["solution"] for each in done["candidates"]}
    assert text_of(events, "draft.delta") == by_kind["draft"]
    refined = text_of(events, "refined.delta", kind="global_refinement")
    assert refined == by_kind["global_refinement"]
    tail = text_of(events, "refined.delta", kind="local_refinement")
    assert tail
    assert by_kind["local_refinement"].endswith(tail)


@pytest.mark.parametrize("fault", ["cut", "endless", "empty", "reset", "500", "garbage"])
async def test_a_refiner_that_fails_in_mid_stream_costs_its_candidate(
    settings: Settings, fault: str
) -> None:
    faults = (parse_fault(f"global_refiner:{fault}"),)
    async with gateway(settings, Simulated(faults=faults)) as (client, _):
        events = await stream(client, max_generated_tokens=600)
    name, done = events[-1]
    assert name == "done"
    kinds = [data["candidate"]["kind"] for name, data in events if name == "refined"]
    text = text_of(events, "refined.delta", kind="global_refinement")
    if fault == "endless":  # cut at the token limit, and a candidate all the same
        assert "global_refinement" in kinds
        return
    assert "global_refinement" not in kinds
    assert {item["stage"] for item in done["degraded"]} == {"refine_globally"}
    assert bool(text) == (fault == "cut")
    assert "simulated fault" not in json.dumps(events)


async def test_a_draft_that_is_cut_is_reported_as_an_error_and_not_drawn_again(
    settings: Settings,
) -> None:
    faults = (parse_fault("student:cut"),)
    async with gateway(settings, Simulated(faults=faults)) as (client, simulator):
        events = await stream(client)
        assert sum(simulator.came.values()) == 1
    assert text_of(events, "draft.delta")
    name, problem = events[-1]
    assert name == "error"
    assert problem["type"] == "/problems/student-unavailable"


async def test_a_student_that_refuses_at_first_is_requested_again(settings: Settings) -> None:
    refusing = Simulated(faults=(parse_fault("student:429=0.5"),), seed=1)  # three in a row: never
    async with gateway(settings, refusing) as (client, simulator):
        for number in range(8):
            events = await stream(client, question=f"How many of {number}?", strategy="draft")
            assert events[-1][0] == "done"
        assert simulator.faults["429"] > 0


class Clocked(Exchange):
    """Notes when the first event of each name came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, float] = {}

    async def send(self, message: Message) -> None:
        for line in message.get("body", b"").decode().split("\n"):
            if line.startswith("event: "):
                self.times.setdefault(line[7:], asyncio.get_running_loop().time())


async def test_the_draft_is_reported_long_before_it_ends(settings: Settings) -> None:
    async with running(Simulated(timing=Timing(between_tokens=0.02))) as (_, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        app = create_app(settings.model_copy(update={"generation": engine, "scoring": engine}))
        async with app.router.lifespan_context(app):
            exchange = Clocked()
            exchange.body(json.dumps({"question": "How many?", "strategy": "draft"}).encode())
            accept = "text/event-stream"
            await exchange.run(
                app, "POST", "/solve", content_type="application/json", accept=accept
            )
    assert list(exchange.times) == ["draft.delta", "draft", "selected", "done"]
    assert exchange.times["draft"] - exchange.times["draft.delta"] > 0.2
