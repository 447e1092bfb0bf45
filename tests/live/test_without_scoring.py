"""The scoring engine dies: answers go on, and say what they lack. Last in the alphabet."""

import time

import psutil

from .conftest import Service
from .test_solve import check_candidates, solve


def test_a_dead_scoring_engine_costs_scores_never_the_answer(service: Service) -> None:
    listener(int(service.scoring.rsplit(":", 1)[1])).kill()
    until = time.monotonic() + 60
    with service.client() as client:
        while (ready := client.get("/readyz")).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert ready.status_code == 503
        assert ready.json()["engines"]["generation"] == "ready"
        assert ready.json()["engines"]["scoring"] != "ready"
    response = solve(service, strategy="glore")
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["degraded"]
    assert answer["selected"]["reason"] != "outcome_score"
    assert all(candidate["outcome_score"] is None for candidate in answer["candidates"])
    check_candidates(answer)
    assert solve(service, strategy="draft").json()["degraded"] == []


def listener(port: int) -> psutil.Process:
    """The process that listens on a port of this machine."""
    for connection in psutil.net_connections("tcp"):
        at = connection.laddr
        listens = connection.status == psutil.CONN_LISTEN and at and at.port == port
        if listens and connection.pid is not None:
            return psutil.Process(connection.pid)
    raise AssertionError(port)
