"""The simulated engine answers in the shapes of the real one: same keys, same kinds of value."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing

from .conftest import Service

Shape: TypeAlias = Any
PROMPT = "Question: What is 2 + 3?\nSolution:\n"
TURNS = [{"role": "user", "content": "What is 2 + 3?"}]
COUNTED = {"include_usage": True}
COUNTING = {"include_usage": True, "continuous_usage_stats": True}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "completion": ("/v1/completions", {"prompt": PROMPT, "max_tokens": 8, "temperature": 0.0}),
    "two": ("/v1/completions", {"prompt": PROMPT, "max_tokens": 8, "n": 2, "temperature": 0.7}),
    "chat": ("/v1/chat/completions", {"messages": TURNS, "max_tokens": 8, "temperature": 0.0}),
    "echo": (
        "/v1/completions",
        {
            "prompt": [f"{PROMPT}#### 5", f"{PROMPT}#### 6"],
            "echo": True,
            "logprobs": 0,
            "max_tokens": 0,
        },
    ),
    "no such model": ("/v1/completions", {"prompt": PROMPT, "model": "nobody"}),
    "too long": ("/v1/completions", {"prompt": PROMPT, "max_tokens": 100_000}),
    "tokenize": ("/tokenize", {"prompt": PROMPT}),
    "token strings": ("/tokenize", {"prompt": PROMPT, "return_token_strs": True}),
    "turns as tokens": ("/tokenize", {"messages": TURNS, "add_generation_prompt": True}),
    "detokenize": ("/detokenize", {"tokens": [100, 200]}),
    "tokens of no model": ("/detokenize", {"tokens": [100], "model": "nobody"}),
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """The URL of a simulated engine; a first token takes half a second."""
    started, over = threading.Event(), asyncio.Event()
    urls: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running(Simulated(timing=Timing(first_token=0.5))) as (_, url):
            urls.append(url)
            started.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield urls[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


def shape_of(value: Any) -> Shape:
    """The keys and kinds of a JSON value; of a list, that of each different element.

    Where the keys are tokens or their ids, any one stands for all.
    """
    if isinstance(value, dict):
        return {
            key: shape_of(list(map(_any_token, each)))
            if key in {"top_logprobs", "prompt_logprobs"} and each
            else shape_of(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        found = {json.dumps(shape_of(each), sort_keys=True) for each in value}
        return sorted(found)
    return "number" if isinstance(value, int | float) else type(value).__name__


def _any_token(by_token: dict[str, Any] | None) -> Any:
    return by_token and dict.fromkeys(("any",), *by_token.values())


def ask(url: str, path: str, body: dict[str, Any]) -> httpx2.Response:
    return httpx2.post(f"{url}{path}", json={"model": "student", **body}, timeout=600)


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_has_the_shape_of_vllms(service: Service, simulator: str, name: str) -> None:
    path, body = ASKED[name]
    real, simulated = (ask(url, path, body) for url in (service.generation, simulator))
    assert simulated.status_code == real.status_code
    assert simulated.headers["content-type"] == real.headers["content-type"]
    assert shape_of(simulated.json()) == shape_of(real.json())


@pytest.mark.parametrize("options", [COUNTED, COUNTING])
@pytest.mark.parametrize("name", ["completion", "two", "chat"])
def test_a_stream_has_the_shape_of_vllms(
    service: Service, simulator: str, name: str, options: dict[str, bool]
) -> None:
    path, body = ASKED[name]
    shapes = []
    for url in (service.generation, simulator):
        response = ask(url, path, {**body, "stream": True, "stream_options": options})
        assert response.headers["content-type"].startswith("text/event-stream")
        *events, last = [line for line in response.text.split("\n\n") if line]
        assert last == "data: [DONE]"
        chunks = [json.loads(event.removeprefix("data: ")) for event in events]
        assert chunks[-1]["choices"] == []
        # a chunk's place in the stream decides its shape: the first, the usage, all others
        shapes.append(
            {
                "first": shape_of(chunks[0]),
                "between": {json.dumps(shape_of(chunk)) for chunk in chunks[1:-1]},
                "usage": shape_of(chunks[-1]),
            }
        )
    real, simulated = shapes
    assert simulated == real


def test_scores_have_the_shape_of_vllms(service: Service, simulator: str) -> None:
    body = {"model": "sorm", "input": f"{PROMPT}2 + 3 = 5\n#### 5\n", "task": "token_classify"}
    real, simulated = (ask(url, "/pooling", body) for url in (service.scoring, simulator))
    assert shape_of(simulated.json()) == shape_of(real.json())
    rows = [answer.json()["data"][0]["data"] for answer in (real, simulated)]
    assert [len(each) for each in rows] == [4, 4]
    assert [len(each[0]) for each in rows] == [2, 2]


def test_scores_of_no_model_are_refused_in_the_shape_of_vllms(
    service: Service, simulator: str
) -> None:
    body = {"model": "nobody", "input": PROMPT, "task": "token_classify"}
    real, simulated = (ask(url, "/pooling", body) for url in (service.scoring, simulator))
    assert simulated.status_code == real.status_code == 404
    assert shape_of(simulated.json()) == shape_of(real.json())


def test_models_have_the_shape_of_vllms(service: Service, simulator: str) -> None:
    real, simulated = (
        httpx2.get(f"{url}/v1/models", timeout=600).json()
        for url in (service.generation, simulator)
    )
    theirs, ours = real["data"][0], simulated["data"][0]
    assert theirs.keys() == ours.keys()
    assert real.keys() == simulated.keys()


def test_health_has_the_shape_of_vllms(service: Service, simulator: str) -> None:
    real, simulated = (
        httpx2.get(f"{url}/health", timeout=600) for url in (service.generation, simulator)
    )
    assert (simulated.status_code, simulated.content) == (real.status_code, real.content)


def test_metrics_have_the_names_and_labels_of_vllms(service: Service, simulator: str) -> None:
    real, simulated = (
        httpx2.get(f"{url}/metrics", timeout=600) for url in (service.generation, simulator)
    )
    assert simulated.headers["content-type"] == real.headers["content-type"]
    theirs, ours = metrics(real.text), metrics(simulated.text)
    assert len(ours) == 3
    assert {name: theirs.get(name) for name in ours} == ours


def metrics(text: str) -> dict[str, object]:
    """What there is to know of each metric but its values and the model's name."""
    return {
        family.name: (
            family.type,
            family.documentation,
            {
                (sample.name, frozenset((sample.labels | {"model_name": "any"}).items()))
                for sample in family.samples
            },
        )
        for family in text_string_to_metric_families(text)
    }


@pytest.mark.parametrize("which", ["real", "simulated"])
def test_scores_finish_as_vllms_do(service: Service, simulator: str, which: str) -> None:
    url = service.scoring if which == "real" else simulator
    before = finished(url)
    body = {"model": "sorm", "input": f"{PROMPT}2 + 3 = 5\n", "task": "token_classify"}
    assert ask(url, "/pooling", body).status_code == 200
    until = time.monotonic() + 60
    while (now := finished(url)) == before:  # it is counted a little later
        assert time.monotonic() < until
        time.sleep(0.05)
    assert now == before | {"stop": before["stop"] + 1}


def finished(url: str) -> dict[str, float]:
    """How many requests have finished, by reason."""
    text = httpx2.get(f"{url}/metrics", timeout=60).text
    return {
        sample.labels["finished_reason"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "vllm:request_success_total"
    }


@pytest.mark.parametrize("which", ["real", "simulated"])
def test_a_client_that_leaves_is_seen_in_the_gauge(
    service: Service, simulator: str, which: str
) -> None:
    url = service.generation if which == "real" else simulator
    body = {"prompt": PROMPT, "max_tokens": 2000, "ignore_eos": True}
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{url}/v1/completions", json={"model": "student", **body}, timeout=0.3)
    until = time.monotonic() + 60
    while (running_now := gauge(url)) > 0:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert running_now == 0


def gauge(url: str) -> float:
    """What the engine says is running."""
    text = httpx2.get(f"{url}/metrics", timeout=60).text
    lines = [line for line in text.splitlines() if line.startswith("vllm:num_requests_running{")]
    assert lines
    return sum(float(line.rpartition(" ")[2]) for line in lines)
