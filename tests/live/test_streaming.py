"""Texts as real vLLM writes them, and questions told while they are answered."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from glore.engines.generating import VllmGenerator
from glore.engines.ports import STOPPED, Completion, Generation, Lease
from glore.engines.vllm import open_engine
from glore.formats.chat import Chat, ChatTurn
from glore.formats.prompts import student_prompt
from glore.formats.writing import Prompt

from .conftest import Service
from .test_solve import IDLE_S, LONG, QUESTION, check_candidates, running

Event = tuple[str, dict[str, Any]]


def reported(service: Service, **body: object) -> Iterator[Event]:
    """The events of a stream, as they come."""
    request = {"question": QUESTION, "deadline_ms": 590_000, **body}
    headers = {"Accept": "text/event-stream"}
    with (
        service.client() as client,
        client.stream("POST", "/solve", json=request, headers=headers) as response,
    ):
        assert response.status_code == 200
        name = ""
        for line in response.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


@pytest.mark.parametrize(
    "prompt", [student_prompt(QUESTION), Chat((ChatTurn("user", QUESTION),))], ids=["text", "chat"]
)
async def test_a_streamed_text_is_the_whole_one(service: Service, prompt: Prompt) -> None:
    async with open_engine(service.generation, api_key=None, timeout=500) as engine:
        student = VllmGenerator(engine, "student", "student")
        pieces: list[str] = []

        async def generate(**how: Any) -> Generation:
            return await student.generate(
                prompt, n=1, temperature=0.0, top_p=1.0, max_tokens=24, lease=Lease(500), **how
            )

        streamed = await generate(on_text=pieces.append)
        assert streamed == await generate()
    assert len(pieces) > 3
    assert "".join(pieces) == streamed.completions[0].text


async def test_a_text_that_is_enough_is_aborted(service: Service) -> None:
    """Sampled so hot that it would go on for minutes."""
    written: list[str] = []

    def enough(piece: str) -> bool:
        written.append(piece)
        return len(written) == 3

    async with open_engine(service.generation, api_key=None, timeout=500) as engine:
        generation = await VllmGenerator(engine, "student", "student").generate(
            student_prompt(LONG["question"]),
            n=1,
            temperature=2.0,
            top_p=1.0,
            max_tokens=1024,
            lease=Lease(500),
            on_text=enough,
        )
        (completion,) = generation.completions
        assert completion == Completion("".join(written), STOPPED)
        assert 3 <= generation.generated_tokens < 64
        assert generation.prompt_tokens > 0
        async with asyncio.timeout(IDLE_S):
            while running(service):
                await asyncio.sleep(0.1)


def test_a_question_is_reported_while_it_is_answered(service: Service) -> None:
    events = list(reported(service, strategy="glore", sampling={"max_tokens": 64}))
    names = [name for name, _ in events]
    assert set(names) >= {"draft.delta", "draft", "scores", "first_error", "refined", "selected"}
    assert "error" not in names
    name, done = events[-1]
    assert name == "done"
    assert done["degraded"] == []
    check_candidates(done)
    written = [data["text"] for name, data in events if name == "draft.delta"]
    assert len(written) > 3
    assert "".join(written).strip() == done["candidates"][0]["solution"]
    for kind in ("global_refinement", "local_refinement"):
        texts = [
            data["text"]
            for name, data in events
            if name == "refined.delta" and data["kind"] == kind
        ]
        of_kind = [each["solution"] for each in done["candidates"] if each["kind"] == kind]
        assert all(solution.endswith("".join(texts).strip()) for solution in of_kind)
    with service.client() as client:
        request = {"question": QUESTION, "strategy": "draft", "sampling": {"max_tokens": 64}}
        whole = client.post("/solve", json={**request, "deadline_ms": 590_000}).json()
    assert whole["solution"] == done["candidates"][0]["solution"]
