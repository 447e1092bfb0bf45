"""Each engine is killed while questions are answered, and comes back. Last in the alphabet."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psutil

from .conftest import START_SECONDS, Service
from .test_solve import LONG, check_candidates, running, solve


@dataclass
class Asking:
    """The answers of one who asks without a pause; each must be an answer."""

    service: Service
    answers: list[dict[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    wrong: list[str] = field(default_factory=list)

    def ask(self) -> None:
        """Ask until it is over."""
        while not self.over.is_set():
            response = solve(self.service, strategy="glore", sampling={"max_tokens": 32})
            if response.status_code != 200:
                self.wrong.append(response.text)
                return
            self.answers.append(response.json())

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next answer that is as `wanted`, of a question asked from now on."""
        begin, until = len(self.answers) + 1, time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert not self.wrong
            for answer in self.answers[begin:]:
                if wanted(answer):
                    return answer
            time.sleep(0.2)
        raise AssertionError(self.answers[begin:])


@contextmanager
def requesting(service: Service) -> Iterator[Asking]:
    one = Asking(service)
    thread = threading.Thread(target=one.ask)
    thread.start()
    try:
        yield one
    finally:
        one.over.set()
        thread.join()
    assert not one.wrong


def test_a_killed_engine_costs_scores_never_the_answer_and_comes_back(service: Service) -> None:
    with requesting(service) as one, service.client() as client:
        one.wait(lambda answer: not answer["degraded"])
        listener(int(service.scoring.rsplit(":", 1)[1])).kill()
        ready = _wait_ready(client, ready=False)
        assert ready["engines"]["generation"] == "ready"
        assert ready["engines"]["scoring"] != "ready"
        without = one.wait(lambda answer: bool(answer["degraded"]))
        back = _wait_ready(client, ready=True)
        assert back["engines"] == {"generation": "ready", "scoring": "ready"}
        whole = one.wait(lambda answer: not answer["degraded"])
    assert {item["stage"] for item in without["degraded"]} <= {"score", "rerank"}
    assert without["selected"]["reason"] != "outcome_score"
    draft, *others = without["candidates"]  # it alone may have been scored before
    assert {each["outcome_score"] for each in others if each["solution"] != draft["solution"]} <= {
        None
    }
    check_candidates(without)
    check_candidates(whole)
    said = "".join(service.said)
    for line in ("scoring engine: ended (status 137)", "scoring engine: ready again"):
        assert line in said


def test_a_killed_student_is_missed_until_it_is_back(service: Service) -> None:
    with service.client() as client, ThreadPoolExecutor(1) as pool:
        _wait_ready(client, ready=True)
        requested = pool.submit(client.post, "/solve", json=LONG)
        while running(service) == 0:
            time.sleep(0.05)
        listener(int(service.generation.rsplit(":", 1)[1])).kill()
        in_flight = requested.result()
        gone = _wait_ready(client, ready=False)
        without, back = _asked_until_answered(service)
        ready = _wait_ready(client, ready=True)
    assert gone["status"] == "not_ready"
    assert gone["engines"]["generation"] != "ready"
    assert gone["engines"]["scoring"] == "ready"
    for response in (in_flight, *without):
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/student-unavailable"
        assert int(response.headers["Retry-After"]) >= 1
    assert without
    check_candidates(back.json())
    assert back.json()["degraded"] == []
    assert ready["engines"] == {"generation": "ready", "scoring": "ready"}
    said = "".join(service.said)
    for line in ("generation engine: ended (status 137)", "generation engine: ready again"):
        assert line in said


def _asked_until_answered(service: Service) -> tuple[list[httpx2.Response], httpx2.Response]:
    """What a question was answered with until there was an answer, and that."""
    refused: list[httpx2.Response] = []
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        response = solve(service, strategy="glore", sampling={"max_tokens": 32})
        if response.status_code == 200:
            return refused, response
        refused.append(response)
        time.sleep(0.5)
    raise AssertionError(refused[-1].text)


def _wait_ready(client: httpx2.Client, *, ready: bool) -> dict[str, Any]:
    """What /readyz says once it says so."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        response = client.get("/readyz")
        if (response.json()["status"] == "ready") is ready:
            found: dict[str, Any] = response.json()
            return found
        time.sleep(0.1)
    raise AssertionError(response.text)


def listener(port: int) -> psutil.Process:
    """The process that listens on a port of this machine."""
    for connection in psutil.net_connections("tcp"):
        at = connection.laddr
        listens = connection.status == psutil.CONN_LISTEN and at and at.port == port
        if listens and connection.pid is not None:
            return psutil.Process(connection.pid)
    raise AssertionError(port)
