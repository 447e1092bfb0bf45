"""OpenAI's own client against the gateway on real vLLM."""

from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from glore.api.schemas import SolveResponse

from .conftest import Service
from .test_solve import QUESTION, check_candidates

MESSAGES: list[Any] = [{"role": "user", "content": QUESTION}]
PATIENT = {"glore": {"deadline_ms": 590_000}}


def client_of(service: Service) -> OpenAI:
    return OpenAI(base_url=f"{service.url}/v1", api_key="none", timeout=600, max_retries=0)


def test_a_chat_completion_is_a_refined_answer(service: Service) -> None:
    with client_of(service) as client:
        assert "glore" in [model.id for model in client.models.list()]
        completion = client.chat.completions.create(
            model="glore", messages=MESSAGES, max_tokens=64, extra_body=PATIENT
        )
        with pytest.raises(BadRequestError, match="logprobs"):
            client.chat.completions.create(model="glore", messages=MESSAGES, logprobs=True)
    assert completion.model_extra is not None
    trace = SolveResponse.model_validate(completion.model_extra["glore"])
    assert trace.degraded == []
    check_candidates(trace.model_dump(mode="json"))
    (choice,) = completion.choices
    assert choice.message.content == trace.solution
    assert choice.finish_reason in {"stop", "length"}
    assert completion.usage is not None
    assert completion.usage.completion_tokens == trace.usage.generated_tokens
    assert completion.usage.prompt_tokens == trace.usage.prompt_tokens


def test_a_stream_tells_the_draft_and_then_the_answer(service: Service) -> None:
    with client_of(service) as client:
        stream = client.chat.completions.create(
            model="glore",
            messages=MESSAGES,
            max_tokens=64,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=PATIENT,
        )
        chunks = list(stream)
    reported = [(chunk.model_extra or {}).get("glore") for chunk in chunks]
    events: list[dict[str, Any]] = [each for each in reported if each]
    trace = SolveResponse.model_validate(events[-1]["data"])
    written = "".join(each["data"]["text"] for each in events if each["event"] == "draft.delta")
    assert written.strip() == trace.candidates[0].solution
    assert sum(each["event"] == "draft.delta" for each in events) > 1
    content = [
        (at, choice.delta.content)
        for at, chunk in enumerate(chunks)
        for choice in chunk.choices
        if choice.delta.content
    ]
    assert "".join(text for _, text in content) == trace.solution
    drafted = [at for at, each in enumerate(reported) if each and each["event"] == "draft.delta"]
    assert max(drafted) < content[0][0]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == trace.usage.generated_tokens
