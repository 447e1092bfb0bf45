"""The vLLM sampler against a small server of the same shapes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from glore_models.sampling.port import Rollout
from glore_models.sampling.vllm import SamplingError, VllmSampler


class Completions(BaseHTTPRequestHandler):
    """Answers `n` numbered completions of the prompt, the last one first and cut off."""

    requested: ClassVar[list[dict[str, Any]]] = []
    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        self.requested.append(body)
        self.keys.append(self.headers["Authorization"])
        given = body["n"] - (body["prompt"] == "short")
        choices = [
            {
                "index": i,
                "text": f"{body['prompt']} {i}",
                "finish_reason": "length" if i == body["n"] - 1 else "stop",
                "token_ids": [5] * (3 + i),
            }
            for i in reversed(range(given))
        ]
        content = json.dumps({"choices": choices}).encode()
        self.send_response(500 if body["prompt"] == "broken" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    Completions.requested.clear()
    Completions.keys.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Completions) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_rollouts_come_in_order_and_know_whether_they_ended(url: str) -> None:
    sampler = VllmSampler(url, "student", api_key="secret", concurrency=2)
    drawn = sampler.sample(["a", "b", "c"], n=2, temperature=0.8, max_tokens=9)
    assert drawn == [
        [Rollout(f"{p} 0", finished=True, tokens=2), Rollout(f"{p} 1", finished=False, tokens=4)]
        for p in "abc"
    ]  # the end token, which the server counts where there was one, is none of the text
    assert set(Completions.keys) == {"Bearer secret"}


def test_one_request_for_all_rollouts_of_a_prompt_and_never_a_seed(url: str) -> None:
    VllmSampler(url, "student").sample(["a"], n=8, temperature=0.8, max_tokens=9)
    requested = {"model": "student", "prompt": "a", "n": 8, "temperature": 0.8, "max_tokens": 9}
    assert Completions.requested == [{**requested, "return_token_ids": True}]


def test_a_greedy_rollout_is_requested_once_and_repeated(url: str) -> None:
    (drawn,) = VllmSampler(url, "student").sample(["a"], n=3, temperature=0.0, max_tokens=9)
    assert [requested["n"] for requested in Completions.requested] == [1]
    assert drawn == [Rollout("a 0", finished=False, tokens=3)] * 3


@pytest.mark.parametrize("prompt", ["broken", "short"])
def test_an_answer_that_is_not_usable_is_an_error(url: str, prompt: str) -> None:
    with pytest.raises(SamplingError, match=r"from http://127\.0\.0\.1"):
        VllmSampler(url, "student").sample([prompt], n=2, temperature=0.8, max_tokens=9)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SamplingError, match="no completion"):
        VllmSampler("http://127.0.0.1:9", "m").sample(["a"], n=1, temperature=0, max_tokens=1)
