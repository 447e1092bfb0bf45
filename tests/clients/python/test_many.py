"""`solve_many` of both clients: bounded, lazy, in order or not, and stopped at once."""

import asyncio
import gzip
import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import httpx2
import pytest

from glore_client import (
    Answered,
    AsyncClient,
    Client,
    Failed,
    GatewayTimeout,
    Outcome,
    Question,
    RetryPolicy,
    ServiceUnavailable,
)
from tests.clients.python import samples
from tests.clients.python.fakes import Caller, Gateway, error, ok

NAMES = [f"{i}?" for i in range(9)]


@dataclass
class Slow:
    """Answers a question after the seconds in its text, and notes how many it is at."""

    at_work: int = 0
    most_at_work: int = 0
    cancelled: int = 0
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        text = json.loads(request.content)["question"]
        self.asked.append(text)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await asyncio.sleep(float(text.rpartition(" ")[2]))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_work -= 1
        return httpx2.Response(200, json=samples.result())

    def sync(self) -> Client:
        return Client("http://gateway", transport=httpx2.MockTransport(self.handle))

    def asynchronous(self) -> AsyncClient:
        return AsyncClient("http://gateway", transport=httpx2.MockTransport(self.handle))


def answers(*outcomes: Outcome) -> list[int]:
    """The places of the questions, all of them answered."""
    assert all(isinstance(outcome, Answered) for outcome in outcomes)
    return [outcome.index for outcome in outcomes]


def test_all_are_answered_in_order(caller: Caller) -> None:
    outcomes = caller.many(Gateway([ok()]), NAMES, strategy="draft", max_engine_calls=2)
    assert answers(*outcomes) == list(range(9))
    assert [outcome.question.text for outcome in outcomes] == NAMES


def test_options_are_sent_and_a_question_may_have_its_own(caller: Caller) -> None:
    gateway = Gateway([ok()])
    questions: list[str | Question] = ["One?", Question("Two?", id="b", strategy="local")]
    caller.many(gateway, questions, concurrency=1, strategy="draft", max_engine_calls=2)
    assert [gateway.body(i)["strategy"] for i in range(2)] == ["draft", "local"]
    assert gateway.body(1)["max_engine_calls"] == 2
    assert "id" not in gateway.body(1)
    assert all(request.headers["X-Team"] == "maths" for request in gateway.requests)
    ids = {request.headers["X-Request-ID"] for request in gateway.requests}
    assert len(ids) == 2


def test_one_that_fails_does_not_lose_the_others(caller: Caller) -> None:
    gateway = Gateway([ok(), error(504), ok(), error(503)])
    outcomes = caller.many(gateway, NAMES[:4], concurrency=1)
    assert [type(outcome) for outcome in outcomes] == [Answered, Failed, Answered, Failed]
    assert isinstance(outcomes[1], Failed)
    assert isinstance(outcomes[1].error, GatewayTimeout)
    assert outcomes[1].error.request_id == "req-9"
    assert isinstance(outcomes[3], Failed)
    assert isinstance(outcomes[3].error, ServiceUnavailable)
    assert gateway.pauses == [0.5, 1.0]  # each question has its own retries


def test_no_more_than_allowed_are_asked_at_once() -> None:
    slow = Slow()
    with slow.sync() as client:
        list(client.solve_many(["? 0.02"] * 12, concurrency=3))
    assert slow.most_at_work == 3


async def test_no_more_than_allowed_are_asked_at_once_for_asyncio() -> None:
    slow = Slow()
    async with slow.asynchronous() as client:
        assert len([each async for each in client.solve_many(["? 0.02"] * 12, concurrency=3)]) == 12
    assert slow.most_at_work == 3


def test_in_order_or_as_they_end() -> None:
    questions = ["? 0.4", "? 0", "? 0"]
    with Slow().sync() as client:
        assert answers(*client.solve_many(questions)) == [0, 1, 2]
        assert answers(*client.solve_many(questions, ordered=False))[-1] == 0


async def test_in_order_or_as_they_end_for_asyncio() -> None:
    questions = ["? 0.4", "? 0", "? 0"]
    async with Slow().asynchronous() as client:
        told = [outcome async for outcome in client.solve_many(questions)]
        assert answers(*told) == [0, 1, 2]
        told = [outcome async for outcome in client.solve_many(questions, ordered=False)]
        assert answers(*told)[-1] == 0


def endless(taken: list[int]) -> Iterator[str]:
    for i in count():
        taken.append(i)
        yield "? 0"


def test_questions_are_taken_as_there_is_room() -> None:
    taken: list[int] = []
    slow = Slow()
    with slow.sync() as client, closing(client.solve_many(endless(taken), concurrency=2)) as told:
        assert answers(*islice(told, 50)) == list(range(50))
        time.sleep(0.2)
        assert 50 <= len(taken) <= 50 + 8  # four times the concurrency may wait to be told


async def test_questions_are_taken_as_there_is_room_for_asyncio() -> None:
    taken: list[int] = []
    async with Slow().asynchronous() as client:
        told = client.solve_many(endless(taken), concurrency=2)
        async with aclosing(told):
            assert answers(*[await anext(told) for _ in range(50)]) == list(range(50))
            await asyncio.sleep(0.2)
            assert 50 <= len(taken) <= 50 + 8


def test_questions_are_taken_in_the_thread_that_asks() -> None:
    threads = set()

    def source() -> Iterator[str]:
        for name in NAMES:
            threads.add(threading.current_thread())
            yield name

    with Gateway([ok()]).sync() as client:
        assert len(list(client.solve_many(source()))) == 9
    assert threads == {threading.current_thread()}


def test_what_has_ended_is_told_between_two_questions() -> None:
    taken: list[int] = []

    def slow_source() -> Iterator[str]:
        for question in endless(taken):
            time.sleep(0.01)
            yield question

    with (
        Slow().sync() as client,
        closing(client.solve_many(slow_source(), concurrency=1000)) as told,
    ):
        assert next(told).index == 0
    assert len(taken) < 500


async def test_a_slow_source_holds_no_result_up() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "? 0"
        await more.wait()
        yield "? 0"

    async with Slow().asynchronous() as client:
        told = client.solve_many(source())
        async with asyncio.timeout(20):
            assert (await anext(told)).index == 0
            more.set()
            assert (await anext(told)).index == 1
            assert await anext(told, None) is None


async def test_a_source_that_fails_is_told_and_nothing_is_left_behind() -> None:
    async def source() -> AsyncIterator[str]:
        yield "? 60"
        await asyncio.sleep(0)
        message = "the file ends here"
        raise OSError(message)

    slow = Slow()
    async with slow.asynchronous() as client:
        with pytest.raises(OSError, match="the file ends here"):
            await anext(client.solve_many(source()))
    assert slow.at_work == 0


def test_stopping_early_cancels_the_rest() -> None:
    slow = Slow()
    with slow.sync() as client:
        started = time.monotonic()
        for outcome in client.solve_many(["? 0", "? 60", "? 60", "? 60"]):
            assert outcome.index == 0
            break
        assert time.monotonic() - started < 30
    assert slow.cancelled == len(slow.asked) - 1
    assert slow.at_work == 0
    assert not [each for each in threading.enumerate() if each.name == "glore-client"]


async def test_a_cancelled_task_cancels_all_its_questions() -> None:
    slow = Slow()
    async with slow.asynchronous() as client:

        async def ask() -> None:
            async with aclosing(client.solve_many(["? 60"] * 5)) as told:
                async for _ in told:
                    pass

        task = asyncio.create_task(ask())
        while slow.at_work < 5:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert slow.cancelled == 5


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_breaks_off_what_is_under_way() -> None:
    slow = Slow()

    def interrupt() -> None:
        while slow.at_work < 5:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    with slow.sync() as client:
        helper.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            list(client.solve_many(["? 60"] * 5))
        assert time.monotonic() - started < 30
        helper.join()
    assert slow.cancelled == 5
    assert not [each for each in threading.enumerate() if each.name == "glore-client"]


class Blocking(httpx2.BaseTransport):
    """A transport that knows no asyncio and packs what it sends."""

    closed = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        assert json.loads(request.read())["question"] in NAMES
        content = gzip.compress(json.dumps(samples.result()).encode())
        return httpx2.Response(200, headers={"Content-Encoding": "gzip"}, content=content)

    def close(self) -> None:
        self.closed = True


def test_a_transport_of_ones_own_is_used_and_left_open() -> None:
    transport = Blocking()
    with Client("http://gateway", transport=transport) as client:
        assert answers(*client.solve_many(NAMES)) == list(range(9))
        assert not transport.closed
        assert client.solve(NAMES[0]).answer == "12"
    assert transport.closed


class Meeting(httpx2.BaseTransport):
    """A transport that knows no asyncio and answers when a number of calls have met in it."""

    def __init__(self, calls: int) -> None:
        self.all_here = threading.Barrier(calls, timeout=30.0)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        try:
            self.all_here.wait()
        except threading.BrokenBarrierError as error:
            message = "nobody came"
            raise httpx2.ReadError(message) from error
        return ok()


def test_a_transport_that_blocks_has_a_thread_for_each_question_at_work() -> None:
    calls = 40  # more threads than asyncio has by itself on any machine
    with Client("http://gateway", transport=Meeting(calls)) as client:
        outcomes = list(client.solve_many(["?"] * calls, concurrency=calls))
    assert answers(*outcomes) == list(range(calls))
    assert not [each for each in threading.enumerate() if each.name.startswith("glore-client")]


def test_progress_is_told_with_the_total_where_it_is_known(caller: Caller) -> None:
    seen: list[tuple[int, int | None]] = []

    def note(done: int, total: int | None) -> None:
        seen.append((done, total))

    caller.many(Gateway([ok()]), NAMES[:2], progress=note)
    caller.many(Gateway([ok()]), iter(NAMES[:2]), progress=note)
    assert seen == [(1, 2), (2, 2), (1, None), (2, None)]


def test_progress_is_shown_as_a_bar(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    caller.many(Gateway([ok()]), NAMES, progress=True)
    assert "9/9" in capsys.readouterr().err


def test_nothing_is_shown_unasked(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    caller.many(Gateway([ok()]), NAMES)
    assert capsys.readouterr() == ("", "")


def test_a_bar_without_tqdm_says_what_to_install(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    gateway = Gateway([ok()])
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'glore-client\[progress\]'"):
        caller.many(gateway, NAMES, progress=True)
    assert gateway.requests == []


@pytest.mark.parametrize("settings", [{"concurrency": 0}, {"deadline": -1.0}])
def test_settings_that_make_no_sense_are_refused(caller: Caller, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        caller.many(Gateway([ok()]), NAMES, **settings)


def test_retries_of_the_client_are_kept() -> None:
    gateway = Gateway([error(503)])
    client = Client(
        "http://gateway",
        retry=RetryPolicy(max_retries=0),
        transport=httpx2.MockTransport(gateway.handle),
    )
    with client:
        assert [type(each) for each in client.solve_many(NAMES[:3])] == [Failed] * 3
    assert len(gateway.requests) == 3
