"""What a caller has left of its own budget makes a request's smaller, never larger."""

import json
from typing import Any

import httpx2
import pytest

from glore.api.callers import ClientBudget
from glore.refinement.types import Budget, Job, Sampling, Strategy
from tests.service.lines import lines_of

BODY = {"question": "How many?"}
BODIES: dict[str, object] = {
    "/solve": BODY,
    "/solve/batch": {"questions": [BODY, BODY]},
    "/v1/chat/completions": {
        "model": "glore",
        "messages": [{"role": "user", "content": "How many?"}],
    },
}
TASK = Job("How many?", Strategy.GLORE, Sampling(), Budget(10.0, 8, 1000, 1.0), 0.5, 0.5)


@pytest.mark.parametrize(
    ("left", "budget"),
    [
        (ClientBudget(), Budget(10.0, 8, 1000, 1.0)),
        (ClientBudget(deadline_ms=2000), Budget(2.0, 8, 1000, 0.4)),
        (ClientBudget(8000, 3, 100), Budget(8.0, 3, 100, 1.0)),
        (ClientBudget(60_000, 99, 99_999), Budget(10.0, 8, 1000, 1.0)),
    ],
)
def test_the_smaller_of_both_counts(left: ClientBudget, budget: Budget) -> None:
    assert left.bound(TASK).budget == budget


def traces(path: str, response: httpx2.Response) -> list[dict[str, Any]]:
    """How each question of a response came to its answer."""
    if path == "/solve/batch":
        return [json.loads(line)["result"] for line in lines_of(response)[:-1]]
    answer = response.json()
    return [answer if path == "/solve" else answer["glore"]]


@pytest.mark.parametrize("path", ["/solve", "/solve/batch", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("header", "reason"),
    [("Glore-Max-Engine-Calls", "call_cap"), ("Glore-Max-Generated-Tokens", "token_cap")],
)
async def test_a_header_bounds_what_is_spent(
    client: httpx2.AsyncClient, path: str, header: str, reason: str
) -> None:
    answer = await client.post(path, json=BODIES[path], headers={header: "1"})
    assert answer.status_code == 200
    for trace in traces(path, answer):
        assert [candidate["kind"] for candidate in trace["candidates"]] == ["draft"]
        assert {item["reason"] for item in trace["degraded"]} == {reason}


@pytest.mark.parametrize("path", ["/solve", "/solve/batch"])
@pytest.mark.parametrize("header", ["Glore-Max-Engine-Calls", "Glore-Max-Generated-Tokens"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1e3", ""])
async def test_a_header_that_is_no_count_is_refused(
    client: httpx2.AsyncClient, path: str, header: str, value: str
) -> None:
    answer = await client.post(path, json=BODIES[path], headers={header: value})
    assert answer.status_code == 422
    assert header in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/solve", "/solve/batch"])
async def test_a_deadline_beyond_all_numbers_says_nothing(
    client: httpx2.AsyncClient, path: str
) -> None:
    answer = await client.post(path, json=BODIES[path], headers={"Glore-Deadline-Ms": "9" * 400})
    assert answer.status_code == 200
    assert '"error":{' not in answer.text
