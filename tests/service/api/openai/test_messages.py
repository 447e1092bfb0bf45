"""How the messages of a chat become one question."""

import json
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, BadRequestError

from glore.api.openai.request import ChatRequest, chat_job
from tests.service.api.openai.conftest import LIMITS
from tests.service.api.openai.test_request import CALL, create
from tests.service.fakes import LOCAL, QUESTION, FakeEngines

ASKED = {"role": "user", "content": QUESTION}
HELPFUL = {"role": "system", "content": "You are a helpful assistant."}
AGAIN = {"role": "user", "content": "And with 5 bags?"}


def question_of(*messages: dict[str, Any]) -> str:
    body = ChatRequest.model_validate({"model": "glore", "messages": list(messages)})
    return chat_job(body, LIMITS).question


def answered(content: object, **fields: object) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def parts_of(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def test_a_question_that_is_alone_stays_as_it_is() -> None:
    assert question_of({"role": "user", "content": "  How\nmany? "}) == "  How\nmany? "


def test_text_parts_are_lines_of_one_question() -> None:
    parts = parts_of("Tom has 3 pens.", " ", "And Ann?")
    assert question_of({"role": "user", "content": parts}) == "Tom has 3 pens.\n \nAnd Ann?"


@pytest.mark.parametrize("content", [None, "", " ", [], parts_of("", " ")])
def test_messages_without_text_add_nothing(content: object) -> None:
    silent = {"role": "developer", "content": content}
    assert question_of(silent, answered(content), ASKED, silent) == QUESTION


def test_system_text_comes_first_wherever_it_was() -> None:
    developer = {"role": "developer", "content": parts_of("Be", "brief.")}
    reported = question_of(HELPFUL, ASKED, answered("#### 12"), developer, AGAIN)
    assert reported == (
        "You are a helpful assistant.\nBe\nbrief.\n"
        f"User: {QUESTION}\nAssistant: #### 12\nAnd with 5 bags?"
    )


def test_the_last_user_message_is_the_question_whatever_follows() -> None:
    reported = question_of(AGAIN, ASKED, answered("#### 12"))
    assert reported == f"User: And with 5 bags?\nAssistant: #### 12\n{QUESTION}"


async def test_a_chat_goes_on_with_the_messages_of_the_client_itself(
    openai: AsyncOpenAI, engines: FakeEngines
) -> None:
    first = await create(openai, messages=[HELPFUL, ASKED])
    answer = first.choices[0].message
    for turn in (answer, answer.model_dump(), {"role": "assistant", "content": LOCAL}):
        engines.student.requests.clear()
        await create(openai, messages=[HELPFUL, ASKED, turn, AGAIN])
        (request,) = engines.student.requests
        for said in ("helpful", f"User: {QUESTION} Assistant: Tom has 3 bags.", "And with 5 bags?"):
            assert said in str(request.prompt)


@pytest.mark.parametrize(
    ("turns", "length"),
    [
        ([ASKED, answered("x" * 3990), AGAIN], 4082),
        ([{"role": "user", "content": "x" * 4001}], 4001),
        ([{"role": "user", "content": parts_of("x" * 10_000, "y" * 10_000)}], 20_001),
        ([{"role": "system", "content": "x" * 30_000}, {"role": "user", "content": "y"}], 30_002),
    ],
)
async def test_a_chat_that_is_too_long_names_the_bound_of_this_server(
    openai: AsyncOpenAI, engines: FakeEngines, turns: list[dict[str, Any]], length: int
) -> None:
    with pytest.raises(BadRequestError) as refused:
        await create(openai, messages=turns)
    assert (refused.value.param, refused.value.code) == ("messages", "context_length_exceeded")
    assert "This model's maximum context length is 4000 characters" in refused.value.message
    assert f"The prompt is too long: it has {length}." in refused.value.message
    assert engines.student.calls == 0


def said(**fields: Any) -> list[dict[str, Any]]:
    """A chat whose question has more fields than its text."""
    return [{"role": "user", "content": QUESTION} | fields]


def part(**fields: Any) -> list[dict[str, Any]]:
    return said(content=[{"type": "text", "text": QUESTION} | fields])


CACHE = {"type": "ephemeral"}


@pytest.mark.parametrize(
    "messages",
    [
        said(name="Tom"),  # AutoGen
        said(type="text"),  # lm-evaluation-harness
        said(id="msg_1", createdAt=1_795_000_000, metadata={"run": 1}),
        said(cache_control=CACHE),
        said(unheard_of={"deep": [1, 2]}),
        said(tool_calls=[], function_call=None, audio=None, refusal="", images=[], prefix=False),
        part(cache_control=CACHE, id="part_1"),
        part(prompt_cache_breakpoint={"mode": "explicit"}, annotations=[]),
        [{"role": "system", "content": "", "name": "rules", "cache_control": CACHE}, *said()],
        [
            *said(),
            answered(
                "#### 12",
                reasoning_content="Let me think.",
                reasoning_details=[{"type": "reasoning.text"}],
                provider_specific_fields={"a": 1},
                annotations=[{"type": "url_citation"}],
                refusal=None,
                audio=None,
                tool_calls=None,
                function_call=None,
            ),
            *said(),
        ],
    ],
)
async def test_what_describes_a_message_changes_nothing(
    openai: AsyncOpenAI, engines: FakeEngines, messages: list[dict[str, Any]]
) -> None:
    plain = [
        {"role": each["role"], "content": each["content"]}
        if isinstance(each["content"], str)
        else {"role": each["role"], "content": parts_of(*(p["text"] for p in each["content"]))}
        for each in messages
    ]
    await create(openai, messages=plain)
    await create(openai, messages=messages)
    before, after = engines.student.requests
    assert before.prompt == after.prompt


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tool_calls", [CALL]),
        ("function_call", {"name": "add", "arguments": "{}"}),
        ("audio", {"id": "audio_1"}),
        ("refusal", "I cannot."),
        ("images", ["aGVsbG8="]),
        ("prefix", True),
    ],
)
async def test_what_was_said_beside_the_text_is_refused_by_name(
    openai: AsyncOpenAI, engines: FakeEngines, name: str, value: object
) -> None:
    for at, messages in (
        (0, [answered("x", **{name: value}), ASKED]),
        (1, [ASKED, said(**{name: value})[0]]),
    ):
        with pytest.raises(BadRequestError) as refused:
            await create(openai, messages=messages)
        assert refused.value.param == f"messages.{at}.{name}"
        assert refused.value.code == "unsupported_parameter"
    assert engines.student.calls == 0


JSON = {"Content-Type": "application/json"}
HALF = "emoji \ud83d"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (said(content=HALF), "messages.0.content"),
        (said(content=HALF * 1000), "messages.0.content"),
        (part(text=HALF), "messages.0.content.0.text"),
        ([{"role": "system", "content": HALF}, ASKED], "messages.0.content"),
        ([ASKED, answered(HALF), ASKED], "messages.1.content"),
        ([ASKED, answered(parts_of("x", HALF)), ASKED], "messages.1.content.1.text"),
    ],
)
async def test_half_a_character_is_an_invalid_value_where_it_stands(
    client: httpx2.AsyncClient, engines: FakeEngines, messages: list[dict[str, Any]], param: str
) -> None:
    content = json.dumps({"model": "glore", "messages": messages})  # as JavaScript sends it
    response = await client.post("/v1/chat/completions", content=content, headers=JSON)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, "invalid_value")
    assert engines.student.calls == 0


async def test_half_a_character_in_a_hint_changes_nothing(client: httpx2.AsyncClient) -> None:
    content = json.dumps({"model": "glore", "messages": said(name=HALF), "user": HALF})
    response = await client.post("/v1/chat/completions", content=content, headers=JSON)
    assert response.status_code == 200
