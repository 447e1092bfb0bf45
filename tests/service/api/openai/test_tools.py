"""What tools that speak OpenAI's API send when nobody has set anything, as plain HTTP."""

import json
from typing import Any

import httpx2
import pytest

from tests.service.fakes import LOCAL, QUESTION

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
NEUTRAL: dict[str, Any] = {
    "model": "glore",
    "messages": [SYSTEM, {"role": "user", "content": QUESTION}],
    "temperature": 0.7,
    "max_tokens": 4096,
    "n": 1,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "stop": None,
    "user": "somebody",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"temperature": 0, "seed": 42, "stop": ["</s>", "Observation:"]},
        {"max_tokens": None, "max_completion_tokens": 16_384, "tools": [], "seed": None},
    ],
)
async def test_a_request_of_defaults_is_answered(
    client: httpx2.AsyncClient, changes: dict[str, Any]
) -> None:
    response = await client.post("/v1/chat/completions", json=NEUTRAL | changes)
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"] == LOCAL


async def test_a_stream_of_defaults_is_answered_with_the_usage_last(
    client: httpx2.AsyncClient,
) -> None:
    body = NEUTRAL | {"stream": True, "stream_options": {"include_usage": True}, "stop": "#### "}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    *data, done, empty = response.text.split("\n\n")
    assert (done, empty) == ("data: [DONE]", "")
    chunks = [json.loads(each.removeprefix("data: ")) for each in data]
    said = [choice for chunk in chunks for choice in chunk["choices"]]
    text = "".join(choice["delta"].get("content", "") for choice in said)
    assert text == LOCAL[: LOCAL.index("#### ")]
    assert said[-1]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 30
