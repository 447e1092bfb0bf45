"""Streams of questions that wait for their turn."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from glore.settings import Settings
from tests.service.api.test_stream import (
    LIMIT_S,
    Reader,
    gateway,
    log_line,
    names,
    only,
    reported_in,
)
from tests.service.fakes import FakeEngines


@asynccontextmanager
async def crowded(
    settings: Settings, engines: FakeEngines, **changes: object
) -> AsyncIterator[tuple[FastAPI, Reader]]:
    """A gateway whose only place is taken, and who has it until it leaves."""
    engines.student.hangs = True
    async with (
        gateway(settings, engines, max_running=1, **changes) as app,
        asyncio.timeout(LIMIT_S),
    ):
        holder = Reader()
        holding = holder.ask(app)
        await engines.student.called.wait()
        yield app, holder
        holder.leave()
        await holding


async def test_who_waits_long_for_a_turn_is_given_signs_of_life(
    settings: Settings, engines: FakeEngines
) -> None:
    async with crowded(settings, engines, heartbeat=0.02) as (app, holder):
        reader = Reader()
        answer = reader.ask(app)
        while len(reader.sent) < 4:
            await asyncio.sleep(0.01)
        assert app.state.context.admission.waiting == 1
        assert set(reader.text.split("\n\n")) == {": heartbeat", ""}
        engines.student.hangs = False
        holder.leave()
        await answer
    assert reader.status == 200
    assert names(reported_in(reader.text))[-1] == "done"


@pytest.mark.parametrize(("heartbeat", "status"), [(10.0, 503), (0.02, 200)])
async def test_a_turn_that_does_not_come_is_a_503_until_the_first_sign_of_life(
    settings: Settings,
    engines: FakeEngines,
    caplog: pytest.LogCaptureFixture,
    heartbeat: float,
    status: int,
) -> None:
    async with crowded(settings, engines, heartbeat=heartbeat) as (app, _):
        with caplog.at_level(logging.INFO, "glore"):
            reader = Reader()
            await reader.ask(app, deadline_ms=600)
            line = log_line(caplog)
        assert app.state.context.admission.waiting == 0
    assert reader.status == status
    if status == 503:
        headers = dict(reader.sent[0]["headers"])
        problem = json.loads(reader.text)
        assert problem["retry_after"] == int(headers[b"retry-after"])
    else:
        assert reader.complete
        problem = only(reported_in(reader.text), "error")
        assert problem["retry_after"] >= 1
    assert problem["type"] == "/problems/overloaded"
    assert line["status"] == 503  # however it was told


async def test_a_client_that_leaves_the_queue_is_forgotten(
    settings: Settings, engines: FakeEngines
) -> None:
    engines.student.hangs = True
    async with gateway(settings, engines, max_running=1) as app:
        first, second = Reader(), Reader()
        answers = [first.ask(app)]
        async with asyncio.timeout(LIMIT_S):
            await engines.student.called.wait()
            answers.append(second.ask(app))
            while not app.state.context.admission.waiting:
                await asyncio.sleep(0.01)
            second.leave()
            await answers[1]
            assert app.state.context.admission.waiting == 0
            first.leave()
            await answers[0]
    assert second.status == 499
    assert engines.student.calls == 1
