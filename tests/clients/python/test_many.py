"""`solve_many` of both clients: bounded, lazy, in order or not, and stopped at once."""

import asyncio
import gzip
import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
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
from tests.clients.python.fakes import Connect, Gateway, error, ok
from tests.clients.python.sockets import sending

QUESTIONS = [f"{i}?" for i in range(9)]
LIMIT_S = 30.0  # ends a test that hangs; generous, for machines that are busy


@dataclass
class Engine:
    """Answers each question at once, but those in `until` when it is true; it counts them."""

    until: dict[str, Callable[[], bool]] = field(default_factory=dict)
    running: int = 0
    most_running: int = 0
    cancelled: int = 0
    answered: int = 0
    questions: list[str] = field(default_factory=list)
    is_full: threading.Event = field(default_factory=threading.Event)  # five questions run

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        text = json.loads(request.content)["question"]
        self.questions.append(text)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        if self.running == 5:
            self.is_full.set()
        try:
            while text in self.until and not self.until[text]():
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        self.answered += 1
        return httpx2.Response(200, json=samples.result())

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.handle)


def engine_with_never() -> Engine:
    return Engine({"never": lambda: False})


def indices(*outcomes: Outcome) -> list[int]:
    """The indices of the questions, all of them answered."""
    assert all(isinstance(outcome, Answered) for outcome in outcomes)
    return [outcome.index for outcome in outcomes]


def client_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("glore-client")]


def test_all_are_answered_in_order(connect: Connect) -> None:
    client = connect(Gateway([ok()]))
    outcomes = list(client.solve_many(QUESTIONS, strategy="draft", max_engine_calls=2))
    assert indices(*outcomes) == list(range(9))
    assert [outcome.question.text for outcome in outcomes] == QUESTIONS


def test_options_are_sent_and_a_question_may_have_its_own(connect: Connect) -> None:
    gateway = Gateway([ok()])
    questions: list[str | Question] = ["One?", Question("Two?", id="b", strategy="local")]
    options: Any = {"concurrency": 1, "strategy": "draft", "max_engine_calls": 2}
    assert len(list(connect(gateway).solve_many(questions, **options))) == 2
    assert [gateway.body(i)["strategy"] for i in range(2)] == ["draft", "local"]
    assert gateway.body(1)["max_engine_calls"] == 2
    assert "id" not in gateway.body(1)
    assert all(request.headers["X-Team"] == "maths" for request in gateway.requests)
    ids = {request.headers["X-Request-ID"] for request in gateway.requests}
    assert len(ids) == 2


def test_a_question_that_fails_does_not_stop_the_others(connect: Connect) -> None:
    gateway = Gateway([ok(), error(504), ok(), error(503)])
    outcomes = list(connect(gateway).solve_many(QUESTIONS[:4], concurrency=1))
    assert [type(outcome) for outcome in outcomes] == [Answered, Failed, Answered, Failed]
    assert isinstance(outcomes[1], Failed)
    assert isinstance(outcomes[1].error, GatewayTimeout)
    assert outcomes[1].error.request_id == "req-9"
    assert isinstance(outcomes[3], Failed)
    assert isinstance(outcomes[3].error, ServiceUnavailable)
    assert gateway.pauses == [0.5, 1.0]  # each question has its own retries


def test_no_more_than_the_concurrency_run_at_once(connect: Connect) -> None:
    engine = Engine()
    engine.until["full"] = lambda: engine.most_running >= 3
    client = connect(Gateway([]), transport=engine.transport)
    assert len(list(client.solve_many(["full"] * 12, concurrency=3))) == 12
    assert engine.most_running == 3


def test_in_order_or_as_they_end(connect: Connect) -> None:
    engine = Engine()
    engine.until["last"] = lambda: engine.answered == 2
    client = connect(Gateway([]), transport=engine.transport)
    assert indices(*client.solve_many(["last", "?", "?"])) == [0, 1, 2]
    engine.until["last"] = lambda: False
    with closing(client.solve_many(["last", "?", "?"], ordered=False)) as outcomes:
        assert sorted(indices(next(outcomes), next(outcomes))) == [1, 2]
        engine.until["last"] = lambda: True
        assert next(outcomes).index == 0


def endless(read: list[int], first: str = "?") -> Iterator[str]:
    for i in count():
        read.append(i)
        yield "?" if i else first


def test_questions_are_read_when_there_is_room(connect: Connect) -> None:
    read: list[int] = []
    client = connect(Gateway([]), transport=Engine().transport)
    with closing(client.solve_many(endless(read), concurrency=2)) as outcomes:
        assert indices(*islice(outcomes, 50)) == list(range(50))
        assert 50 <= len(read) <= 50 + 8  # four times the concurrency may wait


def test_a_slow_question_holds_few_others(connect: Connect) -> None:
    read: list[int] = []
    engine = Engine()
    engine.until["slow"] = lambda: engine.answered == 11
    client = connect(Gateway([]), transport=engine.transport)
    outcomes = client.solve_many(endless(read, "slow"), concurrency=3)
    with closing(outcomes):
        assert next(outcomes).index == 0
        assert len(read) == 12  # four times the concurrency


def test_questions_are_read_in_the_thread_that_iterates() -> None:
    threads = set()

    def source() -> Iterator[str]:
        for question in QUESTIONS:
            threads.add(threading.current_thread())
            yield question

    with Client(transport=httpx2.MockTransport(Gateway([ok()]).handle)) as client:
        assert len(list(client.solve_many(source()))) == 9
    assert threads == {threading.current_thread()}


def test_outcomes_come_between_two_questions() -> None:
    engine = Engine()
    read: list[int] = []

    def source() -> Iterator[str]:
        for question in endless(read):
            while engine.answered < len(read) - 1:
                assert threading.Event().wait(0.001) is False
            yield question

    with Client(transport=engine.transport) as client:
        outcomes = client.solve_many(source(), concurrency=1000)
        with closing(outcomes):
            assert next(outcomes).index == 0
    assert len(read) < 500


async def test_a_slow_source_delays_no_outcome() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "?"
        await more.wait()
        yield "?"

    async with AsyncClient(transport=Engine().transport) as client:
        outcomes = client.solve_many(source())
        async with asyncio.timeout(LIMIT_S):
            assert (await anext(outcomes)).index == 0
            more.set()
            assert (await anext(outcomes)).index == 1
            assert await anext(outcomes, None) is None


async def test_an_error_of_the_source_is_raised_and_cancels_the_questions() -> None:
    async def source() -> AsyncIterator[str]:
        yield "never"
        await asyncio.sleep(0)
        message = "the file ends here"
        raise OSError(message)

    engine = engine_with_never()
    async with AsyncClient(transport=engine.transport) as client:
        with pytest.raises(OSError, match="the file ends here"):
            await anext(client.solve_many(source()))
    assert engine.running == 0


def test_stopping_early_cancels_the_rest(connect: Connect) -> None:
    engine = engine_with_never()
    client = connect(Gateway([]), transport=engine.transport)
    outcomes = client.solve_many(["?", "never", "never", "never"])
    with closing(outcomes):
        assert next(outcomes).index == 0
    assert engine.cancelled == len(engine.questions) - 1
    assert engine.running == 0
    assert not client_threads()


def test_stopping_early_ends_a_pause() -> None:
    def respond(request: httpx2.Request) -> httpx2.Response:
        is_busy = json.loads(request.content)["question"] == "busy"
        return error(503, **{"Retry-After": "50"}) if is_busy else ok()

    started = time.monotonic()
    with Client(transport=httpx2.MockTransport(respond)) as client:
        outcomes = client.solve_many(["busy", "?"], ordered=False)
        with closing(outcomes):
            assert next(outcomes).index == 1
    assert time.monotonic() - started < LIMIT_S


async def test_a_cancelled_task_cancels_all_its_questions() -> None:
    engine = engine_with_never()
    async with AsyncClient(transport=engine.transport) as client:

        async def solve_all() -> None:
            async with aclosing(client.solve_many(["never"] * 5)) as outcomes:
                async for _ in outcomes:
                    pass

        task = asyncio.create_task(solve_all())
        await asyncio.to_thread(engine.is_full.wait, LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert engine.cancelled == 5


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_cancels_all_questions() -> None:
    engine = engine_with_never()

    def interrupt() -> None:
        engine.is_full.wait(LIMIT_S)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    with Client(transport=engine.transport) as client:
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            list(client.solve_many(["never"] * 5))
        helper.join()
    assert engine.cancelled == 5
    assert not client_threads()


def test_connections_are_closed_at_the_end() -> None:
    body = json.dumps(samples.result()).encode()
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with sending((response,), (b"x", 0.01) * 3000) as server, Client(server.url) as client:
        assert indices(*client.solve_many(["?"])) == [0]
        assert server.left.wait(LIMIT_S)


class Blocking(httpx2.BaseTransport):
    """A transport that knows no asyncio and compresses its responses."""

    closed = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        assert json.loads(request.read())["question"] in QUESTIONS
        content = gzip.compress(json.dumps(samples.result()).encode())
        return httpx2.Response(200, headers={"Content-Encoding": "gzip"}, content=content)

    def close(self) -> None:
        self.closed = True


def test_a_transport_of_the_caller_is_used_and_left_open() -> None:
    transport = Blocking()
    with Client("http://gateway", transport=transport) as client:
        assert indices(*client.solve_many(QUESTIONS)) == list(range(9))
        assert not transport.closed
        assert client.solve(QUESTIONS[0]).answer == "12"
    assert transport.closed


class Meeting(httpx2.BaseTransport):
    """A transport that knows no asyncio and answers when a number of calls wait in it."""

    def __init__(self, calls: int) -> None:
        self.barrier = threading.Barrier(calls, timeout=LIMIT_S)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError as error:
            message = "too few calls"
            raise httpx2.ReadError(message) from error
        return ok()


def test_a_transport_that_blocks_has_a_thread_for_each_question_that_runs() -> None:
    calls = 40  # more threads than asyncio has by itself on any machine
    with Client("http://gateway", transport=Meeting(calls)) as client:
        outcomes = list(client.solve_many(["?"] * calls, concurrency=calls))
    assert indices(*outcomes) == list(range(calls))
    assert not client_threads()


def test_progress_is_reported_with_the_total_where_it_is_known(connect: Connect) -> None:
    seen: list[tuple[int, int | None]] = []

    def note(done: int, total: int | None) -> None:
        seen.append((done, total))

    client = connect(Gateway([ok()]))
    list(client.solve_many(QUESTIONS[:2], progress=note))
    list(client.solve_many(iter(QUESTIONS[:2]), progress=note))
    assert seen == [(1, 2), (2, 2), (1, None), (2, None)]


@pytest.mark.parametrize(("progress", "shown"), [(True, "9/9"), (False, "")])
def test_progress_is_shown_as_a_bar_if_it_is_wanted(
    connect: Connect, capsys: pytest.CaptureFixture[str], *, progress: bool, shown: str
) -> None:
    list(connect(Gateway([ok()])).solve_many(QUESTIONS, progress=progress))
    out, err = capsys.readouterr()
    assert out == ""
    assert shown in err if shown else err == ""


def test_a_bar_without_tqdm_says_what_to_install(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    gateway = Gateway([ok()])
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'glore-client\[progress\]'"):
        list(connect(gateway).solve_many(QUESTIONS, progress=True))
    assert gateway.requests == []


@pytest.mark.parametrize("settings", [{"concurrency": 0}, {"deadline": -1.0}])
def test_invalid_settings_are_refused_by_the_call(
    connect: Connect, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="must be"):
        connect(Gateway([ok()])).solve_many(QUESTIONS, **settings)


def test_each_question_has_the_retries_of_the_client(connect: Connect) -> None:
    gateway = Gateway([error(503)])
    client = connect(gateway, retry=RetryPolicy(max_retries=0))
    assert [type(each) for each in client.solve_many(QUESTIONS[:3])] == [Failed] * 3
    assert len(gateway.requests) == 3
