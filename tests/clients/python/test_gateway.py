"""Both clients and `glore ask` on the whole gateway, behind a real socket, on simulated engines."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import AnyHttpUrl, SecretStr
from typer.testing import CliRunner

from glore.app import create_app
from glore.cli import main
from glore.role_settings import EngineSettings
from glore.settings import Settings
from glore_client import (
    Answered,
    AsyncClient,
    Client,
    Conflict,
    DoneEvent,
    DraftDelta,
    DraftWritten,
    Failed,
    Feedback,
    FirstError,
    GatewayTimeout,
    NotFound,
    RefinedDelta,
    RefinedWritten,
    SelectedEvent,
    ServiceUnavailable,
    SolveEvent,
    SolveResult,
    StepScores,
)
from loadtest.simulation.server import Simulator, running
from loadtest.simulation.settings import Simulated, Timing, parse_fault
from tests.clients.python.samples import QUESTION

LIMIT_S = 60.0  # ends a test that hangs; generous, for machines that are busy
SLOW = Timing(first_token=0.1, between_tokens=0.05)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        threshold=0.5,
        probe_timeout=30.0,
        heartbeat=0.05,
        store=SecretStr(f"sqlite:///{tmp_path / 'batches.sqlite3'}"),
    )


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of the app on a free port; it runs in a thread."""
    config = uvicorn.Config(app, port=0, access_log=False, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + LIMIT_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < give_up
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)
        assert not thread.is_alive()


@asynccontextmanager
async def gateway(
    settings: Settings,
    simulated: Simulated,
    **changes: Any,
) -> AsyncIterator[tuple[str, Simulator]]:
    """The address of a gateway whose engines are one simulator."""
    async with running(simulated) as (simulator, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        app = create_app(
            settings.model_copy(update={"generation": engine, "scoring": engine, **changes})
        )
        starting = served(app)
        address = await asyncio.to_thread(starting.__enter__)
        try:
            yield address, simulator
        finally:
            await asyncio.to_thread(starting.__exit__, None, None, None)


async def idle(simulator: Simulator) -> None:
    """Return when no engine is at work."""
    async with asyncio.timeout(LIMIT_S):
        while simulator.running:
            await asyncio.sleep(0.01)


def listen(url: str, request_id: str | None = None) -> tuple[list[SolveEvent], SolveResult]:
    with Client(url) as client, client.stream(QUESTION, request_id=request_id) as stream:
        events = list(stream)
        return events, stream.result


def text_of(events: list[SolveEvent], kind: type[DraftDelta]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


async def test_events_come_in_order_and_end_with_the_result(settings: Settings) -> None:
    async with gateway(settings, Simulated(timing=SLOW)) as (url, _):
        events, result = await asyncio.to_thread(listen, url)
    seen = [type(event) for event in events]
    assert seen[-2:] == [SelectedEvent, DoneEvent]
    firsts = sorted(set(seen), key=seen.index)
    assert firsts[:2] == [DraftDelta, DraftWritten]
    assert seen.count(DraftDelta) > 3  # it came while it was written
    assert set(firsts) >= {StepScores, FirstError, RefinedDelta, RefinedWritten}
    draft = next(event for event in events if isinstance(event, DraftWritten))
    assert text_of(events, DraftDelta).strip() == draft.candidate.solution.strip()
    assert draft.candidate.solution == result.candidates[0].solution
    assert list(draft.steps) == [step.text for step in result.draft.steps]
    scores = next(event for event in events if isinstance(event, StepScores))
    assert list(scores.scores) == [step.score for step in result.draft.steps]
    error = next(event for event in events if isinstance(event, FirstError))
    assert (error.index, error.critique) == (result.draft.first_error, result.draft.critique)
    assert error.found_by == result.draft.first_error_by
    for event in events:
        if isinstance(event, RefinedWritten):
            assert event.candidate.solution == result.candidates[event.place].solution
    assert result.degraded == ()


async def test_an_async_stream_has_the_same_events(settings: Settings) -> None:
    async with (
        gateway(settings, Simulated()) as (url, _),
        AsyncClient(url) as client,
        client.stream(QUESTION, request_id="mine") as stream,
    ):
        events = [event async for event in stream]
    assert events[-1] == DoneEvent(result=stream.result)
    assert stream.request_id == stream.result.request_id == "mine"


async def test_leaving_a_stream_ends_the_engines_work(settings: Settings) -> None:
    endless = Simulated(timing=Timing(first_token=0.05, between_tokens=0.5))
    async with gateway(settings, endless) as (url, simulator):

        def look() -> None:
            with Client(url) as client, client.stream(QUESTION) as stream:
                next(stream)
                assert simulator.running > 0

        await asyncio.to_thread(look)
        await idle(simulator)
    assert simulator.finished["abort"] >= 1


async def test_an_error_in_mid_stream_has_its_class_and_the_requests_id(
    settings: Settings,
) -> None:
    broken = Simulated(faults=(parse_fault("student:cut"),))
    async with gateway(settings, broken) as (url, _):
        with pytest.raises(ServiceUnavailable, match="no draft") as caught:
            await asyncio.to_thread(listen, url, request_id="mine")
    assert caught.value.request_id == "mine"
    assert caught.value.problem is not None
    assert caught.value.problem.type == "/problems/student-unavailable"


async def test_a_refusal_for_load_is_raised_on_entering(settings: Settings) -> None:
    slow = Simulated(timing=Timing(first_token=20.0))
    async with gateway(settings, slow, max_running=1, max_waiting=0) as (url, simulator):
        async with AsyncClient(url) as client, client.stream(QUESTION):
            with pytest.raises(ServiceUnavailable) as caught:
                async with client.stream(QUESTION, deadline=1.0):
                    pass
        await idle(simulator)
    assert caught.value.retry_after is not None
    assert caught.value.problem is not None
    assert caught.value.problem.type == "/problems/overloaded"


async def test_answers_are_judged_with_and_without_await(settings: Settings) -> None:
    async with gateway(settings, Simulated()) as (url, _), AsyncClient(url) as client:
        first = await client.solve(QUESTION)
        verdict = await client.feedback(first, expected_answer=first.answer)
        assert (verdict.id, verdict.correct, verdict.choice) == (first.id, True, "right")
        with pytest.raises(Conflict):
            await client.feedback(first.id, correct=False)

        def judge() -> tuple[Feedback, Feedback]:
            with Client(url) as blocking:
                second = blocking.solve(QUESTION, request_id="mine")
                verdict = blocking.feedback("mine", correct=False)
                assert verdict.id == second.id
                return verdict, blocking.feedback(second, correct=False)

        verdict, again = await asyncio.to_thread(judge)
        assert (verdict.correct, verdict.repeated, again.repeated) == (False, False, True)
        with pytest.raises(NotFound):
            await client.feedback("solve_nobody", correct=True)


@pytest.mark.parametrize("verdict", [{}, {"correct": True, "expected_answer": "1"}])
async def test_a_verdict_is_one_of_two(verdict: dict[str, Any]) -> None:
    async with AsyncClient("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match="either correct or expected_answer"):
            await client.feedback("solve_1", **verdict)


async def test_a_budget_is_respected(settings: Settings) -> None:
    async with gateway(settings, Simulated()) as (url, _), AsyncClient(url) as client:
        result = await client.solve(QUESTION, max_engine_calls=2)
    assert result.usage.engine_calls <= 2
    assert result.degraded


async def test_a_false_draft_is_refuted_unless_nothing_is_to_be_verified(
    settings: Settings,
) -> None:
    async with gateway(settings, Simulated(right=0.0)) as (url, _), AsyncClient(url) as client:
        refuted = await client.solve(QUESTION, strategy="adaptive", rounds=2)
        plain = await client.solve(QUESTION, verify=False)
    draft, *others = refuted.candidates
    assert [each.verifier for each in draft.findings] == ["arithmetic"]
    assert (refuted.draft.first_error_by, refuted.rounds) == ("arithmetic", 2)
    assert all(each.base is not None for each in others if each.kind.endswith("_refinement"))
    assert {each.findings for each in plain.candidates} == {()}
    assert (plain.draft.first_error_by, plain.rounds) == ("sorm", 1)


async def test_many_questions_are_answered(settings: Settings) -> None:
    questions = [f"What is {i} + 1?" for i in range(20)]
    async with gateway(settings, Simulated(), max_running=4, max_waiting=0) as (url, _):

        def ask() -> list[int]:
            with Client(url) as client:
                outcomes = list(client.solve_many(questions, concurrency=4))
            assert all(isinstance(outcome, Answered) for outcome in outcomes)
            return [outcome.index for outcome in outcomes]

        assert await asyncio.to_thread(ask) == list(range(20))


async def test_a_batch_continues_where_it_stopped(settings: Settings) -> None:
    questions = [f"What is {i} + 1?" for i in range(10)]
    slow = Simulated(timing=Timing(first_token=0.05))
    async with (
        gateway(settings, slow, batch_concurrency=2) as (url, simulator),
        AsyncClient(url) as client,
    ):
        first: dict[int, str] = {}
        async with aclosing(client.solve_batch(questions, idempotency_key="b-1")) as lines:
            async for outcome in lines:
                assert isinstance(outcome, Answered)
                first[outcome.index] = outcome.result.id
                if len(first) == 3:
                    break
        await idle(simulator)
        again = [each async for each in client.solve_batch(questions, idempotency_key="b-1")]
        ids = {each.index: each.result.id for each in again if isinstance(each, Answered)}
        assert sorted(ids) == list(range(10))
        assert first.items() <= ids.items()  # stored, not solved again
        with pytest.raises(Conflict):
            await anext(client.solve_batch(questions[1:], idempotency_key="b-1"))


async def test_a_batch_whose_time_is_up_has_all_its_outcomes(settings: Settings) -> None:
    questions = [f"What is {i} + 1?" for i in range(40)]
    slow = Simulated(timing=Timing(first_token=0.5))
    async with (
        gateway(settings, slow, batch_concurrency=1) as (url, _),
        AsyncClient(url, clock=lambda: time.monotonic() / 2) as client,  # it never is the first
    ):
        batch = client.solve_batch(questions, strategy="draft", timeout=4.0)
        outcomes = [outcome async for outcome in batch]
    assert len(outcomes) == 40
    assert isinstance(outcomes[0], Answered)
    assert isinstance(outcomes[-1], Failed)
    assert isinstance(outcomes[-1].error, GatewayTimeout)


async def test_glore_ask_shows_the_events(settings: Settings) -> None:
    async with gateway(settings, Simulated()) as (url, _):
        done = await asyncio.to_thread(
            CliRunner().invoke, main, ["ask", QUESTION, "--url", url], env={"COLUMNS": "200"}
        )
    assert done.exit_code == 0, done.output
    for words in ("Draft", "Global refinement", "<- winner", "Answer: ", "engine calls"):
        assert words in done.stdout
